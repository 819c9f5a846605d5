"""Files of allowed web servers. Imports urllib3, so import this module where it is used."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, MaxRetryError

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.locations import Location
from embedtune.storage.transfer import http_pool, receive

HOSTS_VARIABLE = "EMBEDTUNE_ALLOWED_HOSTS"
"""Environment variable with the hosts that may be read from, separated by commas, as `host` or `host:port`."""

SIZE_LIMIT = 10 << 30
"""Largest file taken from a web server, in bytes."""


def stat_page(location: Location) -> tuple[str, int]:
    """Return the etag and the size in bytes that a web server names for a file.

    Raises:
        StorageError: the host is not allowed, the server refuses, redirects or does not answer, it names no etag or
            size, or the file is larger than SIZE_LIMIT.
    """
    response = _request("HEAD", location, {})
    response.release_conn()
    etag, length = response.headers.get("ETag", "").strip(), response.headers.get("Content-Length", "")
    if not etag or not length.isdecimal():
        raise StorageError(
            f"{location.uri}: the server names no ETag or no length, so a change of the file would go unnoticed. "
            "Copy the file to the object store and give its s3:// address."
        )
    if int(length) > SIZE_LIMIT:
        raise StorageError(
            f"{location.uri} has {length} bytes; {SIZE_LIMIT} are accepted from a web server. Copy the file to the "
            "object store and give its s3:// address."
        )
    return etag, int(length)


def fetch_page(location: Location, etag: str, size: int, target: Path, advance: Advance) -> None:
    """Download a file of a web server if it still has this etag.

    Raises:
        StorageError: it changed or was cut short, the server refuses or does not answer, or the disk is full.
    """

    def request(offset: int) -> BaseHTTPResponse:
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        # A weak etag never matches If-Match (RFC 9110, 13.1.1); that of the answer is compared below in any case.
        if not etag.startswith("W/"):
            headers["If-Match"] = etag
        response = _request("GET", location, headers)
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-") if offset else True
        if response.headers.get("ETag", "").strip() == etag and begins:
            return response
        response.close()
        raise StorageError(f"{location.uri} changed since its version was taken. Start a new run on the new version.")

    try:
        received = receive(request, target, location.uri, advance)
    except HTTPError as error:
        raise StorageError(f"{location.uri} could not be read to its end: {_reason(error)}. Start again.") from error
    if received != size:
        raise StorageError(f"{location.uri} was cut short: {received} of {size} bytes came. Start again.")


def _request(method: str, location: Location, headers: dict[str, str]) -> BaseHTTPResponse:
    _check_allowed(location)
    try:
        response = http_pool().request(
            method,
            location.uri,
            headers={"Accept-Encoding": "identity"} | headers,
            redirect=False,
            preload_content=False,
        )
    except HTTPError as error:
        raise StorageError(
            f"{location.uri}: the server does not answer: {_reason(error)}. Check the address."
        ) from error
    if response.status in (200, 206):
        return response
    response.close()
    if response.status == 412:
        raise StorageError(f"{location.uri} changed since its version was taken. Start a new run on the new version.")
    if 300 <= response.status < 400:
        raise StorageError(f"{location.uri}: the server redirects, which is not followed. Give the final address.")
    raise StorageError(f"{location.uri}: the server answers {response.status} {response.reason}. Check the address.")


def _check_allowed(location: Location) -> None:
    host = urlsplit(location.uri).netloc.lower()
    allowed = [entry.strip().lower() for entry in os.environ.get(HOSTS_VARIABLE, "").split(",")]
    if host not in allowed:
        raise StorageError(
            f"Reading from the web server {host} is not allowed. Add {host} to the variable {HOSTS_VARIABLE} (with "
            "commas between) in the environment, or copy the file to the object store and give its s3:// address."
        )


def _reason(error: HTTPError) -> str:
    """Say what went wrong without the address and the retries that urllib3 puts around it."""
    return str(error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error)
