"""Download a file over HTTP, going on where an earlier attempt stopped. Imports urllib3."""

import time
from pathlib import Path

from urllib3 import BaseHTTPResponse, Timeout
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.progress import progress
from embedtune.storage.web.bodies import stopped_at
from embedtune.storage.web.client import reason_of
from embedtune.storage.web.transfer import http_pool, receive

TIME_LIMIT_S = 1800.0
"""Longest time for one file."""

_CONNECT_S, _READ_S = 3.0, 60.0
_OK, _PARTIAL, _BAD_RANGE = 200, 206, 416


def append_body(url: str, part: Path, limit: int) -> None:
    """Fetch what is missing of a file.

    Args:
        url: An http or https address. A redirect is not followed.
        part: File with the first bytes of the body, or an empty one. After an error it holds what has come so far.
        limit: Largest body accepted, in bytes.

    Raises:
        StorageError: the server refuses, redirects, does not answer or keeps breaking off, the body is too large, or
            TIME_LIMIT_S is over, or the disk is full.
        OSError: `part` cannot be read.
    """
    download = _Download(url, limit)
    with stopped_at(download.deadline, download.stop, url):
        try:
            download.take(part, part.stat().st_size)
        except _NoRangeError:
            download.take(part, 0)


class _NoRangeError(StorageError):
    """The server gives the body from its beginning only, or has no more than is there."""


class _Download:
    """One body on its way."""

    def __init__(self, url: str, limit: int) -> None:
        self.deadline = time.monotonic() + TIME_LIMIT_S
        self._url = url
        self._limit = limit
        self._taken = 0
        self._response: BaseHTTPResponse | None = None

    def take(self, part: Path, offset: int) -> None:
        """Write the body from a byte on into a file that has those before it."""
        self._taken = offset
        waiting = [self._open(offset)]
        length = waiting[0].headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else None
        self._check_size(total or 0)
        with progress(f"Fetching {self._url.rpartition('/')[2]}", total, "bytes") as advance:
            advance(offset)

            def count(done: int) -> None:
                self._taken += done
                self._check_size(self._taken)
                advance(done)

            try:
                receive(
                    lambda place: waiting.pop() if waiting else self._open(place),
                    part,
                    self._url,
                    count,
                    resume=offset > 0,
                )
            except HTTPError as error:
                raise StorageError(
                    f"{self._url} could not be read to its end: {reason_of(error)}. Start again to go on from there."
                ) from error

    def stop(self) -> None:
        """End the response that is being read."""
        if self._response is not None:
            self._response.shutdown()

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise StorageError(
                f"{self._url} has more than the {self._limit} bytes that are accepted. Check the address."
            )

    def _open(self, offset: int) -> BaseHTTPResponse:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise StorageError(
                f"{self._url} did not come within {TIME_LIMIT_S:.0f} s. Start again to go on from there."
            )
        try:
            response = http_pool().request(
                "GET",
                self._url,
                headers={"Accept-Encoding": "identity"} | ({"Range": f"bytes={offset}-"} if offset else {}),
                redirect=False,
                preload_content=False,
                # Nothing else ends a head that drips: there is no response yet that `stop` could end.
                timeout=Timeout(connect=min(_CONNECT_S, left), read=min(_READ_S, left)),
                # The bytes as stored: a server may call a .gz file an encoding of what is inside.
                decode_content=False,
            )
        except HTTPError as error:
            raise StorageError(
                f"{self._url}: the server does not answer: {reason_of(error)}. Check the address."
            ) from error
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")
        if (response.status == _PARTIAL and begins) if offset else response.status == _OK:
            self._response = response
            return response
        response.close()
        if offset and response.status in (_OK, _PARTIAL, _BAD_RANGE):
            raise _NoRangeError(f"{self._url}: the server breaks off and does not go on from there. Start again.")
        if 300 <= response.status < 400:
            raise StorageError(f"{self._url}: the server redirects, which is not followed. Give the final address.")
        raise StorageError(f"{self._url}: the server answers {response.status} {response.reason}. Check the address.")
