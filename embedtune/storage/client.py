"""The object store's client, set up from the environment. Imports minio, so import this module where it is used."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.credentials.providers import StaticProvider
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.storage.transfer import http_pool

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
_KEYS = (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"))
_KEYS_TEXT = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), or MINIO_ACCESS_KEY and MINIO_SECRET_KEY"
_MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchUpload")
_REFUSED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken")


class MissingObjectError(StorageError):
    """The bucket or object does not exist."""


def store_client() -> Minio:
    """Return the client of the object store that the environment names.

    Read are AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL (default: Amazon S3), AWS_REGION or AWS_DEFAULT_REGION (default:
    us-east-1 for an own endpoint, asked for on Amazon), and AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY with
    AWS_SESSION_TOKEN, or MINIO_ACCESS_KEY and MINIO_SECRET_KEY. Without keys, requests are anonymous. An empty variable
    counts as unset.

    Raises:
        StorageError: the endpoint is not an http(s) address, or one of a pair of keys is missing.
    """
    url = _first_set(_ENDPOINTS)
    endpoint, secure = _endpoint(url) if url else ("s3.amazonaws.com", True)
    # MinIO lets a restricted user not ask for the region of a bucket, so an own endpoint is not asked.
    region = _first_set(("AWS_REGION", "AWS_DEFAULT_REGION")) or ("us-east-1" if url else None)
    return Minio(endpoint, secure=secure, region=region, credentials=_credentials(), http_client=http_pool())


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turn the errors of the object store's client into StorageError.

    Args:
        what: Address that is read or written.

    Raises:
        MissingObjectError: the bucket or object does not exist.
        StorageError: anything else that the store or the way to it refuses.
    """
    try:
        yield
    except S3Error as error:
        raise _explain(what, error) from error
    except HTTPError as error:
        raise StorageError(
            f"{what}: the object store at {_where()} does not answer: {error}. Check that it runs and that "
            "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is right; then start again."
        ) from error
    except (MinioException, InvalidResponseError, ParseError) as error:
        raise StorageError(
            f"{what}: {_where()} does not answer like an object store: {error}. Check AWS_ENDPOINT_URL_S3 or "
            "AWS_ENDPOINT_URL."
        ) from error


def _explain(what: str, error: S3Error) -> StorageError:
    code, where = error.code, _where()
    if code in _MISSING:
        return MissingObjectError(f"{what} does not exist at {where} ({code}). Check bucket and key.")
    if code in _REFUSED:
        return StorageError(
            f"{what}: access denied by {where} ({code}). Credentials are read from {_KEYS_TEXT}; without them, "
            "requests are anonymous. Set them for a user who may read and write there."
        )
    if code == "PreconditionFailed":
        return StorageError(f"{what} changed since its version was taken. Start a new run on the new version.")
    return StorageError(f"{what}: {where} refuses: {error.message} ({code}).")


def _first_set(names: tuple[str, ...]) -> str:
    return next((os.environ[name] for name in names if os.environ.get(name)), "")


def _where() -> str:
    return urlsplit(_first_set(_ENDPOINTS)).netloc.rpartition("@")[2] or "Amazon S3"


def _endpoint(url: str) -> tuple[str, bool]:
    parts = urlsplit(url)
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or "@" in parts.netloc
        or parts.path not in ("", "/")
    ):
        raise StorageError(
            "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL is not an address of the form http(s)://host[:port], without "
            "user, password or path. Set it like http://minio-service.kubeflow:9000."
        )
    return parts.netloc, parts.scheme == "https"


def _credentials() -> StaticProvider | None:
    for key_name, secret_name in _KEYS:
        key, secret = os.environ.get(key_name, ""), os.environ.get(secret_name, "")
        if bool(key) != bool(secret):
            raise StorageError(
                f"Only one of {key_name} and {secret_name} is set. Set both, or neither for anonymous access."
            )
        if key:
            token = os.environ.get("AWS_SESSION_TOKEN") if key_name.startswith("AWS") else None
            return StaticProvider(key, secret, token or None)
    return None
