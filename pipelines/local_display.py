"""What a person sees while a pipeline runs here: one line per step, and a bar for long work."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

_PLAIN_SECONDS = 10.0
"""Seconds between lines of progress where there is no terminal."""


class Display:
    """Turns the steps' events into lines."""

    def __init__(self, verbose: bool) -> None:
        """Prepare.

        Args:
            verbose: Whether the log is shown as well, which leaves no room for a bar.
        """
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._animated = self._console.is_terminal and not verbose
        self._task: TaskID | None = None
        self._started: dict[tuple[str, int], float] = {}
        self._ends: dict[str, int] = {}
        self._told: set[str] = set()
        self._last_line = 0.0
        self.seconds: dict[str, float] = {}
        """Wall time of each step that ran; of a step that ran for several files, the sum."""

    @property
    def running(self) -> str:
        """The step that started last and said nothing of its end, or ''."""
        return next(reversed(self._started))[0] if self._started else ""

    def __enter__(self) -> "Display":
        if self._animated:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._animated:
            self._bar.stop()

    def show(self, event: dict[str, Any]) -> None:
        """Show one event, as `local_events.read_events` returns it."""
        match event["event"]:
            case "start":
                self._start(event["step"], event["process"], event["time"])
            case "progress":
                self._progress(event)
            case "note":
                self._note(event["text"])
            case "cached":
                self._cached(event["step"], event["notes"])
            case "end":
                self._end(event["step"], event["process"], event["time"], "[green]✓[/]")
            case "error":
                self._end(event["step"], event["process"], event["time"], "[red]✗[/]")

    def _note(self, text: str) -> None:
        """Show a sentence, once: what the reading of the data warns of, the building says again."""
        if text not in self._told:
            self._told.add(text)
            self._console.print(f"    {text}", markup=False, soft_wrap=True)

    def print(self, line: str) -> None:
        """Show a line of the log, with its colours where there is a terminal."""
        self._console.print(Text.from_ansi(line))

    def finish(self, succeeded: bool) -> None:
        """Name the step that ended without a word, if there is one."""
        if not succeeded and self.running:
            self._drop_bar()
            self._console.print(f"[red]✗[/] {self.running}")

    def _start(self, step: str, process: int, when: float) -> None:
        self._started[step, process] = when
        self._last_line = time.monotonic()
        if self._animated:
            self._drop_bar()
            self._task = self._bar.add_task(step, total=None, count="")

    def _progress(self, event: dict[str, Any]) -> None:
        scale, unit = (1_000_000, "MB") if event["unit"] == "bytes" else (1, event["unit"])
        total = f"/{event['total'] // scale}" if event["total"] is not None else ""
        count = f"{event['done'] // scale}{total} {unit}"
        if self._animated and self._task is not None:
            description = f"{self.running}: {event['description']}"
            self._bar.update(
                self._task, description=description, completed=event["done"], total=event["total"], count=count
            )
        elif not self._animated and time.monotonic() - self._last_line >= _PLAIN_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"    {self.running}: {event['description']}, {count}", markup=False)

    def _end(self, step: str, process: int, when: float, sign: str) -> None:
        started = self._started.pop((step, process), None)
        if started is None:
            return  # of a process that never began here
        self._drop_bar()
        seconds = when - started
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds
        self._ends[step] = self._ends.get(step, 0) + 1
        name = f"{step} ({self._ends[step]})" if self._ends[step] > 1 else step
        self._console.print(f"{sign} {name:<20} {seconds:6.1f} s")

    def _cached(self, step: str, notes: list[str]) -> None:
        if step not in self._ends:
            self._ends[step] = 0
            self._console.print(f"[green]✓[/] {step:<20} unchanged, taken from an earlier run")
        for text in notes:
            self._note(text)

    def _drop_bar(self) -> None:
        if self._task is not None:
            self._bar.remove_task(self._task)
            self._task = None
