"""Files and contents of allowed web servers. Imports urllib3."""

import time
from collections.abc import Sequence
from pathlib import Path

from urllib3 import BaseHTTPResponse, PoolManager
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.progress import Advance, progress
from embedtune.storage.access import allowed_hosts
from embedtune.storage.errors import UnreachableError
from embedtune.storage.locations import Location
from embedtune.storage.web.client import WebClient
from embedtune.storage.web.http import HostMemory, SlowError, content_pool, http_pool, read_body, reason_of, receive

SIZE_LIMIT = 10 << 30
"""Largest file taken from a web server, in bytes."""

DOWNLOAD_LIMIT_S = 1800.0
"""Longest time for one public file."""


class Pages:
    """Small contents of allowed web servers; see `opening.Contents`."""

    def __init__(self, hosts: Sequence[str], timeout_s: float) -> None:
        """Set up the client; see `opening.open_contents`."""
        self._memory = HostMemory()
        self._client = WebClient(hosts, content_pool(timeout_s / 2), self._memory)
        self._timeout_s = timeout_s

    def read(self, location: Location, uri: str, max_bytes: int) -> bytes:
        """Return one content."""
        deadline = time.monotonic() + self._timeout_s
        response, host = self._client.request("GET", uri, {})
        if response.status != 200:
            response.close()
            answer = f"the server answers {response.status} {response.reason}"
            if response.status >= 500:
                self._memory.failed(host, answer, connected=True)
                raise UnreachableError(f"{location.uri}: {answer}.")
            self._memory.answered(host)
            raise StorageError(f"{location.uri}: {answer}.")
        try:
            content = read_body(response, location.uri, max_bytes, deadline)
        except (HTTPError, SlowError) as error:
            self._memory.failed(host, str(error), connected=True)
            raise UnreachableError(f"{location.uri} could not be read to its end: {error}") from error
        self._memory.answered(host)
        return content


def stat_page(location: Location) -> tuple[str, int]:
    """Return the etag and the size in bytes, up to SIZE_LIMIT, that a web server names for a file."""
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
    """Download a file of a web server if it still has this etag; it must end after the size that was named."""

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


def download(url: str, target: Path, limit: int) -> None:
    """Take a file from the server that its address names, which need not be on the list of those that data may name.

    A connection that breaks is taken up where it stopped. A redirect is not followed.

    Args:
        url: An http or https address.
        target: File to write.
        limit: Largest body accepted, in bytes.

    Raises:
        StorageError: the server refuses, redirects, does not answer or keeps breaking off, the body is too large, takes
            longer than DOWNLOAD_LIMIT_S, or the disk is full.
    """
    deadline, pool, come = time.monotonic() + DOWNLOAD_LIMIT_S, http_pool(), 0
    with progress(f"Fetching {url.rpartition('/')[2]}", None, "bytes") as advance:

        def count(done: int) -> None:
            nonlocal come
            come += done
            if come > limit:
                raise StorageError(f"{url} has more than the {limit} bytes that are accepted. Check the address.")
            if time.monotonic() > deadline:
                raise StorageError(f"{url} did not come within {DOWNLOAD_LIMIT_S:.0f} s. Start again.")
            advance(done)

        try:
            receive(lambda offset: _open_public(pool, url, offset), target, url, count)
        except HTTPError as error:
            raise StorageError(f"{url} could not be read to its end: {reason_of(error)}. Start again.") from error


def _open_public(pool: PoolManager, url: str, offset: int) -> BaseHTTPResponse:
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {})
    try:
        # The bytes as stored: a server may call a .gz file an encoding of what is inside.
        response = pool.request(
            "GET", url, headers=headers, redirect=False, preload_content=False, decode_content=False
        )
    except HTTPError as error:
        raise StorageError(f"{url}: the server does not answer: {reason_of(error)}. Check the address.") from error
    begins = not offset or response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
    if response.status == (206 if offset else 200) and begins:
        return response
    response.close()
    if offset and response.status in (200, 206, 416):
        raise StorageError(f"{url}: the server breaks off and does not go on from there. Start again.")
    if 300 <= response.status < 400:
        raise StorageError(f"{url}: the server redirects, which is not followed. Give the final address.")
    raise StorageError(f"{url}: the server answers {response.status} {response.reason}. Check the address.")


def _request(method: str, location: Location, headers: dict[str, str]) -> BaseHTTPResponse:
    response, _ = WebClient(allowed_hosts(), http_pool(), HostMemory()).request(method, location.uri, headers)
    if response.status in (200, 206):
        return response
    response.close()
    if response.status == 412:
        raise StorageError(f"{location.uri} changed since its version was taken. Start a new run on the new version.")
    raise StorageError(f"{location.uri}: the server answers {response.status} {response.reason}. Check the address.")
