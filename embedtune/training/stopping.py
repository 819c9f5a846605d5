"""What tells a process to stop. Imports no torch."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def told_to_stop(act: Callable[[int], None]) -> Iterator[None]:
    """Do something else at SIGTERM (a pod's end, 30 s before it is killed) and Ctrl-C than to end.

    Args:
        act: Takes the number of the signal.
    """

    def handle(number: int, _frame: FrameType | None) -> None:
        act(number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen, and whoever started another one stops it
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
