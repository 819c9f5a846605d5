"""Progress of long work: a bar on a terminal, plain lines in a pod, events for a parent process.

The local runner sets `EMBEDTUNE_EVENTS` to a file and reads from it what its steps are doing; see `emit`.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

EVENTS_VARIABLE = "EMBEDTUNE_EVENTS"
"""Environment variable with the path of the event file; unset outside the local runner."""

_EVENT_INTERVAL = 0.2
_LINE_INTERVAL = 10.0

Advance = Callable[[int], None]
"""Called with the number of units done since the last call."""


def silent(_: int) -> None:
    """Take a report of progress and tell nobody."""


def emit(event: str, fields: dict[str, object]) -> None:
    """Append one event to the event file, if there is one and it can be written; work never fails for want of it.

    Args:
        event: 'start', 'progress', 'note', 'end' or 'error'.
        fields: JSON-serialisable details.
    """
    path = os.environ.get(EVENTS_VARIABLE)
    if not path:
        return
    # ASCII, because a file name that is no UTF-8 reaches a message as half surrogates, which no file can hold.
    line = json.dumps({"event": event, "time": time.time(), "process": os.getpid(), **fields}, ensure_ascii=True)
    with suppress(OSError), open(path, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def note(text: str) -> None:
    """Tell a person one fact about the data: through the parent process if there is one, else on stderr."""
    if os.environ.get(EVENTS_VARIABLE):
        emit("note", {"text": text})
    else:
        sys.stderr.write(f"{text}\n")


@contextmanager
def progress(description: str, total: int | None, unit: str) -> Iterator[Advance]:
    """Show how far a loop has come.

    Args:
        description: What is being done, such as 'Encoding the index'.
        total: Number of units, or None where it is unknown.
        unit: Plural name of one unit, such as 'rows'.

    Yields:
        A function to call with the number of units just done.
    """
    if os.environ.get(EVENTS_VARIABLE):
        yield _event_advance(description, total, unit)
    elif sys.stderr.isatty():
        with _bar(unit) as bar:
            task = bar.add_task(description, total=total)
            yield lambda done: bar.advance(task, done)
    else:
        yield _line_advance(description, total, unit)


def _bar(unit: str) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _event_advance(description: str, total: int | None, unit: str) -> Advance:
    count, last = 0, 0.0

    def advance(done: int) -> None:
        nonlocal count, last
        count += done
        now = time.monotonic()
        if now - last >= _EVENT_INTERVAL or count == total:
            last = now
            emit("progress", {"description": description, "done": count, "total": total, "unit": unit})

    return advance


def _line_advance(description: str, total: int | None, unit: str) -> Advance:
    count = 0
    start = last = time.monotonic()

    def advance(done: int) -> None:
        nonlocal count, last
        count += done
        now = time.monotonic()
        if now - last < _LINE_INTERVAL and not (count == total and now - start >= _LINE_INTERVAL):
            return
        last = now
        rate = count / (now - start)
        left = f", {(total - count) / rate:.0f} s left" if total is not None and rate > 0 else ""
        of_total = f"/{total}" if total is not None else ""
        sys.stderr.write(f"{description}: {count}{of_total} {unit}, {rate:.{0 if rate >= 10 else 1}f}/s{left}\n")
        sys.stderr.flush()

    return advance
