"""The whole pipeline in the images, on examples/: one epoch with a tiny model, so that it takes seconds."""

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.containers
STEPS = ("resolve-data", "ingest-csv", "build-documents", "finetune", "evaluate-retrieval", "register-model")


def test_all_six_tasks_succeed(run) -> None:
    assert run.process.returncode == 0, run.log
    made = {path.parent.name for path in run.folder.rglob("executor_output.json")}
    assert made == set(STEPS)


def test_the_numbers_are_those_of_a_run_without_containers_to_the_last_digit(run, reference) -> None:
    assert reference.wait() == 0, reference.stderr.read()
    output = Path(reference.args[reference.args.index("--output") + 1])
    ours = json.loads(Path(run.outputs["scores"], "comparison.json").read_text(encoding="utf-8"))
    theirs = json.loads((output / "scores" / "comparison.json").read_text(encoding="utf-8"))
    assert ours == theirs


def test_the_model_is_registered_and_its_files_come_through_the_server(run) -> None:
    assert (run.outputs["name"], run.outputs["version"]) == ("tickets", 1)
    stored = {path.name for path in run.stored.rglob("*") if path.is_file()}
    assert {"MLmodel", "model.safetensors", "comparison.json"} <= stored


def test_everything_is_written_by_the_user_that_was_asked_for(run) -> None:
    written = [path for folder in (run.folder / "root", run.stored) for path in folder.rglob("*") if path.is_file()]
    assert {path.stat().st_uid for path in written} == {run.user}
