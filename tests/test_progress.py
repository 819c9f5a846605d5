"""Progress as events for a parent process, as plain lines in a pod, and as a bar on a terminal."""

import io
import json
import os
import sys
import time
from pathlib import Path

import pytest

from embedtune.progress import EVENTS_VARIABLE, emit, note, progress


class Clock:
    """A clock that only the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS_VARIABLE, str(path))
    return path


@pytest.fixture
def _no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_event_is_one_line_with_its_time(events: Path) -> None:
    before = time.time()
    emit("start", {"step": "finetune", "text": "zwei\nZeilen, größer"})
    emit("end", {"step": "finetune"})
    assert events.read_text(encoding="utf-8").count("\n") == 2
    start, end = read(events)
    assert before <= start.pop("time") <= end.pop("time") <= time.time()
    assert start.pop("process") == end.pop("process") == os.getpid()
    assert start == {"event": "start", "step": "finetune", "text": "zwei\nZeilen, größer"}
    assert end == {"event": "end", "step": "finetune"}


@pytest.mark.usefixtures("_no_events")
def test_without_a_parent_there_are_no_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    emit("start", {"step": "finetune"})
    assert list(tmp_path.iterdir()) == []


def test_empty_variable_means_no_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(EVENTS_VARIABLE, "")
    emit("start", {"step": "finetune"})
    assert list(tmp_path.iterdir()) == []


def test_progress_events_come_a_few_times_a_second_and_at_the_end(events: Path, clock: Clock) -> None:
    with progress("Reading", 10, "rows") as advance:
        for _ in range(10):
            advance(1)
            clock.now += 0.07
    found = read(events)
    assert [event["done"] for event in found] == [1, 4, 7, 10]
    assert {(event["event"], event["description"], event["total"], event["unit"]) for event in found} == {
        ("progress", "Reading", 10, "rows")
    }


def test_last_event_comes_at_once(events: Path, clock: Clock) -> None:
    with progress("Reading", 5, "rows") as advance:
        advance(2)
        advance(2)
        advance(1)
    assert [event["done"] for event in read(events)] == [2, 5]


def test_total_may_be_unknown(events: Path, clock: Clock) -> None:
    with progress("Reading", None, "rows") as advance:
        advance(7)
    assert [(event["done"], event["total"]) for event in read(events)] == [(7, None)]


@pytest.mark.usefixtures("_no_events")
def test_short_work_prints_nothing(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Reading", 3, "rows") as advance:
        for _ in range(3):
            advance(1)
            clock.now += 3.0
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("_no_events")
def test_long_work_prints_count_rate_and_time_left(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Encoding the index", 100, "texts") as advance:
        for _ in range(10):
            clock.now += 4.0
            advance(10)
    assert capsys.readouterr().err.splitlines() == [
        "Encoding the index: 30/100 texts, 2.5/s, 28 s left",
        "Encoding the index: 60/100 texts, 2.5/s, 16 s left",
        "Encoding the index: 90/100 texts, 2.5/s, 4 s left",
        "Encoding the index: 100/100 texts, 2.5/s, 0 s left",
    ]


@pytest.mark.usefixtures("_no_events")
def test_lines_without_a_total(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("Downloading", None, "bytes") as advance:
        advance(100)
        clock.now += 20.0
        advance(60_000_000)
    assert capsys.readouterr().err == "Downloading: 60000100 bytes, 3000005/s\n"


@pytest.mark.usefixtures("_no_events")
def test_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress("Reading", 4, "rows") as advance:
        advance(4)
    text = terminal.getvalue()
    assert "Reading" in text
    assert "4/4" in text
    assert text.endswith("\x1b[2K")  # the bar is gone when the work is done


def test_notes_go_to_the_parent_process(events: Path) -> None:
    note("12 rows, header yes")
    (event,) = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    assert event["event"] == "note"
    assert event["text"] == "12 rows, header yes"


@pytest.mark.usefixtures("_no_events")
def test_notes_without_a_parent_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    note("12 rows, header yes")
    assert capsys.readouterr().err == "12 rows, header yes\n"
