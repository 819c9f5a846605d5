"""Runs that do not come to their end: what a person is told, what stays behind, and how the next run goes on."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

STEPS = ("resolve_data", "ingest_csv", "build_documents", "finetune", "evaluate_retrieval", "register_model")


def test_interruption_stops_the_training_with_a_checkpoint(stopped) -> None:
    assert stopped.code == 130
    assert stopped.steps == [
        *(f"✓ {step}" for step in STEPS[:3]),
        "✗ finetune",
    ]  # the data changed, so nothing is cached
    lines = stopped.err.splitlines()
    assert lines[-1] == "Stopped."
    assert re.match(r"Stopped at step \d+ of \d+", lines[-2])
    assert stopped.out == ""


def test_interruption_leaves_no_process_and_no_temporary_file(stopped, processes_of) -> None:
    assert processes_of(stopped.output) == []
    assert list(stopped.scratch.iterdir()) == []


def test_interruption_leaves_the_results_of_the_run_before(stopped, again) -> None:
    assert stopped.summary == again.summary


def trained(events: list[dict[str, Any]]) -> list[int]:
    """Return how far the training had come each time that it told."""
    return [event["done"] for event in events if event.get("description") == "Fine-tuning"]


def stopped_at(text: str) -> tuple[int, int]:
    """Return the step at which a training says that it stopped, and the number of its steps."""
    step, total = map(int, re.search(r"Stopped at step (\d+) of (\d+)", text).groups())
    return step, total


def test_next_run_goes_on_where_the_training_was(stopped, killed, resumed) -> None:
    step, total = stopped_at(stopped.err)
    assert trained(killed.events())[0] >= step > 0
    assert trained(resumed.events)[-1] == total


def test_a_killed_run_takes_its_training_along_and_the_next_goes_on(killed, resumed, processes_of) -> None:
    assert resumed.code == 0, resumed.err
    assert f"The run that process {killed.process.pid} had started in {resumed.output} was killed" in resumed.err
    (error,) = (event for event in killed.events() if event["event"] == "error")
    done = trained(resumed.events)
    assert 0 < stopped_at(error["message"])[0] <= done[0] < done[-1]
    unchanged = [f"✓ {step} unchanged," for step in STEPS[1:3]]
    assert resumed.steps == ["✓ resolve_data", *unchanged, *(f"✓ {step}" for step in STEPS[3:])]
    assert processes_of(resumed.output) == []
    assert resumed.summary["run"] == str(resumed.folder)
    assert not list(resumed.output.rglob(".*.part"))


def test_changed_data_makes_another_model(first, resumed) -> None:
    assert resumed.summary["data"]["version"] != first.summary["data"]["version"]
    assert resumed.summary["training"]["documents"] > first.summary["training"]["documents"]
    assert resumed.summary["registered"]["version"] == 2
    assert not list((resumed.output / "checkpoints").rglob("*.safetensors"))


def assert_one_message(run, step: str, message: str) -> None:
    assert run.code == 1
    assert run.steps[-1] == f"✗ {step}"
    assert [line for line in run.steps if line.startswith("✗")] == [f"✗ {step}"]
    assert f"Error: The step {step} failed: " in run.err
    assert message in run.err
    assert "Traceback" not in run.err
    assert f"The whole log is {run.folder / 'log.txt'}." in run.err
    assert "Traceback" in (run.folder / "log.txt").read_text(encoding="utf-8")
    assert run.out == ""


def test_missing_file(start, tmp_path: Path, processes_of) -> None:
    run = start(tmp_path / "out", "--data-uri", tmp_path / "none.csv").finish()
    assert_one_message(run, "resolve_data", f"{tmp_path / 'none.csv'} does not exist")
    assert processes_of(run.output) == []


def test_bad_file(start, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"text,label\nGr\xf6\xdfe,a\n" * 30)
    run = start(tmp_path / "out", "--data-uri", tmp_path / "bad.csv").finish()
    assert run.steps == ["✓ resolve_data", "✗ ingest_csv"]
    assert_one_message(run, "ingest_csv", "UTF-8")


def test_unknown_backbone_without_network_and_without_the_cache(resumed, start, source: Path) -> None:
    words = ("--model-backbone", "nobody/nothing", "--train-epochs", 30, "--no-cache")
    run = start(resumed.output, "--data-uri", source, *words).finish()
    assert run.steps == ["✗ resolve_data"]
    assert_one_message(run, "resolve_data", "Backbone 'nobody/nothing' is no folder here, and cannot be had")
    assert "HF_HUB_OFFLINE is set" in run.err
    assert run.summary == resumed.summary


@pytest.fixture
def hanging(start, tmp_path: Path):
    """A run whose first step takes for ever: its data are a terabyte of nothing, which takes no space on the disk."""
    with (tmp_path / "endless.csv").open("wb") as file:
        file.truncate(1 << 40)
    running = start(tmp_path / "out", "--data-uri", tmp_path / "endless.csv")
    running.wait_until(lambda: any(event["event"] == "start" for event in running.events()))
    return running


def test_a_step_that_is_killed_is_named_with_the_end_of_its_log(hanging, processes_of) -> None:
    # kfp.local and the step itself, in the order in which they were started
    step = max(pid for pid in processes_of(hanging.output / "runs"))
    os.kill(step, signal.SIGKILL)
    run = hanging.finish()
    assert run.code == 1
    assert run.steps == ["✗ resolve_data"]
    assert "Error: The step resolve_data ended without saying why; perhaps memory ran out." in run.err
    assert "Last lines of its log:" in run.err
    assert "The process was ended by SIGKILL." in run.err
    assert "Traceback" not in run.err
    assert "\x1b" not in run.err
    assert processes_of(run.output) == []
    assert list(run.scratch.iterdir()) == []


def test_told_to_stop_while_a_step_waits(hanging, processes_of) -> None:
    hanging.process.send_signal(signal.SIGTERM)
    run = hanging.finish()
    assert run.code == 130
    assert run.err.splitlines()[-1] == "Stopped."
    assert processes_of(run.output) == []
    assert list(run.scratch.iterdir()) == []
