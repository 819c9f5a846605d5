"""A child process whose whole process group ends with the caller, however that ends."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

_GRACE_SECONDS = 60.0
"""How long a stopped run may take to write its checkpoint."""
_REPEAT_SECONDS = 20.0
"""A task that had not begun when the others were told to stop is told then."""
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.05


@contextmanager
def child_process(
    module: str, argument: Path, log: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python module in a process group of its own; on leaving, nothing of the group is left.

    SIGTERM and a closed terminal end the caller as Ctrl-C does.

    Args:
        module: Name of the module.
        argument: The module's only argument.
        log: File for everything the group prints.
        environment: Environment variables.

    Raises:
        KeyboardInterrupt: the caller was told to stop.
    """
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP):
        with log.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", module, str(argument)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        try:
            yield child
        finally:
            _end_group(child)


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    """Ask a group to end and, after the grace period or when interrupted again, force it."""
    try:
        ended = _ended(child, signal.SIGTERM, _GRACE_SECONDS)
    except KeyboardInterrupt:
        ended = False
    if not ended:
        _ended(child, signal.SIGKILL, _KILL_SECONDS)


def _ended(child: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> bool:
    """Send a signal until the group is gone, and return whether it is."""
    deadline = time.monotonic() + seconds
    repeat = 0.0
    while time.monotonic() < deadline:
        child.poll()  # a process that nobody waits for stays in its group
        now = time.monotonic()
        try:
            os.killpg(child.pid, number if now >= repeat else 0)
        except ProcessLookupError:
            return True
        if now >= repeat:
            repeat = now + _REPEAT_SECONDS
        time.sleep(_POLL_SECONDS)
    return False
