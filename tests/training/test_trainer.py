"""Trainings learn, repeat exactly, report how far they are, and stop where the loss is no number."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from embedtune.errors import TrainingError
from embedtune.models.encoding import encode_texts
from embedtune.models.loading import load_model
from embedtune.progress import EVENTS_VARIABLE
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import LOSSES, OPTIMIZERS
from embedtune.training.examples import TrainingExamples
from embedtune.training.trainer import train

GOLDEN = {
    "MultipleNegativesRankingLoss": [
        *(1.8504124, 1.423378, 1.8382711, 1.6137924, 1.6134634, 0.98028183),
        *(1.1437731, 1.491147, 1.5354824, 1.3248081, 0.98898458, 1.4547639),
    ],
    "SupConLoss": [
        *(1.7820774, 2.0195007, 1.953148, 1.9650736, 2.1369851, 2.1539373),
        *(1.9981794, 2.1647143, 2.0395701, 2.3353834, 1.9727387, 2.0309649),
    ],
    "MultiSimilarityLoss": [
        *(0.62632442, 0.64210111, 0.62096035, 0.63504112, 0.63005668, 0.62113917),
        *(0.62470561, 0.59968495, 0.58293247, 0.67015707, 0.60419416, 0.62348175),
    ],
    "TripletMarginLoss": [
        *(0.094844066, 0.14457349, 0.10281539, 0.10342214, 0.11946418, 0.13884032),
        *(0.097102456, 0.114284, 0.093017206, 0.14060815, 0.10418665, 0.11420134),
    ],
}
"""Losses of two epochs of six steps; with 1 or 2 threads of plain, AVX2 or AVX-512 code they differ by 2e-6 at most."""


def separation(model, examples: TrainingExamples) -> float:
    """Least cosine within a label minus greatest across labels."""
    vectors = encode_texts(model, examples.texts, 16, "Encoding")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    same = examples.labels[:, None] == examples.labels
    return float(cosines[same].min() - cosines[~same].max())


@pytest.mark.parametrize("loss", LOSSES)
def test_random_texts_of_two_labels_are_told_apart(run_training, config, loss):
    rng = np.random.default_rng(3)
    texts = [" ".join("".join(rng.choice(list("abcdefghij"), 3)) for _ in range(4)) for _ in range(16)]
    examples = TrainingExamples(texts, np.arange(16) % 2, None)
    epochs = 40 if loss == "MultipleNegativesRankingLoss" else 80
    fit = dataclasses.replace(config, loss=loss, epochs=epochs, batch_size=16, items_per_label=4, learning_rate=2e-3)
    assert separation(load_model(config.backbone, 32), examples) < 0
    run = run_training(examples, fit)
    assert separation(run.model, examples) > 0.05
    assert np.mean(run.losses[-5:]) < 0.85 * np.mean(run.losses[:5])  # SupConLoss ends at log(7)


@pytest.mark.parametrize("loss", ["MultipleNegativesRankingLoss", "SupConLoss"])
def test_the_same_seed_gives_the_same_bits(run_training, examples, config, loss):
    config = dataclasses.replace(config, loss=loss, epochs=1)
    torch.manual_seed(1)
    first = run_training(examples, config)
    torch.manual_seed(2)
    again = run_training(examples, config)
    assert again.weights == first.weights
    assert again.result.history == first.result.history
    assert run_training(examples, dataclasses.replace(config, seed=43)).weights != first.weights


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_changes_the_weights(run_training, examples, config, optimizer):
    config = dataclasses.replace(config, optimizer=optimizer, epochs=1, learning_rate=1e-2)
    run = run_training(examples, config)
    assert np.isfinite(run.losses).all()
    before = load_model(config.backbone, 32).encode(examples.texts[0])
    assert np.abs(run.model.encode(examples.texts[0]) - before).max() > 1e-5


def test_the_history_has_every_step_of_a_short_run(run_training, examples, config):
    run = run_training(examples, dataclasses.replace(config, loss="SupConLoss"))
    assert [point.step for point in run.result.history] == list(range(1, 19))
    assert [point.epoch for point in run.result.history] == pytest.approx([step / 6 for step in range(1, 19)])
    assert run.result.seconds > 0
    assert run.result.texts_per_second == pytest.approx(3 * 48 / run.result.seconds)


def test_progress_is_reported_step_by_step(run_training, examples, config, tmp_path, monkeypatch):
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    run_training(examples, config)
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    events = [event for event in events if event["description"] == "Fine-tuning"]
    assert {(event["total"], event["unit"]) for event in events} == {(18, "steps")}
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert done[-1] == 18


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_training(examples, config, tmp_path, value):
    model = load_model(config.backbone, config.max_length)
    with torch.no_grad():
        model[0].model.embeddings.LayerNorm.weight[0] = value
    with pytest.raises(TrainingError, match=r"loss became nan at step 1\..*learning rate \(0\.001 now\)"):
        train(model, examples, config, CheckpointStore("", "digest", tmp_path))


def test_texts_that_make_no_batches(config, run_training):
    texts = TrainingExamples(["a", "b", "c"], np.zeros(3, np.int64), None)
    with pytest.raises(TrainingError, match="no two pairs that can be told apart"):
        run_training(texts, config)
    with pytest.raises(TrainingError, match="at least two labels"):
        run_training(texts, dataclasses.replace(config, loss="SupConLoss"))


def test_texts_that_look_like_addresses_are_words(run_training, examples, config):
    texts = ["https://example.org/a.png", "/etc/hostname.jpg", "data:image/png;base64,xx", "video.mp4"] * 2
    odd = TrainingExamples(texts, np.arange(8) // 2, None)
    assert len(run_training(odd, dataclasses.replace(config, epochs=1)).losses) == 1


def test_judged_pairs_train(run_training, config):
    texts = ["".join(letters) for letters in ("abc", "abd", "xyz", "xyw", "mno", "mnp")]
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    examples = TrainingExamples(texts, np.array([0, 0, 1, 1, 2, 2]), pairs)
    run = run_training(examples, dataclasses.replace(config, epochs=30, learning_rate=2e-3))
    assert np.mean(run.losses[-5:]) < 0.6 * np.mean(run.losses[:5])


@pytest.mark.skipif(torch.cuda.is_available(), reason="the numbers are a CPU's")
@pytest.mark.parametrize("loss", LOSSES)
def test_golden_losses(run_training, examples, config, loss):
    run = run_training(examples, dataclasses.replace(config, loss=loss, epochs=2))
    assert run.losses == pytest.approx(GOLDEN[loss], rel=1e-5)
