"""Files of allowed web servers. Imports urllib3, so import this module where it is used."""

from pathlib import Path

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.access import allowed_hosts
from embedtune.storage.locations import Location
from embedtune.storage.web.client import WebClient, reason_of
from embedtune.storage.web.hosts import HostMemory
from embedtune.storage.web.transfer import http_pool, receive

SIZE_LIMIT = 10 << 30
"""Largest file taken from a web server, in bytes."""


def stat_page(location: Location) -> tuple[str, int]:
    """Return the etag and the size in bytes that a web server names for a file.

    Raises:
        StorageError: the host is not allowed, the server refuses or does not answer, it names no etag or
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
        StorageError: it changed, was cut short or does not end, the server refuses or does not answer, or the disk is
            full.
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

    come = 0

    def advance_within(count: int) -> None:
        nonlocal come
        come += count
        if come > size:
            raise StorageError(
                f"{location.uri}: the server sends more than the {size} bytes that it named. Start again."
            )
        advance(count)

    try:
        received = receive(request, target, location.uri, advance_within)
    except HTTPError as error:
        raise StorageError(f"{location.uri} could not be read to its end: {reason_of(error)}. Start again.") from error
    if received != size:
        raise StorageError(f"{location.uri} was cut short: {received} of {size} bytes came. Start again.")


def _request(method: str, location: Location, headers: dict[str, str]) -> BaseHTTPResponse:
    response, _ = WebClient(allowed_hosts(), http_pool(), HostMemory()).request(method, location.uri, headers)
    if response.status in (200, 206):
        return response
    response.close()
    if response.status == 412:
        raise StorageError(f"{location.uri} changed since its version was taken. Start a new run on the new version.")
    raise StorageError(f"{location.uri}: the server answers {response.status} {response.reason}. Check the address.")
