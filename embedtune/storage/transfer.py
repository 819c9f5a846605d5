"""Talk HTTP: a client that gives up in time, and bodies taken into files. Imports urllib3."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.digests import CHUNK_BYTES

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.2

Request = Callable[[int], BaseHTTPResponse]
"""Asks for the body from a byte offset on; raises if the server refuses."""


def http_pool() -> PoolManager:
    """Return an HTTP client that verifies certificates, gives up after seconds and retries what is worth it.

    Requests are repeated up to three times after 0, 0.4 and 0.8 s if the connection breaks or the server answers
    500, 502, 503 or 504, whatever it says in Retry-After, which could be days.
    SSL_CERT_FILE may name a file of accepted certificate authorities.
    """
    retries = Retry(
        total=3,
        redirect=0,
        backoff_factor=0.2,
        status_forcelist=(500, 502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    return PoolManager(
        timeout=Timeout(connect=3.0, read=60.0),
        retries=retries,
        ca_certs=os.environ.get("SSL_CERT_FILE") or certifi.where(),
    )


def receive(request: Request, target: Path, what: str, advance: Advance) -> int:
    """Write a body to a file, going on where a broken connection stopped.

    Args:
        request: Called with the number of bytes that are there already.
        target: File to write.
        what: Address, for messages.
        advance: Told the number of bytes written.

    Returns:
        The number of bytes written.

    Raises:
        StorageError: the disk is full, or what `request` raises.
        HTTPError: the connection broke again and again.
    """
    try:
        with target.open("wb") as file:
            for attempt in range(_ATTEMPTS):
                try:
                    _copy(request, file, advance)
                    break
                except HTTPError:
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    time.sleep(_FIRST_PAUSE_S * 2**attempt)
            return file.tell()
    except OSError as error:
        raise StorageError(f"{what} cannot be stored in {target.parent}: {error}. Free some space there.") from error


def _copy(request: Request, file: BinaryIO, advance: Advance) -> None:
    response = request(file.tell())
    try:
        for chunk in response.stream(CHUNK_BYTES):
            file.write(chunk)
            advance(len(chunk))
    finally:
        response.close()
        response.release_conn()
