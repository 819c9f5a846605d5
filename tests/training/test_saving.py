"""When checkpoints are written, what is in them, and what happens where that is not possible."""

import dataclasses
import json
import resource
import shutil
import threading
from pathlib import Path

import pytest
import torch

from embedtune.errors import TrainingError
from embedtune.models import precision
from embedtune.storage.errors import UnreachableError
from embedtune.training import checkpoints, saving
from embedtune.training.so_far import SoFar
from tests.training.test_resume import Killed, kill


@pytest.fixture
def often(config):
    """The configuration of the tests of this folder, with a checkpoint after each step."""
    return dataclasses.replace(config, train_options='{"items_per_label": 2, "checkpoint_minutes": 1e-9}')


@pytest.fixture
def at_any_price(monkeypatch):
    monkeypatch.setattr(saving, "_TRAINING_PER_CHECKPOINT", 0.0)


@pytest.fixture
def uploads(monkeypatch) -> list[str]:
    """The names of the checkpoints that were stored."""
    names: list[str] = []
    upload = checkpoints.upload_folder

    def record(folder: Path, uri: str, quietly: bool) -> None:
        upload(folder, uri, quietly)
        names.append(folder.name)

    monkeypatch.setattr(checkpoints, "upload_folder", record)
    return names


@pytest.fixture(scope="module")
def straight(run_training, examples, config):
    return run_training(examples, config)


def wait_for_each(monkeypatch) -> None:
    """Let no step begin before the checkpoint of the one before has arrived."""
    keep = checkpoints.CheckpointStore.keep

    def keep_and_settle(store: checkpoints.CheckpointStore, folder: Path) -> None:
        keep(store, folder)
        store.settle()

    monkeypatch.setattr(checkpoints.CheckpointStore, "keep", keep_and_settle)


@pytest.mark.usefixtures("at_any_price")
def test_minutes_within_an_epoch(run_training, at_step, examples, often, straight, uploads, tmp_path, monkeypatch):
    """Killed in the second of three epochs: goes on in it, at the step that was the last."""
    wait_for_each(monkeypatch)
    at_step(9, kill)
    with pytest.raises(Killed):
        run_training(examples, often, str(tmp_path))
    assert uploads == [f"checkpoint-{step}" for step in range(1, 9)]
    steps: list[int] = []
    at_step(9, lambda: steps.append(9))
    resumed = run_training(examples, often, str(tmp_path))
    assert steps == [9]
    assert uploads[8:] == [f"checkpoint-{step}" for step in range(9, 18)]  # the last is the model itself
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history


def test_writing_takes_a_small_share_of_the_time(run_training, examples, often, uploads, tmp_path, monkeypatch):
    """Asked for after each step, it waits until training took forty times what the last one cost."""
    monkeypatch.setattr(saving, "_TRAINING_PER_CHECKPOINT", 1e9)
    run_training(examples, often, str(tmp_path))
    assert uploads == ["checkpoint-1"]


@pytest.mark.usefixtures("at_any_price")
@pytest.mark.parametrize(
    ("minutes", "stored"), [(0, ["checkpoint-6", "checkpoint-12"]), (10, ["checkpoint-6", "checkpoint-12"])]
)
def test_after_each_epoch_but_the_last(run_training, examples, config, uploads, tmp_path, monkeypatch, minutes, stored):
    wait_for_each(monkeypatch)
    options = json.dumps({"items_per_label": 2, "checkpoint_minutes": minutes})
    run_training(examples, dataclasses.replace(config, train_options=options), str(tmp_path))
    assert uploads == ["checkpoint-6", "checkpoint-12"]


@pytest.mark.usefixtures("at_any_price")
def test_training_goes_on_while_one_is_sent(
    run_training, at_step, examples, often, straight, uploads, tmp_path, monkeypatch
):
    """The store takes the first one until step 15; none of those in between is begun."""
    go_on = threading.Event()
    send = checkpoints.upload_folder

    def slow(folder: Path, uri: str, quietly: bool) -> None:
        assert go_on.wait(60)
        send(folder, uri, quietly)

    monkeypatch.setattr(checkpoints, "upload_folder", slow)
    at_step(15, go_on.set)
    run = run_training(examples, often, str(tmp_path))
    assert uploads[0] == "checkpoint-1"
    assert {*uploads[1:]} <= {"checkpoint-16", "checkpoint-17"}
    assert run.weights == straight.weights


def test_told_to_stop_while_one_is_sent(
    run_training, at_step, terminate, examples, often, straight, uploads, tmp_path, monkeypatch
):
    """The last one comes after the one that is on its way, and both are waited for."""
    send, sent = checkpoints.upload_folder, threading.Event()

    def slow(folder: Path, uri: str, quietly: bool) -> None:
        sent.wait(0.2)
        send(folder, uri, quietly)

    monkeypatch.setattr(checkpoints, "upload_folder", slow)
    at_step(3, terminate)
    with pytest.raises(TrainingError, match="Stopped at step 3 of 18: a checkpoint is kept"):
        run_training(examples, often, str(tmp_path))
    assert uploads == ["checkpoint-1", "checkpoint-3"]
    resumed = run_training(examples, often, str(tmp_path))
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history


def test_time_and_texts_of_all_attempts(run_training, at_step, terminate, examples, config, straight, tmp_path):
    """Told to stop in the very last step, and run again with nothing left to do."""
    at_step(18, terminate)
    with pytest.raises(TrainingError, match="Stopped at step 18 of 18"):
        run_training(examples, config, str(tmp_path))
    (path,) = tmp_path.rglob("so-far.json")
    before = SoFar(**json.loads(path.read_text()))
    texts = round(straight.result.texts_per_second * straight.result.seconds)
    assert (before.texts, before.threads, before.batch_size) == (texts, 1, 8)
    result = run_training(examples, config, str(tmp_path)).result
    assert result.seconds > before.seconds > 0
    assert result.texts_per_second == before.texts / result.seconds


def test_threads_are_those_of_the_beginning(
    run_training, at_step, terminate, examples, config, straight, tmp_path, capsys
):
    at_step(8, terminate)
    with pytest.raises(TrainingError):
        run_training(examples, config, str(tmp_path))
    torch.set_num_threads(2)
    try:
        resumed = run_training(examples, config, str(tmp_path))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(1)
    assert resumed.weights == straight.weights
    assert "goes on with 1 threads, as it began, and not with 2" in capsys.readouterr().err


@pytest.mark.parametrize(("begun", "goes_on"), [("float32", "float32"), ("bfloat16", "float32")])
def test_precision_is_that_of_the_beginning_where_it_can_be(
    run_training, at_step, terminate, examples, config, tmp_path, capsys, monkeypatch, begun, goes_on
):
    """A training is taken up by a machine that has bfloat16, and by one that has not."""
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: begun == "bfloat16")
    at_step(8, terminate)
    with pytest.raises(TrainingError):
        run_training(examples, config, str(tmp_path))
    assert f"Precision (auto): {begun}, " in capsys.readouterr().err
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: begun == "float32")
    resumed = run_training(examples, config, str(tmp_path))
    said = capsys.readouterr().err
    assert resumed.result.chosen["precision"].startswith(f"Precision (auto): {goes_on}, ")
    float32 = dataclasses.replace(config, train_options='{"items_per_label": 2, "precision": "float32"}')
    same = resumed.weights == run_training(examples, float32).weights
    if begun == "float32":
        assert "The training goes on in float32, as it began, and not in bfloat16." in said
        assert same
    else:
        assert "The training began in bfloat16 and goes on in float32, since this CPU has no bfloat16" in said
        assert not same


class TestFullDisk:
    def test_a_checkpoint_that_does_not_fit_is_lost_and_said(
        self, run_training, examples, config, straight, tmp_path, capsys
    ):
        """No file may be as large as the optimizer's state, twice the model."""
        largest = max(path.stat().st_size for path in Path(config.backbone).iterdir())
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 1000, limits[1]))
        try:
            run = run_training(examples, config, str(tmp_path))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        told = capsys.readouterr().err
        assert "This checkpoint is lost, training goes on: it cannot be written to" in told
        assert "Set TMPDIR to a folder with enough free space." in told
        assert run.weights == straight.weights
        assert not list(tmp_path.rglob("manifest.json"))

    def test_the_oldest_here_goes_first(
        self, run_training, at_step, terminate, examples, often, tmp_path, monkeypatch, capsys
    ):
        """The disk is full as long as the checkpoint lies there that the training went on from."""
        at_step(8, terminate)
        with pytest.raises(TrainingError):
            run_training(examples, often, str(tmp_path))
        save, full = saving.save_loss_state, []

        def save_if_there_is_room(objective: torch.nn.Module, folder: Path) -> None:
            if (folder.parent / "restored").exists():
                full.append(folder.name)
                raise OSError(28, "No space left on device")
            save(objective, folder)

        monkeypatch.setattr(saving, "save_loss_state", save_if_there_is_room)
        at_step(10, kill)
        with pytest.raises(Killed):
            run_training(examples, often, str(tmp_path))
        assert full == ["checkpoint-9"]
        assert "lost" not in capsys.readouterr().err


class TestSilentStore:
    def answers_after(self, monkeypatch, name: str, failures: int) -> None:
        left, act = [UnreachableError("the store does not answer")] * failures, getattr(checkpoints, name)

        def sometimes(*arguments, **options):
            if left:
                raise left.pop()
            return act(*arguments, **options)

        monkeypatch.setattr(checkpoints, name, sometimes)

    def store(self, tmp_path: Path) -> checkpoints.CheckpointStore:
        return checkpoints.CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path / "scratch")

    def written(self, tmp_path: Path) -> Path:
        folder = tmp_path / "scratch" / "checkpoint-1"
        folder.mkdir(parents=True)
        (folder / "file").write_text("content")
        return folder

    def test_it_is_sent_again(self, tmp_path, monkeypatch, capsys):
        self.answers_after(monkeypatch, "upload_folder", 3)
        store, waited = self.store(tmp_path), []
        monkeypatch.setattr(store._hurry, "wait", waited.append)
        store._send(self.written(tmp_path))
        assert waited == [5.0, 20.0, 60.0]
        assert store.kept
        assert "cannot be stored now, the next try is in 60 s: the store does not answer" in capsys.readouterr().err

    def test_it_is_lost_in_the_end(self, tmp_path, monkeypatch, capsys):
        self.answers_after(monkeypatch, "upload_folder", 4)
        store = self.store(tmp_path)
        monkeypatch.setattr(store._hurry, "wait", lambda _: None)
        folder = self.written(tmp_path)
        store._send(folder)
        assert not store.kept
        assert not folder.exists()
        assert "This checkpoint is lost, training goes on: the store does not answer" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["upload_folder", "sum"])
    def test_what_the_disk_has_against_it_is_said_too(self, tmp_path, monkeypatch, capsys, name):
        def fail(*_arguments, **_options):
            raise OSError(5, "Input/output error")

        monkeypatch.setattr(checkpoints, name, fail, raising=False)
        store, folder = self.store(tmp_path), self.written(tmp_path)
        store.keep(folder)
        store.settle()
        assert (store.kept, store.sent, folder.exists()) == (False, "", False)
        assert "This checkpoint is lost, training goes on: [Errno 5] Input/output error" in capsys.readouterr().err

    def test_one_that_cannot_be_removed_here_has_arrived(self, tmp_path, monkeypatch, capsys):
        def fail(_folder):
            raise OSError(39, "Directory not empty")

        monkeypatch.setattr(checkpoints.shutil, "rmtree", fail)
        store = self.store(tmp_path)
        store._send(self.written(tmp_path))
        assert (store.kept, store.sent) == (True, "checkpoint-1")
        assert "stays behind on the local disk, training goes on: [Errno 39]" in capsys.readouterr().err

    def test_whoever_has_no_time_does_not_wait(self, tmp_path, monkeypatch):
        """Told to stop while a try is waited for: once more, and no longer."""
        self.answers_after(monkeypatch, "upload_folder", 2)
        store = self.store(tmp_path)
        store.keep(self.written(tmp_path))
        store.settle()  # of 85 seconds
        assert not store.kept

    def test_it_is_fetched_again(self, tmp_path, monkeypatch):
        store = self.store(tmp_path)
        store.keep(self.written(tmp_path))
        store.settle()
        self.answers_after(monkeypatch, "download_folder", 3)
        again = self.store(tmp_path)
        monkeypatch.setattr(again._hurry, "wait", lambda _: None)
        restored = again.restore()
        assert restored is not None
        assert (restored / "file").read_text() == "content"
        shutil.rmtree(restored)
