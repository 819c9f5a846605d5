"""The object store's client, set up from the environment. Imports minio, so import this module where it is used."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.providers import Provider
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from embedtune.errors import StorageError
from embedtune.storage.errors import DeniedError, MissingObjectError, UnreachableError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.credentials import PLACES, find_credentials
from embedtune.storage.web.http import Pool, TransferError, http_pool, proxy_for, reason_of

_AMAZON = "https://s3.amazonaws.com"
_KUBEFLOW = "http://seaweedfs.kubeflow:9000"
"""The store that Kubeflow Pipelines 2.15 and later brings, at the port of the MinIO that it was before."""

_ENDPOINTS = {
    ObjectStore.MINIO: (("MINIO_ENDPOINT",), _KUBEFLOW),
    ObjectStore.S3: (("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), _AMAZON),
}
_REGIONS = {ObjectStore.MINIO: ("MINIO_REGION",), ObjectStore.S3: ("AWS_REGION", "AWS_DEFAULT_REGION")}
_AMAZON_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")
_MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchUpload")
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken")
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired")
_BUSY = ("SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "InternalError", "ServerBusy")
_STATUS = re.compile(r"Response code: (\d+)")
_RETRIES = 5


@dataclass(frozen=True)
class _Endpoint:
    """How a store is reached."""

    host: str
    """Name or address, with the port if there is one."""
    secure: bool
    """Whether https is spoken."""
    region: str | None
    """None to ask the store for each bucket."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.secure else 'http'}://{self.host}"


def store_client(store: ObjectStore, pool: Pool | None = None) -> Minio:
    """Return the client of an object store, with what the environment says of it.

    For where it is see `_find_endpoint`, for the credentials `credentials.find_credentials`; without any,
    requests are anonymous. As long as the environment says the same, it is the same client, which keeps its connections
    and the regions of buckets; it may be used by many threads at once.

    Args:
        store: Which.
        pool: Connects, with its own time-outs and repetitions; None for `http.http_pool`.

    Raises:
        StorageError: the endpoint is not an http(s) address, or one of a pair of keys is missing.
    """
    endpoint = _find_endpoint(store)
    if pool is None:
        pool = http_pool(_RETRIES, proxy_for(endpoint.url))
    return _client(endpoint, find_credentials(store), pool)


@lru_cache(maxsize=8)
def _client(endpoint: _Endpoint, credentials: Provider | None, pool: Pool) -> Minio:
    return Minio(
        endpoint.host, secure=endpoint.secure, region=endpoint.region, credentials=credentials, http_client=pool
    )


def _find_endpoint(store: ObjectStore) -> _Endpoint:
    """Return where a store is: `MINIO_ENDPOINT` or Kubeflow's own, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or Amazon.

    https is spoken where no scheme is written. An empty variable counts as unset. The region is `MINIO_REGION`;
    `AWS_REGION` or `AWS_DEFAULT_REGION`; else us-east-1, and on Amazon that of the bucket.
    """
    variables, default = _ENDPOINTS[store]
    given = _first_set(variables)
    parts = urlsplit(given if "://" in given else f"https://{given}") if _is_address(given) else None
    if given and parts is None:
        raise StorageError(
            f"{' or '.join(variables)} is not an address of the form [http(s)://]host[:port], without user, password "
            f"or path. Set it like {_KUBEFLOW}; without http://, https is spoken."
        )
    parts = urlsplit(default) if parts is None else parts
    if store is ObjectStore.MINIO and f".{parts.hostname}".endswith(_AMAZON_HOSTS):
        # Keys of the platform's store must not be sent there, nor data that were meant to stay on the cluster.
        raise StorageError(
            f"MINIO_ENDPOINT is {given}, which is Amazon's; minio:// is the platform's own store. Write s3:// "
            "addresses for Amazon S3, and set MINIO_ENDPOINT to the platform's store or unset it."
        )
    # MinIO lets a restricted user not ask for the region of a bucket, so an own endpoint is not asked.
    own = given or store is ObjectStore.MINIO
    region = _first_set(_REGIONS[store]) or ("us-east-1" if own else None)
    return _Endpoint(parts.netloc, parts.scheme == "https", region)


def _endpoint_help(store: ObjectStore) -> str:
    """Say how to set where a store is."""
    if store is ObjectStore.MINIO:
        return "MINIO_ENDPOINT (minio:// is the platform's own store; one of your own is s3:// and AWS_ENDPOINT_URL_S3)"
    return "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL"


def _endpoint_name(store: ObjectStore) -> str:
    """Return what a person calls the place of a store, even one that is set wrongly, without a user or password."""
    given = _first_set(_ENDPOINTS[store][0]) or (_KUBEFLOW if store is ObjectStore.MINIO else "")
    return urlsplit(given if "://" in given else f"https://{given}").netloc.rpartition("@")[2] or "Amazon S3"


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn the errors of the object store's client, on the way to an address, into StorageError or one of its kinds."""
    store = ObjectStore.MINIO if what.lower().startswith("minio:") else ObjectStore.S3
    try:
        yield
    except S3Error as error:
        raise _explain(what, store, error) from error
    except TransferError as error:
        raise UnreachableError(
            f"{what}: the object store at {_endpoint_name(store)} does not answer: {reason_of(error)}. Check that it "
            f"runs and set {_endpoint_help(store)}; then start again."
        ) from error
    except (MinioException, InvalidResponseError, ParseError) as error:
        status = _status(error)
        if status >= 500:
            raise _out_of_order(what, store, f"status {status}") from error
        if status in (401, 403):
            raise _denied(what, store, f"status {status}") from None
        # Not chained and not quoted: what answers may repeat the request, session token included.
        raise StorageError(
            f"{what}: {_endpoint_name(store)} does not answer like an object store (status {status or 'unknown'}). "
            f"Check {_endpoint_help(store)}."
        ) from None


def _explain(what: str, store: ObjectStore, error: S3Error) -> StorageError:
    where = _endpoint_name(store)
    if error.code in _MISSING:
        return MissingObjectError(f"{what} does not exist at {where} ({error.code}). Check bucket and key.")
    if error.code in _BUSY:
        return _out_of_order(what, store, str(error.code))
    if error.code in _REFUSED:
        return _denied(what, store, str(error.code))
    return StorageError(f"{what}{_refusal(error, store)}")


def _refusal(error: S3Error, store: ObjectStore) -> str:
    code, where = error.code, _endpoint_name(store)
    if code in _EXPIRED:
        return f": the credentials for {where} have expired ({code}). Get new ones. They are read from {PLACES[store]}."
    if code == "RequestTimeTooSkewed":
        return f": the clocks of {where} and of this machine differ too much ({code}). Set this machine's clock."
    if code == "PreconditionFailed":
        return " changed since its version was taken. Start a new run on the new version."
    return f": {where} refuses: {error.message} ({code})."


def _denied(what: str, store: ObjectStore, reason: str) -> DeniedError:
    return DeniedError(
        f"{what}: access denied by {_endpoint_name(store)} ({reason}). Credentials are read from {PLACES[store]}; "
        "without them, requests are anonymous. Set them for a user who may read and write there."
    )


def _out_of_order(what: str, store: ObjectStore, reason: str) -> UnreachableError:
    return UnreachableError(
        f"{what}: the object store at {_endpoint_name(store)} is out of order ({reason}). Start again later."
    )


def _status(error: Exception) -> int:
    if isinstance(error, ServerError):
        return int(error.status_code)
    found = _STATUS.search(str(error))
    return int(found[1]) if found else 0


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        is_address = parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return bool(
        is_address
        and parts.scheme in ("http", "https")
        and "@" not in parts.netloc
        and parts.path in ("", "/")
        and not parts.query
        and not parts.fragment
    )


def _first_set(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")
