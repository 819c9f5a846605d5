"""Documents and a backbone become a model folder with its card, or nothing."""

import dataclasses
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import LayerNorm

from embedtune.documents.schema import RELEVANCE_SCHEMA, Split, SplitColumns
from embedtune.documents.shards.folder import read_manifest
from embedtune.documents.shards.tables import write_manifest
from embedtune.documents.shards.writer import open_shards
from embedtune.errors import InputError, ModelError, StorageError, TrainingError
from embedtune.models import parity
from embedtune.models.card import ModelCard
from embedtune.models.contents import Contents
from embedtune.models.loading import load_model, weights_digest
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.training.checkpoints import digest_of, forget_finished
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.finetune import finetune_model
from embedtune.training.watching import WatchCallback

LABELLED = RowsFormat(Layout.LABELLED, (Modality.TEXT,))
TEXTS = [f"{first}{second} {second}{first}" for first in "abcde" for second in "uvwxyz"]
KILLED = """
import json, os, signal, sys, torch
from pathlib import Path
from embedtune.storage import folders, store
from embedtune.training import saving, taking_part
from embedtune.training.checkpoints import Keeping
from embedtune.training.config import FinetuneConfig
from embedtune.training.processes import ALONE

documents, model, config, root = sys.argv[1:]
POINTS = {
    "writing the third": (saving, "save_loss_state", 3),
    "fetching the third file": (folders, "_fetch", 3),
    "sending the eighth file": (store.FolderStore, "put_file", 8),
    "fetching the first file": (folders, "_fetch", 1),
    "saving the model": (taking_part, "check_parity", 1),
}


def killed(place, name, call):
    whole, calls = getattr(place, name), []

    def act(*arguments):
        calls.append(name)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments)

    setattr(place, name, act)


for point, where in POINTS.items():
    process = os.fork()  # of a process that has imported the libraries, and no more
    if not process:
        torch.set_num_threads(1)
        saving._TRAINING_PER_CHECKPOINT = 0.0
        killed(*where)
        arguments = Path(documents), Path(model), FinetuneConfig(**json.loads(config))
        taking_part.take_part(*arguments, Keeping(root), ALONE)
        os._exit(0)
    print(point, os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), len(list(Path(root).glob("*/manifest.json"))))
"""
"""Trains in five processes, each of which goes on where the one before was killed."""


def table(labels: list[str], **columns: list[str]) -> pa.Table:
    ids = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in TEXTS]
    columns = {"id": ids, "text": TEXTS, "label": labels, **columns}
    return pa.table({name: pa.array(values, pa.large_string()) for name, values in columns.items()})


def write_documents(folder: Path, rows_format: RowsFormat, documents: pa.Table, relevance: pa.Table | None) -> Path:
    folder.mkdir()
    with open_shards(folder, SplitColumns(rows_format, Split.TRAIN)) as writer:
        writer.write(documents)
        write_manifest(folder, rows_format, writer.finish(), relevance, "")
    return folder


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("labelled") / "train"
    documents = table([text[0] for text in TEXTS])
    return write_documents(folder, LABELLED, documents, None)


@pytest.fixture(scope="module")
def paired(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("paired") / "train"
    documents = table([f"{number // 2}" for number in range(30)], role=["query", "document"] * 15)
    ids = documents["id"].to_pylist()
    judged = {"query_id": ids[0::2], "document_id": ids[1::2], "relevance": [1.0] * 15}
    relevance = pa.table(judged).cast(RELEVANCE_SCHEMA)
    return write_documents(folder, RowsFormat(Layout.PAIRS, (Modality.TEXT, Modality.TEXT)), documents, relevance)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in files(folder)}


@pytest.mark.parametrize(("layout", "loss"), [("labelled", "SupConLoss"), ("paired", "MultipleNegativesRankingLoss")])
def test_a_model_folder_that_says_where_it_comes_from(request, config, tmp_path, layout, loss, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_IMAGE", "registry.example.org/embedtune-train:1.2")
    documents = request.getfixturevalue(layout)
    config = dataclasses.replace(config, loss=loss)
    folder = tmp_path / "outputs" / "model"
    started = time.perf_counter()
    card = finetune_model(documents, folder, config, str(tmp_path / "checkpoints"))
    assert ModelCard.load(folder) == card
    assert (card.backbone, card.layout, card.train_documents) == (
        config.backbone,
        layout.replace("paired", "pairs"),
        30,
    )
    assert (card.dimension, card.max_length, card.parity_max_difference) == (32, 32, 0.0)
    assert card.backbone_digest == weights_digest(load_model(config.backbone, 0))
    assert card.data_digest == read_manifest(documents).digest
    assert card.options == config.recorded()
    assert card.image == "registry.example.org/embedtune-train:1.2"
    assert card.versions["torch"] == torch.__version__
    assert card.versions["embedtune"] == importlib.metadata.version("embedtune")
    assert 0 < card.seconds < time.perf_counter() - started
    assert card.history[-1].epoch == 3.0
    assert files(tmp_path / "checkpoints") == []
    assert list(folder.parent.iterdir()) == [folder]


def test_the_folder_holds_the_trained_model(labelled, config, tmp_path, run_training):
    finetune_model(labelled, tmp_path / "model", config, "")
    letters = {letter: number for number, letter in enumerate("abcde")}
    examples = TrainingSet(Contents.of_texts(TEXTS), np.array([letters[text[0]] for text in TEXTS]))
    expected = run_training(examples, config)
    saved = SentenceTransformer(str(tmp_path / "model"), device="cpu")
    assert weights_digest(saved) == expected.weights
    np.testing.assert_array_equal(saved.encode(TEXTS), expected.model.encode(TEXTS))
    assert weights_digest(saved) != weights_digest(load_model(config.backbone, 0))


def test_the_models_own_limit_is_recorded(labelled, config, tmp_path):
    card = finetune_model(labelled, tmp_path / "model", dataclasses.replace(config, max_length=0, epochs=1), "")
    assert card.max_length == load_model(str(tmp_path / "model"), 0).max_seq_length == 64


def test_an_old_model_is_replaced_whole(labelled, config, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "pytorch_model.bin").touch()
    finetune_model(labelled, tmp_path / "model", dataclasses.replace(config, epochs=1), "")
    assert not (tmp_path / "model" / "pytorch_model.bin").exists()


def test_a_model_that_does_not_reload_as_trained_is_not_kept(labelled, config, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "old").touch()
    monkeypatch.setattr(parity, "TOLERANCE", -1.0)
    with pytest.raises(ModelError, match="Nothing was kept"):
        finetune_model(labelled, tmp_path / "model", dataclasses.replace(config, epochs=1), "")
    assert files(tmp_path) == [tmp_path / "model" / "old"]


def test_what_no_server_of_texts_can_run_is_trained_and_said_on_the_card(labelled, config, tmp_path):
    model = load_model(config.backbone, 0)
    model.append(LayerNorm(32))
    model.save(str(tmp_path / "backbone"), create_model_card=False)
    config = dataclasses.replace(config, backbone=str(tmp_path / "backbone"), epochs=1)
    card = finetune_model(labelled, tmp_path / "model", config, "")
    assert set(card.servers) == {"text-embeddings-inference", "vllm"}
    assert all("knows no module LayerNorm" in reason for reason in card.servers.values())
    assert ModelCard.load(tmp_path / "model") == card


def test_documents_that_cannot_be_trained_on(config, tmp_path):
    write_documents(tmp_path / "train", LABELLED, table(["one"] * 30), None)
    with pytest.raises(TrainingError, match="The 30 training contents give no two pairs"):
        finetune_model(tmp_path / "train", tmp_path / "model", config, "")
    assert not (tmp_path / "model").exists()


def test_documents_that_the_loss_does_not_fit(config, tmp_path):
    parents = RowsFormat(Layout.SCORED, (Modality.TEXT, Modality.TEXT))
    (tmp_path / "train").mkdir()
    write_manifest(tmp_path / "train", parents, (), None, "")
    with pytest.raises(
        InputError, match=r"loss MultipleNegativesRankingLoss does not fit data of the layout 'scored'.*CoSENTLoss"
    ):
        finetune_model(tmp_path / "train", tmp_path / "model", config, "")


def test_no_documents(config, tmp_path):
    with pytest.raises(StorageError, match="Build the documents again"):
        finetune_model(tmp_path, tmp_path / "model", config, "")


def test_processes_that_were_killed_are_taken_up_by_the_next(labelled, config, tmp_path):
    """SIGKILL while a checkpoint is written, sent or fetched; the last ends with the model of an undisturbed one."""
    options = {"items_per_label": 2, "precision": "float32", "validation_share": 0.3, "keep_best_epoch": True}
    config = dataclasses.replace(config, epochs=8, train_options=json.dumps(options))
    root = tmp_path / "checkpoints"
    arguments = [str(labelled), str(tmp_path / "model"), json.dumps(dataclasses.asdict(config)), str(root)]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, timeout=240)
    assert ended.stdout.splitlines() == [
        "writing the third -9 1",
        "fetching the third file -9 1",
        "sending the eighth file -9 1",
        "fetching the first file -9 1",
        "saving the model -9 1",
    ], ended.stderr
    assert not (tmp_path / "model").exists()
    resumed = finetune_model(labelled, tmp_path / "model", config, str(root))
    straight = finetune_model(labelled, tmp_path / "straight", config, "")
    assert resumed.history == straight.history
    assert (resumed.validation, resumed.chosen) == (straight.validation, straight.chosen)
    models = [load_model(str(tmp_path / name), 0) for name in ("model", "straight")]
    assert weights_digest(models[0]) == weights_digest(models[1])
    assert not list(root.glob("*/manifest.json"))


class TestFinished:
    """The output of a step may be lost after its end; the finished model stays until the next step has it."""

    @pytest.fixture
    def trainings(self, monkeypatch) -> list[int]:
        """The first step of each training."""
        begun: list[int] = []

        def count(self, args, state, control, **kwargs):
            begun.append(state.global_step)

        monkeypatch.setattr(WatchCallback, "on_train_begin", count)
        return begun

    def test_a_lost_output_is_not_trained_again(self, labelled, config, tmp_path, trainings, capsys):
        root = tmp_path / "checkpoints"
        card = finetune_model(labelled, tmp_path / "one" / "model", config, str(root), keep_finished=True)
        before = contents(tmp_path / "one" / "model")
        shutil.rmtree(tmp_path / "one")
        again = finetune_model(labelled, tmp_path / "two" / "model", config, str(root), keep_finished=True)
        assert trainings == [0]
        assert again == card
        assert contents(tmp_path / "two" / "model") == before
        assert "nothing is trained again" in capsys.readouterr().err
        assert len(list(root.iterdir())) == 1  # in place of the checkpoints
        other = tmp_path / "other"
        finetune_model(labelled, other, dataclasses.replace(config, epochs=1), "")
        forget_finished(str(root), other)
        assert len(list(root.iterdir())) == 1
        forget_finished(str(root), tmp_path / "two" / "model")
        assert files(root) == []

    def test_a_damaged_one_is(self, labelled, config, tmp_path, trainings):
        root = tmp_path / "checkpoints"
        card = finetune_model(labelled, tmp_path / "model", config, str(root), keep_finished=True)
        (weights,) = root.rglob("model.safetensors")
        weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        again = finetune_model(labelled, tmp_path / "model", config, str(root), keep_finished=True)
        assert trainings == [0, 0]
        assert again.history == card.history
        assert finetune_model(labelled, tmp_path / "model", config, str(root), keep_finished=True) == again
        assert trainings == [0, 0]

    def test_only_of_the_same_settings(self, labelled, config, tmp_path, trainings):
        root = str(tmp_path / "checkpoints")
        finetune_model(labelled, tmp_path / "model", config, root, keep_finished=True)
        changed = dataclasses.replace(config, learning_rate=1e-4)
        finetune_model(labelled, tmp_path / "model", changed, root, keep_finished=True)
        assert trainings == [0, 0]
        often = dataclasses.replace(config, train_options='{"items_per_label": 2, "checkpoint_minutes": 1}')
        finetune_model(labelled, tmp_path / "model", often, root, keep_finished=True)
        assert trainings == [0, 0]

    def test_others_go_after_a_day(self, labelled, config, tmp_path, terminate, at_step):
        root, kept = tmp_path / "checkpoints", {}
        for name, epochs in (("young", 1), ("old", 2)):
            other = dataclasses.replace(config, epochs=epochs)
            card = finetune_model(labelled, tmp_path / "model", other, str(root), keep_finished=True)
            kept[name] = root / digest_of(card)
        at_step(5, terminate)
        with pytest.raises(TrainingError):  # what can be gone on with is kept longer
            finetune_model(labelled, tmp_path / "model", dataclasses.replace(config, seed=1), str(root))
        (unfinished,) = {*root.iterdir()} - {*kept.values()}
        for folder in (kept["old"], unfinished):
            yesterday = time.time() - 25 * 3600
            os.utime(folder / "manifest.json", (yesterday, yesterday))
        finetune_model(labelled, tmp_path / "model", dataclasses.replace(config, epochs=1), str(root))
        assert {*root.iterdir()} == {unfinished}


@pytest.mark.parametrize("changed", ["learning rate", "documents", "backbone"])
def test_a_checkpoint_of_other_settings_is_not_used(
    labelled, config, tiny_model_folder, tmp_path, at_step, terminate, changed
):
    root, documents = tmp_path / "checkpoints", labelled
    shutil.copytree(tiny_model_folder, tmp_path / "backbone")
    config = dataclasses.replace(config, backbone=str(tmp_path / "backbone"))
    at_step(5, terminate)
    with pytest.raises(TrainingError, match="a checkpoint is kept"):
        finetune_model(documents, tmp_path / "model", config, str(root))
    kept = files(root)
    if changed == "learning rate":
        config = dataclasses.replace(config, learning_rate=1e-4)
    elif changed == "documents":
        documents = tmp_path / "train"
        write_documents(documents, LABELLED, table([text[1] for text in TEXTS]), None)
    else:
        shutil.copytree(finetuned(labelled, config, tmp_path / "other"), config.backbone, dirs_exist_ok=True)
    afresh = finetune_model(documents, tmp_path / "model", config, str(root))
    assert afresh.history == finetune_model(documents, tmp_path / "straight", config, "").history
    assert files(root) == kept


def finetuned(documents: Path, config: FinetuneConfig, folder: Path) -> Path:
    finetune_model(documents, folder, dataclasses.replace(config, epochs=1), "")
    return folder
