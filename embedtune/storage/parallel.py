"""Several transfers at a time."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

from embedtune.progress import Advance

_TRANSFERS = 4

Item = TypeVar("Item")


class _StoppedError(Exception):
    """Another transfer failed, so this one is not worth its end."""


def transfer_all(work: Callable[[Item, Advance], None], items: Sequence[Item], advance: Advance) -> None:
    """Do something with every item, a few at a time in threads.

    Args:
        work: Called with an item and a function to call with the bytes just done, which all share.
        items: In the order in which they are begun.
        advance: Told the bytes done, by one thread at a time.

    Raises:
        Exception: the first error of `work`, or an interruption; the transfers under way end at their next report.
    """
    stopped, lock = threading.Event(), threading.Lock()

    def report(count: int) -> None:
        if stopped.is_set():
            raise _StoppedError
        with lock:
            advance(count)

    with ThreadPoolExecutor(_TRANSFERS) as pool:
        futures = [pool.submit(work, item, report) for item in items]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            # Also where nothing failed, which then stops nothing.
            stopped.set()
            pool.shutdown(cancel_futures=True)
    errors = [error for future in futures if not future.cancelled() and (error := future.exception()) is not None]
    for error in errors:
        if not isinstance(error, _StoppedError):
            raise error
