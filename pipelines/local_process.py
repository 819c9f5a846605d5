"""A child process whose whole process group ends with the caller, however that ends.

A caller that can still act ends the group itself. For one that cannot (SIGKILL, no memory left), every process of the
group watches a pipe whose other end only the caller has: the system closes it with the caller. Nobody between the two
needs to be alive for that, and a process that starts too late finds the pipe closed.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

GRACE_SECONDS = 60.0
"""How long a stopped run may take to write its checkpoint."""
_REPEAT_SECONDS = 20.0
"""A task that had not begun when the others were told to stop is told then."""
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.05
_INHERITED = "EMBEDTUNE_INHERITED"
"""Environment variable: numbers of the open files that every process of the group inherits, the pipe's first."""


@contextmanager
def child_process(
    module: str, argument: Path, log: Path, environment: dict[str, str], held: tuple[int, ...]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a Python module in a process group of its own; on leaving, nothing of the group is left.

    SIGTERM and a closed terminal end the caller as Ctrl-C does.

    Args:
        module: Name of the module; it and every process that it starts should call `end_with_caller`.
        argument: The module's only argument.
        log: File for everything the group prints.
        environment: Environment variables.
        held: Open files for the child to inherit.

    Raises:
        KeyboardInterrupt: the caller was told to stop.
    """
    with _interrupted_by(signal.SIGTERM, signal.SIGHUP), _lifeline() as lifeline:
        inherited = (lifeline, *held)
        with log.open("wb") as file:
            child = subprocess.Popen(
                [sys.executable, "-m", module, str(argument)],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**environment, _INHERITED: " ".join(map(str, inherited))},
                start_new_session=True,
                pass_fds=inherited,
            )
        try:
            yield child
        finally:
            _end_group(child)


@contextmanager
def _lifeline() -> Iterator[int]:
    """Give the reading end of a pipe, which ends when this process does."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def inherited_files() -> tuple[int, ...]:
    """Return the open files that a process of the group hands on to those it starts."""
    return tuple(map(int, os.environ[_INHERITED].split()))


def end_with_caller() -> None:
    """Make this process end when the caller of `child_process` is gone, as if it had been told to stop."""
    threading.Thread(target=_watch, args=(inherited_files()[0],), daemon=True).start()


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)  # nobody writes: it returns when the caller has ended
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


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
        ended = _ended(child, signal.SIGTERM, GRACE_SECONDS)
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
