"""A step tells its parent process that it starts, ends or fails, and why."""

import json
from pathlib import Path

import pytest

from embedtune.errors import InputError
from embedtune.progress import EVENTS_VARIABLE
from embedtune.steps.running import step


@step
def divide(number: int, by: int = 1) -> float:
    """Divide."""
    if by == 1:
        raise InputError("by is 1, which changes nothing; give 2 or more.")
    if by < 0:
        raise KeyboardInterrupt
    return number / by


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "events.jsonl"
    monkeypatch.setenv(EVENTS_VARIABLE, str(path))
    return path


def read(path: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for event in found:
        del event["time"], event["process"]
    return found


def test_step_keeps_its_name_signature_and_result(events: Path) -> None:
    assert divide.__name__ == "divide"
    assert divide.__doc__ == "Divide."
    assert divide(6, by=4) == 1.5


def test_start_and_end(events: Path) -> None:
    divide(6, 2)
    assert read(events) == [{"event": "start", "step": "divide"}, {"event": "end", "step": "divide"}]


def test_our_errors_travel_as_their_message(events: Path) -> None:
    with pytest.raises(InputError, match="by is 1"):
        divide(6)
    assert read(events) == [
        {"event": "start", "step": "divide"},
        {
            "event": "error",
            "step": "divide",
            "message": "by is 1, which changes nothing; give 2 or more.",
            "explained": True,
        },
    ]


def test_other_errors_travel_with_their_kind(events: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        divide(6, 0)
    assert read(events)[-1] == {
        "event": "error",
        "step": "divide",
        "message": "ZeroDivisionError: division by zero",
        "explained": False,
    }


def test_an_interruption_is_told_too(events: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        divide(6, -1)
    assert read(events)[-1] == {
        "event": "error",
        "step": "divide",
        "message": "KeyboardInterrupt: ",
        "explained": False,
    }


def test_without_a_parent_nothing_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(EVENTS_VARIABLE, raising=False)
    assert divide(6, 2) == 3.0
    with pytest.raises(InputError):
        divide(6)
