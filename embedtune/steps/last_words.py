"""The one line that a failed step leaves: as its pod's termination message, and as the last line of its log.

Kubernetes keeps what a container writes to its termination log after the container is gone, and Argo shows it.
"""

import os
import signal
import sys
from contextlib import suppress
from traceback import format_exception
from types import FrameType, TracebackType

from embedtune.cluster.failures import FAILED_WORDS
from embedtune.errors import explain
from embedtune.redaction import redacted
from embedtune.reports.text import shorten
from embedtune.steps.running import emit_error

TERMINATION_VARIABLE = "EMBEDTUNE_TERMINATION_LOG"
"""Environment variable with the path of the termination log; a file that is not there is not made."""
_TERMINATION_LOG = "/dev/termination-log"
_MOST_BYTES = 4096
"""What Kubernetes keeps of a termination message."""
_CUT = "…"


def leave_last_words(step: str) -> None:
    """From now on, end a failure of this process with one line that says which step failed, why, and what to do.

    To be called by what runs a step in a process of its own. The log keeps the traceback, above the line and without
    secrets either. Processes that this one forks do not speak for it.

    Args:
        step: Name of the step.
    """
    process = os.getpid()

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        try:
            # The launcher keeps the log in the store, where others read it.
            sys.stderr.write(redacted("".join(format_exception(kind, error, trace))))
        finally:
            if os.getpid() == process:
                emit_error(step, error)
                _leave(failure_line(step, error))

    def stop(number: int, _frame: FrameType | None) -> None:
        if os.getpid() == process:
            _leave(_line(step, _STOPPED))
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    sys.excepthook = end
    signal.signal(signal.SIGTERM, stop)


_STOPPED = (
    "It was told to stop (SIGTERM), as at its deadline, when its node is drained, or when somebody stops the run. "
    "Retry the run: steps that had finished are not run again."
)


def failure_line(step: str, error: BaseException) -> str:
    """Return the line for an error: at most 4096 bytes, without secrets and without a traceback."""
    if isinstance(error, KeyboardInterrupt):
        return _line(step, "It was interrupted. Retry the run.")
    if isinstance(error, MemoryError):
        return _line(step, "Memory ran out. Give the task more of it (train_memory for the steps that run a model).")
    told = explain(error)
    if told:
        return _line(step, told)
    # Without secrets before it is cut, for a part of one is not known again.
    words = redacted(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
    return _line(
        step,
        f"It met an error that it does not know ({shorten(words, _MOST_BYTES // 4)}), a fault of embedtune or of a "
        "library. The traceback is in its log, above this line; report it with the parameters of the run.",
    )


def _line(step: str, reason: str) -> str:
    line = f"{step}{FAILED_WORDS}{shorten(redacted(reason), _MOST_BYTES)}"
    whole = line.encode()
    if len(whole) <= _MOST_BYTES:
        return line
    return whole[: _MOST_BYTES - len(_CUT.encode())].decode(errors="ignore") + _CUT


def _leave(line: str) -> None:
    """Write the line where Kubernetes looks for it, if that is anywhere, and end the log with it."""
    data = line.encode()
    with suppress(OSError, RuntimeError):  # the latter where a signal came while it was being written
        sys.stdout.flush()
    with suppress(OSError), open(os.environ.get(TERMINATION_VARIABLE, _TERMINATION_LOG), "r+b", buffering=0) as file:
        file.truncate()
        file.write(data)
    with suppress(OSError):
        os.write(2, data + b"\n")  # a signal may have come in the middle of a print
