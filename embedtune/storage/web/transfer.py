"""Talk HTTP: a client that gives up in time, and bodies taken into files. Imports urllib3."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance
from embedtune.storage.digests import CHUNK_BYTES, Digest
from embedtune.storage.web.heads import bound_heads

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.2
_CONNECT_RETRIES = 3
_READ_TIMEOUT_S = 60.0
_CONNECTIONS = 16

Request = Callable[[int], BaseHTTPResponse]
"""Asks for the body from a byte offset on; raises if the server refuses."""


def http_pool(retries: int = 3, proxy: str = "") -> PoolManager:
    """Return an HTTP client that verifies certificates, gives up after seconds and retries what is worth it.

    Requests are repeated if the connection breaks or the server answers 500, 502, 503 or 504, whatever it says in
    Retry-After, which could be days. The head of an answer has a minute, however slowly it comes; a body may take as
    long as something of it comes each minute. SSL_CERT_FILE may name a file of accepted certificate authorities.

    Args:
        retries: How often, after 0, 0.4, 0.8, 1.6 ... s; a connection that is refused is tried three times more.
        proxy: Address of the proxy to go through; '' for none.
    """
    policy = Retry(
        total=None,
        connect=min(retries, _CONNECT_RETRIES),
        read=retries,
        status=retries,
        other=0,
        redirect=0,
        backoff_factor=0.2,
        # All methods: the POST requests of the store start, complete and delete, which may be done twice.
        allowed_methods=None,
        status_forcelist=(500, 502, 503, 504),
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    settings: dict[str, Any] = {
        "timeout": Timeout(connect=3.0, read=_READ_TIMEOUT_S),
        "retries": policy,
        "maxsize": _CONNECTIONS,
        "ca_certs": os.environ.get("SSL_CERT_FILE") or certifi.where(),
    }
    return bound_heads(ProxyManager(proxy, **settings) if proxy else PoolManager(**settings))


def receive(
    request: Request,
    target: Path,
    what: str,
    advance: Advance,
    digest: Digest | None = None,
    resume: bool = False,
) -> int:
    """Write a body to a file, going on where a broken connection stopped.

    Args:
        request: Called with the number of bytes that are there already.
        target: File to write.
        what: Address, for messages.
        advance: Told the number of bytes written.
        digest: Fed what is written.
        resume: Whether `target` holds the beginning already, rather than nothing of worth.

    Returns:
        The number of bytes in the file.

    Raises:
        StorageError: the disk is full, or what `request` raises.
        HTTPError: the connection broke again and again without anything coming between.
    """
    try:
        with target.open("ab" if resume else "wb") as file:
            attempt = 0
            while True:
                before = file.tell()
                try:
                    _copy(request, file, advance, digest)
                    return file.tell()
                except HTTPError:
                    attempt = 1 if file.tell() > before else attempt + 1
                    if attempt == _ATTEMPTS:
                        raise
                    time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
    except OSError as error:
        raise StorageError(
            f"{what} cannot be stored in {target.parent}: {reason(error)}. Free some space there."
        ) from error


def read_whole(request: Callable[[], BaseHTTPResponse], limit: int) -> bytes:
    """Return a small body as it is stored, asking again where the connection breaks.

    Args:
        request: Asks for the body.
        limit: Bytes after which no more is read; one byte more than this tells that there is more.

    Raises:
        HTTPError: the connection broke again and again.
    """
    attempt = 1
    while True:
        response = request()
        try:
            content = bytearray()
            while piece := response.read(limit + 1 - len(content), decode_content=False):
                content += piece
            return bytes(content)
        except HTTPError:
            if attempt == _ATTEMPTS:
                raise
            time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
            attempt += 1
        finally:
            response.close()
            response.release_conn()


def _copy(request: Request, file: BinaryIO, advance: Advance, digest: Digest | None) -> None:
    response = request(file.tell())
    try:
        for chunk in response.stream(CHUNK_BYTES):
            file.write(chunk)
            if digest is not None:
                digest.update(chunk)
            advance(len(chunk))
    finally:
        response.close()
        response.release_conn()
