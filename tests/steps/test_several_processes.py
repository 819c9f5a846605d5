"""The fine-tuning step with several processes is the step with one: the same model, told and written once."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.build import build_documents as build
from embedtune.errors import ModelError, TrainingError
from embedtune.models.card import ModelCard
from embedtune.progress import EVENTS_VARIABLE
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.steps.finetune import finetune
from embedtune.training.config import FinetuneConfig

CPUS = [{"CUDA_VISIBLE_DEVICES": ""}] * 2
OPTIONS = '{"optimizer": "SGD", "items_per_label": 3, "precision": "float32"}'
STEP = """
import json, sys
from pathlib import Path
from embedtune.steps.finetune import finetune
from embedtune.training import finetune as training
from embedtune.training.config import FinetuneConfig

if __name__ == "__main__":
    training.gpu_environments = lambda count: [{"CUDA_VISIBLE_DEVICES": ""}] * count
    documents, folder, config = sys.argv[1:]
    finetune(FinetuneConfig(**json.loads(config)), Path(documents), Path(folder, "model"), Path(folder, "page.html"))
"""


@pytest.fixture(scope="module")
def documents(tmp_path_factory) -> Path:
    """31 contents of 7 labels: batches do not go round."""
    folder = tmp_path_factory.mktemp("documents")
    texts = [f"{first}{second} {second}{first}" for first in "abcdefg" for second in "uvwxyz"][:38]
    with open_rows(folder / "rows", RowsFormat(Layout.LABELLED, (Modality.TEXT,))) as file:
        file.write([list(range(len(texts))), texts, [text[0] for text in texts]])
    build(folder / "rows", folder / "train", folder / "evaluation", folder / "aside.csv", BuildOptions())
    return folder / "train"


@pytest.fixture(scope="module")
def still(tiny_model_folder, tmp_path_factory) -> Path:
    """The tiny model without dropout, of which each process draws its own."""
    folder = shutil.copytree(tiny_model_folder, tmp_path_factory.mktemp("still") / "model")
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture
def on_cpus(monkeypatch):
    monkeypatch.setattr("embedtune.training.finetune.gpu_environments", lambda count: CPUS[:count])


def config_of(backbone: Path, gpus: int, loss: str = "SupConLoss", **changes: object) -> FinetuneConfig:
    config = FinetuneConfig(
        backbone=str(backbone), loss=loss, epochs=2, batch_size=9, learning_rate=0.05, max_length=32,
        train_options=OPTIONS, gpu_count=str(gpus),
    )  # fmt: skip
    return dataclasses.replace(config, **changes)


def trained(config: FinetuneConfig, documents: Path, folder: Path) -> tuple[ModelCard, np.ndarray]:
    from embedtune.models.loading import load_model

    card = finetune(config, documents, folder / "model", folder / "page.html")
    weights = load_model(str(folder / "model"), 0).parameters()
    return card, np.concatenate([weight.detach().numpy().ravel() for weight in weights])


@pytest.mark.parametrize("loss", ["SupConLoss", "ProxyAnchorLoss"])
def test_two_processes_end_with_the_model_of_one(documents, still, tmp_path, monkeypatch, on_cpus, loss):
    options = {**json.loads(OPTIONS), "validation_share": 0.2, "keep_best_epoch": True}
    asked = {"loss": loss, "train_options": json.dumps(options)}
    one, alone = trained(config_of(still, 0, **asked), documents, tmp_path / "one")
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    two, together = trained(config_of(still, 2, **asked), documents, tmp_path / "two")
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert [point.step for point in two.history] == [point.step for point in one.history]
    np.testing.assert_allclose([p.loss for p in two.history], [p.loss for p in one.history], rtol=1e-5)
    assert (two.epoch, two.options["gpu_count"]) == (one.epoch, "2")
    assert (two.validation, two.chosen) == (one.validation, one.chosen)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [event["event"] for event in events if event["event"] in ("start", "end", "error")] == ["start", "end"]
    notes = [event["text"] for event in events if event["event"] == "note"]
    assert len(set(notes)) == len(notes) > 0
    written = [{path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")} for name in ("one", "two")]
    assert {path for path in written[0] if path.parts[0] != "checkpoints"} == {
        path for path in written[1] if path.parts[0] != "checkpoints"
    }
    from embedtune.models.loading import load_model

    began = np.concatenate([each.detach().numpy().ravel() for each in load_model(str(still), 0).parameters()])
    assert np.abs(alone - began).max() > 1e-3


def test_an_error_is_told_once_and_as_it_is(documents, tmp_path, monkeypatch, on_cpus):
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    with pytest.raises(ModelError) as alone:
        finetune(config_of(tmp_path, 0), documents, tmp_path / "model", tmp_path / "page.html")
    (tmp_path / "events").unlink()
    with pytest.raises(ModelError) as together:
        finetune(config_of(tmp_path, 2), documents, tmp_path / "model", tmp_path / "page.html")
    assert str(together.value) == str(alone.value)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [event["message"] for event in events if event["event"] == "error"] == [str(alone.value)]
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("gpus", "cpus", "told"), [(2, 1, "2 GPUs share 1 CPU."), (3, 2, "3 GPUs share 2 CPUs."), (2, 2, "")]
)
def test_fewer_cpus_than_gpus_are_told(documents, tmp_path, monkeypatch, capsys, gpus, cpus, told):
    monkeypatch.setattr("embedtune.steps.finetune.available_cpus", lambda: cpus)
    monkeypatch.setenv("WORLD_SIZE", "2")  # ends it before any process starts
    with pytest.raises(TrainingError):
        finetune(config_of(tmp_path, gpus), documents, tmp_path / "model", tmp_path / "page.html")
    said = f"The processes of {told} On a cluster raise train_cpu.\n"
    assert [line for line in capsys.readouterr().err.splitlines(True) if "share" in line] == ([said] if told else [])


def test_torchrun_around_the_step_is_refused(documents, still, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match=r"WORLD_SIZE is 2.* run it once, without torchrun, and give gpu_count"):
        finetune(config_of(still, 0), documents, tmp_path / "model", tmp_path / "page.html")


@pytest.fixture(scope="module")
def straight(documents, tiny_model_folder, tmp_path_factory) -> tuple[ModelCard, np.ndarray]:
    """What a training in two processes comes to that nothing ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("embedtune.training.finetune.gpu_environments", lambda count: CPUS[:count])
        return trained(config_of(tiny_model_folder, 2, epochs=8), documents, tmp_path_factory.mktemp("straight"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_that_was_ended_goes_on_where_it_was(
    documents, tiny_model_folder, tmp_path, on_cpus, straight, number
):
    config = config_of(tiny_model_folder, 2, epochs=8)
    command = [sys.executable, "-c", STEP, str(documents), str(tmp_path), json.dumps(dataclasses.asdict(config))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    kept = tmp_path / "checkpoints"
    deadline = time.monotonic() + 240
    while not list(kept.glob("*/manifest.json")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    members = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    told = process.communicate(timeout=240)[1]
    assert len(members) == 2, told
    assert list(kept.glob("*/manifest.json"))
    assert not (tmp_path / "model").exists()
    while any(Path(f"/proc/{member}/fd").exists() and os.listdir(f"/proc/{member}/fd") for member in members):
        assert time.monotonic() < deadline
    if number == signal.SIGTERM:
        assert told.count("a checkpoint is kept, run again to go on") == 1
    card, resumed = trained(config, documents, tmp_path)
    straight_card, weights = straight
    np.testing.assert_array_equal(resumed, weights)
    assert card.history == straight_card.history
    assert not list(kept.glob("*/manifest.json"))
