"""What a person sees while a pipeline runs here."""

import time

import pytest

from pipelines.local_display import Display

STEPS = ["resolve_data", "ingest_csv", "finetune"]


def shown(events: list[tuple[str, str, float]], succeeded: bool, capsys: pytest.CaptureFixture[str]) -> list[str]:
    with Display(verbose=False) as display:
        for event, step, when in events:
            display.show({"event": event, "step": step, "process": 7, "time": when})
        display.finish(succeeded)
    return capsys.readouterr().err.splitlines()


def test_one_line_per_step(capsys: pytest.CaptureFixture[str]) -> None:
    events = [("start", STEPS[0], 1.0), ("end", STEPS[0], 1.5), ("start", STEPS[1], 2.0), ("end", STEPS[1], 14.25)]
    events += [("start", STEPS[2], 15.0), ("error", STEPS[2], 16.0)]
    assert shown(events, False, capsys) == [
        "✓ resolve_data            0.5 s",
        "✓ ingest_csv             12.2 s",
        "✗ finetune                1.0 s",
    ]


def test_steps_from_the_cache_tell_again_what_they_told(capsys: pytest.CaptureFixture[str]) -> None:
    with Display(verbose=False) as display:
        for notes in (["120 rows", "8 queries only"], ["7 rows"]):
            display.show({"event": "cached", "step": "ingest_csv", "process": 7, "time": 1.0, "notes": notes})
    assert capsys.readouterr().err.splitlines() == [
        "✓ ingest_csv           unchanged, taken from an earlier run",
        "    120 rows",
        "    8 queries only",
        "    7 rows",
    ]
    assert display.seconds == {}


def test_the_end_of_a_step_that_never_began_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("end", STEPS[0], 1.0), ("error", STEPS[1], 2.0)], True, capsys) == []


def test_a_failed_run_claims_nothing_of_the_steps_after(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("start", STEPS[0], 1.0), ("error", STEPS[0], 1.0)], False, capsys) == [
        "✗ resolve_data            0.0 s"
    ]


def test_a_step_that_ends_without_a_word_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown([("start", STEPS[0], 1.0)], False, capsys) == ["✗ resolve_data"]


def test_a_step_that_runs_for_several_files_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    step = STEPS[1]
    with Display(verbose=False) as display:
        for event, process, when in (("start", 7, 1.0), ("start", 8, 2.0), ("end", 7, 4.0)):
            display.show({"event": event, "step": step, "process": process, "time": when})
        assert display.running == step
        display.show({"event": "end", "step": step, "process": 8, "time": 7.0})
        assert display.running == ""
    assert display.seconds == {step: 8.0}
    assert capsys.readouterr().err.splitlines() == [
        "✓ ingest_csv              3.0 s",
        "✓ ingest_csv (2)          5.0 s",
    ]


def test_progress_is_a_plain_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    event = {"event": "progress", "description": "Fine-tuning", "unit": "steps"}
    with Display(verbose=False) as display:
        display.show({"event": "start", "step": "finetune", "process": 7, "time": 1.0})
        display.show({**event, "done": 1, "total": 40})
        now[0] += 11.0
        display.show({**event, "done": 20, "total": 40})
        display.show({**event, "done": 21, "total": 40})
        now[0] += 11.0
        display.show({**event, "done": 50, "total": None})
    lines = capsys.readouterr().err.splitlines()
    assert lines[-2:] == ["    finetune: Fine-tuning, 20/40 steps", "    finetune: Fine-tuning, 50 steps"]


def test_lines_of_the_log_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    line = "[bold]" + "x" * 300 + " \x1b[95m'finetune'\x1b[0m"
    Display(verbose=True).print(line)
    assert capsys.readouterr().err == "[bold]" + "x" * 300 + " 'finetune'\n"


def test_notes_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "916 rows, 0 set aside; layout labelled, detected; header [yes], detected; "
        + "columns used: text and label " * 3
    )
    with Display(verbose=False) as display:
        display.show({"event": "start", "step": STEPS[1], "process": 7, "time": 1.0})
        display.show({"event": "note", "text": text, "time": 1.5})
    assert capsys.readouterr().err == f"    {text}\n"
