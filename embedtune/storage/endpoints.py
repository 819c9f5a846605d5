"""Where the two object stores are, as the environment says it."""

import os
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

from embedtune.errors import StorageError
from embedtune.storage.locations import ObjectStore

AMAZON = "https://s3.amazonaws.com"
KUBEFLOW = "http://seaweedfs.kubeflow:9000"
"""The store that Kubeflow Pipelines 2.15 and later brings, at the port of the MinIO that it was before."""

_ENDPOINTS = {
    ObjectStore.MINIO: (("MINIO_ENDPOINT",), KUBEFLOW),
    ObjectStore.S3: (("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), AMAZON),
}
_REGIONS = {ObjectStore.MINIO: ("MINIO_REGION",), ObjectStore.S3: ("AWS_REGION", "AWS_DEFAULT_REGION")}
_AMAZON_HOSTS = (".amazonaws.com", ".amazonaws.com.cn")


@dataclass(frozen=True)
class Endpoint:
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


def find_endpoint(store: ObjectStore) -> Endpoint:
    """Return where a store is: `MINIO_ENDPOINT` or Kubeflow's own, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or Amazon.

    https is spoken where no scheme is written. An empty variable counts as unset. The region is `MINIO_REGION`;
    `AWS_REGION` or `AWS_DEFAULT_REGION`; else us-east-1, and on Amazon that of the bucket.

    Raises:
        StorageError: what is set is no http(s) address, or names Amazon as the platform's store.
    """
    variables, default = _ENDPOINTS[store]
    given = _first_set(variables)
    parts = urlsplit(given if "://" in given else f"https://{given}") if _is_address(given) else None
    if given and parts is None:
        raise StorageError(
            f"{' or '.join(variables)} is not an address of the form [http(s)://]host[:port], without user, password "
            f"or path. Set it like {KUBEFLOW}; without http://, https is spoken."
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
    return Endpoint(parts.netloc, parts.scheme == "https", region)


def endpoint_help(store: ObjectStore) -> str:
    """Say how to set where a store is."""
    if store is ObjectStore.MINIO:
        return "MINIO_ENDPOINT (minio:// is the platform's own store; one of your own is s3:// and AWS_ENDPOINT_URL_S3)"
    return "AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL"


def endpoint_name(store: ObjectStore) -> str:
    """Return what a person calls the place of a store, even one that is set wrongly, without a user or password."""
    given = _first_set(_ENDPOINTS[store][0]) or (KUBEFLOW if store is ObjectStore.MINIO else "")
    return urlsplit(given if "://" in given else f"https://{given}").netloc.rpartition("@")[2] or "Amazon S3"


def proxy_for(url: str) -> str:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for an address, '' for none."""
    parts = urlsplit(url)
    return "" if urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies().get(parts.scheme, "")


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
