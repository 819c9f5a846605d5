"""A training that was interrupted ends, when run again, as one that was not: bit by bit."""

import dataclasses
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from embedtune.errors import TrainingError
from embedtune.models.contents import Contents
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.examples import TrainingSet


class Killed(BaseException):
    """Ends a training as a kill would: with no chance to keep anything."""


def kill() -> None:
    raise Killed


def kept_files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def straight(run_training, examples, config):
    return run_training(examples, config)


@pytest.mark.parametrize("step", [1, 6, 11, 18])
def test_told_to_stop_and_run_again(run_training, at_step, terminate, examples, config, straight, tmp_path, step):
    at_step(step, terminate)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TrainingError, match=f"Stopped at step {step} of 18: a checkpoint is kept, run again to go on"):
        run_training(examples, config, str(tmp_path))
    assert signal.getsignal(signal.SIGTERM) == before
    resumed = run_training(examples, config, str(tmp_path))
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history


@pytest.mark.parametrize(
    "loss", ["MultipleNegativesRankingLoss", "SupConLoss", "ArcFaceLoss", "ProxyAnchorLoss", "CLIPLoss"]
)
def test_killed_and_run_again(run_training, at_step, examples, config, tmp_path, loss):
    config = dataclasses.replace(config, loss=loss)
    straight = run_training(examples, config)
    at_step(9, kill)
    with pytest.raises(Killed):
        run_training(examples, config, str(tmp_path))
    steps: list[int] = []
    at_step(7, lambda: steps.append(7))
    resumed = run_training(examples, config, str(tmp_path))
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history
    assert steps == [7]
    assert resumed.result.texts_per_second == pytest.approx(144 / resumed.result.seconds, rel=0.05)


def test_stopped_twice(run_training, at_step, terminate, examples, config, straight, tmp_path):
    for step in (4, 13):
        at_step(step, terminate)
        with pytest.raises(TrainingError, match=f"Stopped at step {step} "):
            run_training(examples, config, str(tmp_path))
    assert run_training(examples, config, str(tmp_path)).weights == straight.weights


def test_points_of_several_steps_stay_whole(run_training, at_step, terminate, examples, config, tmp_path):
    """Of 201 steps every other one is a point; epochs end at odd steps, and a point there is of one step."""
    examples = TrainingSet(Contents.of_texts(["abc"[number % 3 :] for number in range(268)]), np.arange(268) // 2)
    config = dataclasses.replace(config, batch_size=4)
    straight = run_training(examples, config).result.history
    assert [point.step for point in straight] == sorted({*range(2, 202, 2), 67, 201})
    for end, expected in ((kill, Killed), (terminate, TrainingError)):  # goes on after step 67, after 71
        at_step(71, end)
        with pytest.raises(expected):
            run_training(examples, config, str(tmp_path / expected.__name__))
        assert run_training(examples, config, str(tmp_path / expected.__name__)).result.history == straight


def test_ctrl_c_is_the_same(run_training, at_step, examples, config, straight, tmp_path):
    at_step(5, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(TrainingError, match="Stopped at step 5 of 18"):
        run_training(examples, config, str(tmp_path))
    assert run_training(examples, config, str(tmp_path)).weights == straight.weights


def test_without_a_store_nothing_is_kept_and_nothing_promised(run_training, at_step, terminate, examples, config):
    at_step(5, terminate)
    with pytest.raises(TrainingError, match="Stopped at step 5 of 18: nothing is kept, run again to start"):
        run_training(examples, config)


def test_told_to_stop_after_the_last_step_without_a_store(run_training, at_step, terminate, examples, config, straight):
    at_step(18, terminate)
    assert run_training(examples, config).weights == straight.weights


def test_another_training_starts_afresh(run_training, at_step, terminate, examples, config, straight, tmp_path):
    at_step(8, terminate)
    with pytest.raises(TrainingError):
        run_training(examples, config, str(tmp_path), "one")
    other = run_training(examples, config, str(tmp_path), "other")
    assert other.weights == straight.weights
    assert other.result.history == straight.result.history


def test_the_last_epoch_needs_no_checkpoint(run_training, examples, config, tmp_path):
    run_training(examples, dataclasses.replace(config, epochs=1), str(tmp_path))
    assert kept_files(tmp_path) == []


def test_a_checkpoint_has_no_page_about_the_model(run_training, at_step, examples, config, tmp_path):
    """sentence-transformers would encode examples for it, which models of images and meshes cannot."""
    at_step(9, kill)
    with pytest.raises(Killed):
        run_training(examples, config, str(tmp_path))
    names = {path.name for path in kept_files(tmp_path)}
    assert {"model.safetensors", "optimizer.pt"} <= names
    assert names.isdisjoint({"README.md", "training_args.bin"})


@pytest.mark.parametrize("root", ["file/kept", "damaged"])
def test_a_store_that_fails_costs_only_the_checkpoints(
    run_training, examples, config, straight, tmp_path, capsys, root
):
    (tmp_path / "file").touch()
    (tmp_path / "damaged" / "digest").mkdir(parents=True)
    (tmp_path / "damaged" / "digest" / "manifest.json").write_text("{")
    run = run_training(examples, config, str(tmp_path / root))
    assert run.weights == straight.weights
    assert "checkpoint" in capsys.readouterr().err


def test_a_store_that_fails_half_way(
    run_training, at_step, terminate, examples, config, straight, tmp_path, capsys, monkeypatch
):
    """The checkpoint of the first epoch is kept, that of the interruption is not: the first is still good."""
    place, elsewhere = tmp_path / "kept" / "digest", tmp_path / "elsewhere"
    keep = CheckpointStore.keep

    def keep_and_settle(store: CheckpointStore, folder: Path) -> None:
        keep(store, folder)
        store.settle()

    monkeypatch.setattr(CheckpointStore, "keep", keep_and_settle)

    def lose_the_place_and_stop() -> None:
        place.rename(elsewhere)
        place.touch()
        terminate()

    at_step(8, lose_the_place_and_stop)
    with pytest.raises(TrainingError, match="Stopped at step 8 of 18: the checkpoint of step 6 is kept, run again"):
        run_training(examples, config, str(place.parent))
    assert "This checkpoint is lost" in capsys.readouterr().err
    place.unlink()
    elsewhere.rename(place)
    assert run_training(examples, config, str(place.parent)).weights == straight.weights
