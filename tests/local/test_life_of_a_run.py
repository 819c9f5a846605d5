"""Runs that meet in one folder, a run of which the step is left, and results that somebody damaged."""

import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

STEPS = ("resolve_data", "ingest_csv", "build_documents", "finetune", "evaluate_retrieval", "register_model")


@pytest.fixture
def hanging(start, tmp_path: Path):
    """A run whose first step takes for ever: its data are a terabyte of nothing, which takes no space on the disk."""
    with (tmp_path / "endless.csv").open("wb") as file:
        file.truncate(1 << 40)
    running = start(tmp_path / "out", "--data-uri", tmp_path / "endless.csv", "--register-model-name", "endless")
    running.wait_until(lambda: any(event["event"] == "start" for event in running.events()))
    return running


def files_in(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def test_a_second_run_in_a_folder_is_refused_whatever_it_calls_it(hanging, start, source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(hanging.output)
    before = files_in(hanging.output)
    second = start(tmp_path / "link", "--data-uri", source, "--register-model-name", "second").finish()
    assert second.code == 1
    assert second.out == ""
    assert second.err.startswith(
        f"Error: The output folder {tmp_path / 'link'} is in use: process {hanging.process.pid}"
    )
    assert f"has been making the model 'endless' of {tmp_path / 'endless.csv'} in it since" in second.err
    assert len(second.err.splitlines()) == 1
    assert files_in(hanging.output) == before
    assert hanging.process.poll() is None


def test_killing_all_but_the_step_ends_the_step(hanging, processes_of) -> None:
    step = max(processes_of(hanging.output / "runs"))
    for pid in (hanging.process.pid, *processes_of(hanging.output / "runs")):
        if pid != step:
            os.kill(pid, signal.SIGKILL)
    hanging.process.wait()
    hanging.wait_for(lambda: processes_of(hanging.output) == [])


def test_a_damaged_model_in_a_copied_folder_is_made_again(
    resumed, start, tmp_path: Path, source: Path, options: tuple[object, ...]
) -> None:
    output = shutil.copytree(resumed.output, tmp_path / "copy")
    whole = (output / "model" / "model.safetensors").read_bytes()
    models = output.glob("runs/*/embedtune-*/finetune/model/model.safetensors")
    (weights,) = (path for path in models if path.read_bytes() == whole)
    weights.write_bytes(whole[:5000])
    run = start(output, "--data-uri", source, "--train-epochs", 30, *options).finish()
    assert run.code == 0, run.err
    unchanged = [f"✓ {step} unchanged," for step in STEPS[1:3]]
    assert run.steps == ["✓ resolve_data", *unchanged, *(f"✓ {step}" for step in STEPS[3:])]
    assert f"finetune runs again: {weights} is damaged: it has 5000 bytes of {len(whole)}." in run.notes
    assert (output / "model" / "model.safetensors").read_bytes() == whole


def test_parts_that_somebody_deleted_are_made_again(
    resumed, start, tmp_path: Path, source: Path, options: tuple[object, ...]
) -> None:
    output = shutil.copytree(resumed.output, tmp_path / "copy")
    for name in ("model", "scores", "artifacts", "checkpoints"):
        shutil.rmtree(output / name)
    for name in ("report.html", "data.html", "summary.json", "mlflow.db"):
        (output / name).unlink()
    run = start(output, "--data-uri", source, "--train-epochs", 30, *options).finish()
    assert run.code == 0, run.err
    assert list(run.summary["step_seconds"]) == ["resolve_data", "register_model"]
    assert run.summary["metrics"] == resumed.summary["metrics"]
    assert (output / "model" / "model.safetensors").samefile(next(output.glob("artifacts/**/model.safetensors")))
    with sqlite3.connect(output / "mlflow.db") as database:
        assert database.execute("select version from model_versions").fetchall() == [(1,)]
    shutil.rmtree(output / "runs")
    run = start(output, "--data-uri", source, "--train-epochs", 30, *options).finish()
    assert run.steps == [f"✓ {step}" for step in STEPS]
    assert run.summary["registered"]["version"] == 2  # the card says how long the training took
