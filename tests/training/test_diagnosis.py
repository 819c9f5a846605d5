"""A training that went wrong says where, and what to lower; one whose loss does not move is told so."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from embedtune.errors import TrainingError
from embedtune.models.card import LossPoint
from embedtune.models.contents import Contents
from embedtune.models.loading import load_model
from embedtune.progress import EVENTS_VARIABLE
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.diagnosis import Course, Diagnosis, Step, remarks_on
from embedtune.training.examples import TrainingSet
from embedtune.training.trainer import train

COURSE = Course("SupConLoss", learning_rate=0.1, loss_rate=0.0, steps=400, batches_per_epoch=100, warmup_steps=0)


def history(losses: list[float], interval: int = 1) -> tuple[LossPoint, ...]:
    return tuple(LossPoint(interval * number, 0.0, loss) for number, loss in enumerate(losses, 1))


def noisy(mean: float, count: int, seed: int) -> list[float]:
    drawn = np.random.default_rng(seed).normal(0, 0.1, count)
    return (mean + drawn - drawn.mean()).tolist()


def test_a_gradient_that_is_no_number_names_the_steps_before():
    diagnosis = Diagnosis(dataclasses.replace(COURSE, loss_rate=1.0))
    for number, gradient in ((1, 2.0), (2, 7.5), (3, 3.0)):
        diagnosis.look(Step(number, 0.02, 1.25, gradient))
    with pytest.raises(TrainingError) as told:
        diagnosis.look(Step(304, 0.04, 1.5, float("inf")))
    assert str(told.value) == (
        "The gradient became inf at step 304 of 400 (epoch 4, learning rate 0.04, SupConLoss). The step before had the "
        "loss 1.25; the largest gradient until then had the norm 7.5, at step 2. Lower learning_rate (0.1 now), to a "
        "tenth at first, with it loss_learning_rate of train_options (1 now); or lengthen warmup of train_options. "
        "Then run again."
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_backbone_that_gives_no_numbers_is_told_from_a_rate_too_high(examples, config, tmp_path, value):
    model = load_model(config.backbone, config.max_length)
    with torch.no_grad():
        model[0].model.embeddings.LayerNorm.weight[0] = value
    with pytest.raises(TrainingError, match=r"loss became nan at step 1 of 18 .* the backbone itself gives vectors"):
        train(model, examples, config, CheckpointStore("", "digest", tmp_path))


def test_a_gradient_that_is_no_number_changes_nothing(examples, config, tmp_path, at_step):
    """The step is not made, so weights that could be saved are good ones; no checkpoint follows the one before."""
    model = load_model(config.backbone, config.max_length)
    weights: list[torch.Tensor] = []

    def break_the_gradient() -> None:
        weight = model[0].model.encoder.layer[1].output.dense.weight
        weights.append(weight.detach().clone())
        weight.register_hook(lambda gradient: gradient * float("inf"))

    at_step(7, break_the_gradient)
    store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path)
    with pytest.raises(TrainingError, match=r"gradient became (nan|inf) at step 8 of 18 \(epoch 2, learning rate"):
        train(model, examples, config, store)
    assert torch.equal(weights[0], model[0].model.encoder.layer[1].output.dense.weight)
    kept = json.loads((store.restore() / "trainer_state.json").read_text())
    assert kept["global_step"] == 6


def test_weights_that_are_no_numbers_replace_no_checkpoint(examples, config, tmp_path, at_step, terminate):
    """The loss of step 11 was still finite; that of a step 12 would tell, after the last checkpoint."""
    model = load_model(config.backbone, config.max_length)

    def spoil() -> None:
        with torch.no_grad():
            model[0].model.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
        terminate()

    at_step(11, spoil)
    store = CheckpointStore(str(tmp_path / "kept"), "digest", tmp_path)
    with pytest.raises(TrainingError, match=r"Weights became no numbers at step 11 of 18"):
        train(model, examples, config, store)
    assert json.loads((store.restore() / "trainer_state.json").read_text())["global_step"] == 6


@pytest.mark.parametrize("loss", ["TripletMarginLoss", "MultiSimilarityLoss", "MultipleNegativesRankingLoss"])
def test_a_rate_at_which_all_vectors_become_the_same_stops_the_training(run_training, examples, config, tmp_path, loss):
    config = dataclasses.replace(config, loss=loss, epochs=5, learning_rate=0.9)
    with pytest.raises(TrainingError, match=r"same vector at step \d+ of \d+ \(epoch \d, .*Lower learning_rate \(0.9"):
        run_training(examples, config, str(tmp_path))


def test_a_narrow_model_is_none_that_fell_apart():
    """BERT as published gives cosines of 0.9 and more; what counts is what became of the distances."""
    diagnosis = Diagnosis(COURSE)
    diagnosis.look(Step(1, 0.1, 1.0, 1.0))
    diagnosis.check_spread([0.01, 1e-12], [1e-4, 0.0])
    with pytest.raises(TrainingError, match=r"\(1 - cosine\) is 5e-06, and was 0\.01 before the training"):
        diagnosis.check_spread([0.3, 0.01], [0.3, 5e-6])


def test_a_loss_that_does_not_move_is_told():
    still = noisy(2.5, 50, 1) + noisy(2.495, 50, 2)
    assert remarks_on(history(still[:99]), COURSE) == ()
    (told,) = remarks_on(history(still), COURSE)
    assert told.startswith(
        "The loss did not move: 2.5 on average up to step 50, and 2.495 from step 51 to 100, which is no further apart "
        "than chance (2 standard errors of 0.019). Raise learning_rate (0.1 now)"
    )
    assert remarks_on(history([*still, *noisy(1.0, 300, 3)]), COURSE) == (told,)


@pytest.mark.parametrize("later", [2.4, 2.6])
def test_a_loss_that_moves_is_not(later):
    assert remarks_on(history(noisy(2.5, 50, 1) + noisy(later, 50, 2) + noisy(later, 300, 3)), COURSE) == ()


def test_a_loss_may_be_still_while_the_rate_rises():
    course = dataclasses.replace(COURSE, warmup_steps=150)
    losses = noisy(2.5, 50, 1) + noisy(2.5, 100, 2)
    assert remarks_on(history(losses + noisy(1.5, 50, 3)), course) == ()
    assert "from step 151 to 200" in remarks_on(history(losses + noisy(2.5, 50, 3)), course)[0]


def test_points_of_many_steps_tell_as_well():
    course = dataclasses.replace(COURSE, steps=40_000, batches_per_epoch=1000)
    assert "from step 2,001 to" not in remarks_on(history(noisy(2.5, 10, 1), 400), course)[0]
    assert remarks_on(history(noisy(2.5, 5, 1) + noisy(1.5, 5, 2), 400), course) == ()


def test_exact_zeros_are_told():
    assert remarks_on(history([0.1] * 30 + [0.0] * 49), COURSE) == ()
    zeros = history([0.1, 0.2] * 15 + [0.0] * 50 + [0.1] * 9)
    assert any(
        "exactly 0 in the 50 steps up to step 80: SupConLoss found nothing" in one for one in remarks_on(zeros, COURSE)
    )


def test_zeros_of_a_training_are_told_once_and_kept(run_training, config, tmp_path, monkeypatch):
    """Two labels whose texts are the same within each: all margins are met from the start."""
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    examples = TrainingSet(Contents.of_texts(["aaaa"] * 8 + ["zyzyzyzyzyzyzyzy"] * 8), np.arange(16) // 8)
    options = '{"items_per_label": 2}'
    config = dataclasses.replace(config, loss="TripletMarginLoss", epochs=12, learning_rate=1e-2, train_options=options)
    run = run_training(examples, config)
    (told,) = (one for one in run.result.remarks if "exactly 0" in one)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert [event["text"] for event in events if event.get("text") == told] == [told]
