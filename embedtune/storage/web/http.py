"""Talk HTTP: clients that give up in time, bodies within limits, servers that are given up. Imports urllib3."""

import os
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import certifi
from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Retry, Timeout
from urllib3.exceptions import HTTPError, MaxRetryError

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance
from embedtune.storage.digests import CHUNK_BYTES, Digest
from embedtune.storage.errors import UnreachableError, too_large

_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.2
_CONNECT_RETRIES = 3
_CONNECT_TIMEOUT_S = 3.0
_READ_TIMEOUT_S = 60.0
_SERVERS, _CONNECTIONS = 64, 32
_PIECE_BYTES = 1 << 16
_MOST_FAILURES = 5

# What minio takes, returns and raises: the names by which it is known outside this package.
Pool = PoolManager
Response = BaseHTTPResponse
TransferError = HTTPError

Request = Callable[[int], BaseHTTPResponse]
"""Asks for the body from a byte offset on; raises if the server refuses."""

_CLASS = re.compile(r"^\w*Connection\w*\([^)]*\): ")


class HostMemory:
    """What is known of servers; may be used by many threads at once.

    A server that never answered is given up at the first failed connection, any other after five failures in a row.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lock = threading.Lock()
        self._answered: set[str] = set()
        self._failures: dict[str, int] = {}
        self._given_up: dict[str, str] = {}

    def check(self, host: str) -> None:
        """Raise UnreachableError, with the reason, if a server was given up."""
        reason = self._given_up.get(host)
        if reason is not None:
            raise UnreachableError(f"{host} was not asked again, because it could not be reached before: {reason}.")

    def answered(self, host: str) -> None:
        """Note that a server answered in full."""
        with self._lock:
            self._answered.add(host)
            self._failures.pop(host, None)
            self._given_up.pop(host, None)

    def failed(self, host: str, reason: str, connected: bool) -> None:
        """Note that a server could not be connected to, or broke off or was too slow later."""
        with self._lock:
            self._failures[host] = self._failures.get(host, 0) + 1
            is_unknown = host not in self._answered and not connected
            if is_unknown or self._failures[host] >= _MOST_FAILURES:
                self._given_up[host] = reason


class SlowError(UnreachableError):
    """A server did not send all of a content in time."""


def http_pool(retries: int = 3, proxy: str = "") -> PoolManager:
    """Return the HTTP client of this process that verifies certificates, gives up and retries what is worth it.

    Requests are repeated if the connection breaks or the server answers 500, 502, 503 or 504, whatever it says in
    Retry-After, which could be days. A head or a body may take as long as something of it comes each minute: only
    servers that someone named are asked, and one of these that drips on purpose holds up who asked it.
    SSL_CERT_FILE may name a file of accepted certificate authorities.

    Args:
        retries: How often, after 0, 0.4, 0.8, 1.6 ... s; a connection that is refused is tried three times more.
        proxy: Address of the proxy to go through; '' for none.
    """
    attempts = (None, min(retries, _CONNECT_RETRIES), retries, retries)
    return _pool(attempts, proxy, _READ_TIMEOUT_S, certificates(), os.getpid())


def content_pool(timeout_s: float) -> PoolManager:
    """Return the HTTP client of this process for small contents, which gives up after so many seconds of silence."""
    return _pool((2, 1, 1, 2), "", timeout_s, certificates(), os.getpid())


# Of each process its own, for two processes must not read from one connection.
@lru_cache(maxsize=16)
def _pool(
    retries: tuple[int | None, int, int, int], proxy: str, read_timeout_s: float, authorities: str, _process: int
) -> PoolManager:
    """Return the one client for these settings; `retries` are those in all, to connect, to read and after a status."""
    total, connect, read, status = retries
    policy = Retry(
        total=total,
        connect=connect,
        read=read,
        status=status,
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
        "timeout": Timeout(connect=min(_CONNECT_TIMEOUT_S, read_timeout_s), read=read_timeout_s),
        "retries": policy,
        "num_pools": _SERVERS,
        "maxsize": _CONNECTIONS,
        "ca_certs": authorities,
    }
    return ProxyManager(proxy, **settings) if proxy else PoolManager(**settings)


def proxy_for(url: str) -> str:
    """Return the proxy that `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` name for an address, '' for none."""
    parts = urlsplit(url)
    return "" if urllib.request.proxy_bypass(parts.netloc) else urllib.request.getproxies().get(parts.scheme, "")


def certificates() -> str:
    """Return the file of accepted certificate authorities."""
    return os.environ.get("SSL_CERT_FILE") or certifi.where()


def reason_of(error: Exception) -> str:
    """Say what went wrong without the address, the retries and the name of a class that urllib3 puts around it."""
    return _CLASS.sub("", str(error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error))


def read_body(response: BaseHTTPResponse, what: str, max_bytes: int, deadline: float) -> bytes:
    """Return the whole body of a response, and give its connection back.

    The deadline is looked at after each piece that comes, so a body that drips ends one time-out of the client later
    at most. Inside the length of a chunk (RFC 9112, 7.1) no piece comes: a server that drips there is stopped by
    http.client, after 64 KiB.

    Args:
        response: A response whose body is not read yet.
        what: Address, for messages.
        max_bytes: Largest accepted size.
        deadline: When it must have come, as `time.monotonic` counts.

    Raises:
        SlowError: it did not come in time.
        StorageError: it is too large, or compressed.
        HTTPError: the connection broke.
    """
    pieces, size = [], 0
    length = response.headers.get("Content-Length", "")
    try:
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise StorageError(f"{what} is sent compressed, which was not asked for. Serve it as it is.")
        if length.isdecimal() and int(length) > max_bytes:
            raise too_large(what, max_bytes)
        while piece := response.read1(_PIECE_BYTES, decode_content=False):
            pieces.append(piece)
            size += len(piece)
            if size > max_bytes:
                raise too_large(what, max_bytes)
            if time.monotonic() > deadline:
                raise SlowError(f"{what} did not come in time.")
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(pieces)


def receive(
    request: Request,
    target: Path,
    what: str,
    advance: Advance,
    digest: Digest | None = None,
    resume: bool = False,
) -> int:
    """Write a body to a file, going on where a broken connection stopped; return the number of bytes in the file.

    The request is called with the number of bytes that are there already; `resume` says that `target` holds the
    beginning, rather than nothing of worth. A digest is fed what is written. Where the connection broke again and
    again, and too little came between, the error of urllib3 is raised.
    """
    try:
        with target.open("ab" if resume else "wb") as file:
            attempt = 0
            while True:
                before = file.tell()
                try:
                    _copy(request(before), file, advance, digest)
                    return file.tell()
                except HTTPError as error:
                    attempt = 1 if file.tell() - before >= CHUNK_BYTES else attempt + 1
                    _pause(attempt, error)
    except OSError as error:
        raise StorageError(
            f"{what} cannot be stored in {target.parent}: {reason(error)}. Free some space there."
        ) from error


def read_whole(request: Callable[[], BaseHTTPResponse], limit: int) -> bytes:
    """Return a small body as it is stored, up to a byte more than `limit`, asking again where the connection breaks."""
    for attempt in range(1, _ATTEMPTS + 1):
        response = request()
        try:
            content = bytearray()
            while piece := response.read(limit + 1 - len(content), decode_content=False):
                content += piece
            break
        except HTTPError as error:
            _pause(attempt, error)
        finally:
            response.close()
            response.release_conn()
    return bytes(content)


def _copy(response: BaseHTTPResponse, file: BinaryIO, advance: Advance, digest: Digest | None) -> None:
    try:
        # What has come, however little: a whole chunk of a body that drips might never be there.
        while chunk := response.read1(CHUNK_BYTES):
            file.write(chunk)
            if digest is not None:
                digest.update(chunk)
            advance(len(chunk))
    finally:
        response.close()
        response.release_conn()


def _pause(attempt: int, error: HTTPError) -> None:
    """Wait before the next attempt, or raise the error of the last one."""
    if attempt == _ATTEMPTS:
        raise error
    time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
