"""The body of an HTTP response, within limits of size and time. Imports urllib3."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError

from embedtune.errors import StorageError
from embedtune.storage.errors import UnreachableError, too_large

_PIECE_BYTES = 1 << 16


class SlowError(UnreachableError):
    """A server did not send all of a content in time."""


def read_body(response: BaseHTTPResponse, what: str, max_bytes: int, deadline: float) -> bytes:
    """Return the whole body of a response, and give its connection back.

    Args:
        response: A response whose body is not read yet.
        what: Address, for messages.
        max_bytes: Largest accepted size.
        deadline: When it must have come, as `time.monotonic` counts.

    Raises:
        SlowError: it did not come in time, however slowly it drips.
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
        with stopped_at(deadline, response.shutdown, what):
            while piece := response.read(_PIECE_BYTES, decode_content=False):
                pieces.append(piece)
                size += len(piece)
                if size > max_bytes:
                    raise too_large(what, max_bytes)
    except BaseException:
        response.close()
        raise
    response.release_conn()
    return b"".join(pieces)


@contextmanager
def stopped_at(deadline: float, stop: Callable[[], None], what: str) -> Iterator[None]:
    """Call `stop` from another thread if the block still runs at the deadline; then the block ends with SlowError.

    A socket's own time-out starts anew with each byte, so it does not bound a whole answer.
    """
    is_late = threading.Event()

    def end() -> None:
        is_late.set()
        with suppress(OSError, ValueError, RuntimeError):  # closed or given back already
            stop()

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (HTTPError, HTTPException, OSError) as error:
        if is_late.is_set():
            raise SlowError(f"{what} did not come in time.") from error
        raise
    finally:
        timer.cancel()
    if is_late.is_set():
        raise SlowError(f"{what} did not come in time.")
