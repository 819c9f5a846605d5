"""The object store's client, set up from the environment. Imports minio, so import this module where it is used."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.providers import Provider
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError
from urllib3 import PoolManager
from urllib3.exceptions import HTTPError, MaxRetryError

from embedtune.errors import StorageError
from embedtune.storage.endpoints import Endpoint, endpoint_help, endpoint_name, find_endpoint, proxy_for
from embedtune.storage.errors import DeniedError, MissingObjectError, UnreachableError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.credentials import PLACES, find_credentials
from embedtune.storage.web.http import http_pool

_MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchUpload")
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_BUSY = ("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "ServerBusy")
_STATUS = re.compile(r"Response code: (\d+)")
_RETRIES = 5


def store_client(store: ObjectStore, pool: PoolManager | None = None) -> Minio:
    """Return the client of an object store, with what the environment says of it.

    For where it is see `endpoints.find_endpoint`, for the credentials `credentials.find_credentials`; without any,
    requests are anonymous. As long as the environment says the same, it is the same client, which keeps its connections
    and the regions of buckets; it may be used by many threads at once.

    Args:
        store: Which.
        pool: Connects, with its own time-outs and repetitions; None for `http.http_pool`.

    Raises:
        StorageError: the endpoint is not an http(s) address, or one of a pair of keys is missing.
    """
    endpoint = find_endpoint(store)
    if pool is None:
        pool = http_pool(_RETRIES, proxy_for(endpoint.url))
    return _client(endpoint, find_credentials(store), pool)


@lru_cache(maxsize=8)
def _client(endpoint: Endpoint, credentials: Provider | None, pool: PoolManager) -> Minio:
    return Minio(
        endpoint.host, secure=endpoint.secure, region=endpoint.region, credentials=credentials, http_client=pool
    )


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
    store = ObjectStore.MINIO if what.lower().startswith("minio:") else ObjectStore.S3
    try:
        yield
    except S3Error as error:
        raise _explain(what, store, error) from error
    except HTTPError as error:
        reason = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
        raise UnreachableError(
            f"{what}: the object store at {endpoint_name(store)} does not answer: {reason}. Check that it runs and "
            f"set {endpoint_help(store)}; then start again."
        ) from error
    except (MinioException, InvalidResponseError, ParseError) as error:
        status = _status(error)
        if status >= 500:
            raise _out_of_order(what, store, f"status {status}") from error
        if status in (401, 403):
            raise _denied(what, store, f"status {status}") from None
        # Not chained and not quoted: what answers may repeat the request, session token included.
        raise StorageError(
            f"{what}: {endpoint_name(store)} does not answer like an object store (status {status or 'unknown'}). "
            f"Check {endpoint_help(store)}."
        ) from None


def _explain(what: str, store: ObjectStore, error: S3Error) -> StorageError:
    where = endpoint_name(store)
    if error.code in _MISSING:
        return MissingObjectError(f"{what} does not exist at {where} ({error.code}). Check bucket and key.")
    if error.code in _BUSY:
        return _out_of_order(what, store, str(error.code))
    if error.code in _REFUSED:
        return _denied(what, store, str(error.code))
    return StorageError(f"{what}{_refusal(error, store)}")


def _refusal(error: S3Error, store: ObjectStore) -> str:
    code, where = error.code, endpoint_name(store)
    if code in _EXPIRED:
        return f": the credentials for {where} have expired ({code}). Get new ones. They are read from {PLACES[store]}."
    if code == "RequestTimeTooSkewed":
        return f": the clocks of {where} and of this machine differ too much ({code}). Set this machine's clock."
    if code == "PreconditionFailed":
        return " changed since its version was taken. Start a new run on the new version."
    return f": {where} refuses: {error.message} ({code})."


def _denied(what: str, store: ObjectStore, reason: str) -> DeniedError:
    return DeniedError(
        f"{what}: access denied by {endpoint_name(store)} ({reason}). Credentials are read from {PLACES[store]}; "
        "without them, requests are anonymous. Set them for a user who may read and write there."
    )


def _out_of_order(what: str, store: ObjectStore, reason: str) -> UnreachableError:
    return UnreachableError(
        f"{what}: the object store at {endpoint_name(store)} is out of order ({reason}). Start again later."
    )


def _status(error: Exception) -> int:
    if isinstance(error, ServerError):
        return int(error.status_code)
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0
