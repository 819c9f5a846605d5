"""The head of an HTTP response, within a limit of time. Imports urllib3."""

import socket
import time
from collections.abc import Callable

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.response import HTTPResponse

from embedtune.storage.web.bodies import SlowError, stopped_at


def bound_heads(manager: PoolManager) -> PoolManager:
    """Let a client wait for the head of a response no longer than its read time-out, even if it comes byte by byte.

    Args:
        manager: A client that is not used yet.

    Returns:
        The same client. A head that is late counts as one that did not come, and is asked for again as often.
    """
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def _in_time(connection: HTTPConnection, wait: Callable[[], HTTPResponse]) -> HTTPResponse:
    sock, timeout = connection.sock, connection.timeout
    if sock is None or not isinstance(timeout, (int, float)):
        return wait()
    try:
        with stopped_at(time.monotonic() + timeout, lambda: sock.shutdown(socket.SHUT_RDWR), "The answer"):
            return wait()
    except SlowError as error:
        # What urllib3 expects of a socket that times out.
        raise TimeoutError(str(error)) from error


class _Connection(HTTPConnection):
    # http.client's own class has another response, which urllib3 replaces in the same way.
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Wait for the head of a response, but not too long."""
        return _in_time(self, super().getresponse)


class _SecureConnection(HTTPSConnection):
    # http.client's own class has another response, which urllib3 replaces in the same way.
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        """Wait for the head of a response, but not too long."""
        return _in_time(self, super().getresponse)


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection
