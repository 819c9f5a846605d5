"""The object store's client, set up from the environment. Imports minio, so import this module where it is used."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError, MaxRetryError

from embedtune.errors import StorageError
from embedtune.storage.credentials import PLACES, find_credentials
from embedtune.storage.failures import DeniedError, MissingObjectError, UnreachableError
from embedtune.storage.transfer import http_pool

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchUpload")
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_BUSY = ("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "ServerBusy")
_STATUS = re.compile(r"Response code: (\d+)")
_RETRIES = 5


def store_client(repeat_sent: bool = True, pool: PoolManager | None = None) -> Minio:
    """Return the client of the object store that the environment names.

    Read are AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (default: Amazon S3; https where no scheme is written), AWS_REGION
    or AWS_DEFAULT_REGION (default: us-east-1 for an own endpoint, asked for on Amazon), and the credentials, for which
    see `credentials.find_credentials`. Without any, requests are anonymous. An empty variable counts as unset.

    Args:
        repeat_sent: See `transfer.http_pool`.
        pool: Connects, with its own time-outs and repetitions; None for those of `transfer.http_pool`.

    Raises:
        StorageError: the endpoint is not an http(s) address, or one of a pair of keys is missing.
    """
    url = _first_set(_ENDPOINTS)
    endpoint, secure = _endpoint(url) if url else ("s3.amazonaws.com", True)
    # MinIO lets a restricted user not ask for the region of a bucket, so an own endpoint is not asked.
    region = _first_set(("AWS_REGION", "AWS_DEFAULT_REGION")) or ("us-east-1" if url else None)
    if pool is None:
        pool = http_pool(_RETRIES, repeat_sent)
    return Minio(endpoint, secure=secure, region=region, credentials=find_credentials(), http_client=pool)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn the errors of the object store's client into StorageError.

    Args:
        what: Address that is read or written.

    Raises:
        MissingObjectError: the bucket or object does not exist.
        UnreachableError: the store does not answer, or is out of order.
        StorageError: anything else that the store or the way to it refuses.
    """
    try:
        yield
    except S3Error as error:
        raise _explain(what, error) from error
    except HTTPError as error:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
        raise UnreachableError(
            f"{what}: the object store at {_where()} does not answer: {reason}. Check that it runs and that "
            "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is right; then start again."
        ) from error
    except (MinioException, InvalidResponseError, ParseError) as error:
        status = _status(error)
        if status >= 500:
            raise _out_of_order(what, f"status {status}") from error
        if status in (401, 403):
            raise _denied(what, f"status {status}") from None
        # Not chained and not quoted: what answers may repeat the request, session token included.
        raise StorageError(
            f"{what}: {_where()} does not answer like an object store (status {status or 'unknown'}). Check "
            "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL."
        ) from None


def _explain(what: str, error: S3Error) -> StorageError:
    where = _where()
    if error.code in _MISSING:
        return MissingObjectError(f"{what} does not exist at {where} ({error.code}). Check bucket and key.")
    if error.code in _BUSY:
        return _out_of_order(what, str(error.code))
    if error.code in _REFUSED:
        return _denied(what, str(error.code))
    return StorageError(f"{what}{_refusal(error, where)}")


def _refusal(error: S3Error, where: str) -> str:
    code = error.code
    if code in _EXPIRED:
        return f": the credentials for {where} have expired ({code}). Get new ones. They are read from {PLACES}."
    if code == "RequestTimeTooSkewed":
        return f": the clocks of {where} and of this machine differ too much ({code}). Set this machine's clock."
    if code == "PreconditionFailed":
        return " changed since its version was taken. Start a new run on the new version."
    return f": {where} refuses: {error.message} ({code})."


def _denied(what: str, reason: str) -> DeniedError:
    return DeniedError(
        f"{what}: access denied by {_where()} ({reason}). Credentials are read from {PLACES}; without them, requests "
        "are anonymous. Set them for a user who may read and write there."
    )


def _out_of_order(what: str, reason: str) -> UnreachableError:
    return UnreachableError(f"{what}: the object store at {_where()} is out of order ({reason}). Start again later.")


def _status(error: Exception) -> int:
    if isinstance(error, ServerError):
        return int(error.status_code)
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0


def _first_set(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _where() -> str:
    url = _first_set(_ENDPOINTS)
    return urlsplit(url if "://" in url else f"https://{url}").netloc.rpartition("@")[2] or "Amazon S3"


def _endpoint(url: str) -> tuple[str, bool]:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        is_address = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        is_address = False
    if (
        not is_address
        or parts.scheme not in ("http", "https")
        or "@" in parts.netloc
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
    ):
        raise StorageError(
            "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is not an address of the form [http(s)://]host[:port], without "
            "user, password or path. Set it like http://minio-service.kubeflow:9000; without http://, https is spoken."
        )
    return parts.netloc, parts.scheme == "https"
