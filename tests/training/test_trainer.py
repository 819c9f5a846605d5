"""Trainings learn, repeat exactly and report how far they are."""

import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import transformers

from embedtune.errors import TrainingError
from embedtune.models.contents import Contents
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model
from embedtune.models.roles import EncodingRole
from embedtune.progress import EVENTS_VARIABLE
from embedtune.records.layouts import Layout
from embedtune.training.config import LOSSES, BatchKind
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import fitting_losses
from embedtune.training.options import OPTIMIZERS

LABELLED = fitting_losses(Layout.LABELLED)

GOLDEN = {
    "MultipleNegativesRankingLoss": [
        *(1.6837964, 1.5237365, 2.3506973, 1.5947003, 1.6306443, 1.133288),
        *(1.3173008, 1.3741198, 1.6674175, 1.3566175, 1.1313968, 1.2904539),
    ],
    "ArcFaceLoss": [
        *(45.828632, 49.562084, 45.20903, 38.696907, 36.713486, 39.074005),
        *(34.364887, 37.506897, 36.174881, 37.070148, 34.78083, 34.323914),
    ],
    "ProxyAnchorLoss": [
        *(13.622368, 12.978445, 12.995216, 10.862587, 10.141108, 12.298824),
        *(10.813871, 10.465315, 10.887529, 9.7175961, 10.658115, 10.553296),
    ],
    "CLIPLoss": [
        *(1.5072863, 1.4666243, 2.066973, 1.5656872, 1.557699, 1.1319176),
        *(1.3151945, 1.4527651, 1.550246, 1.3254936, 1.2124004, 1.2977402),
    ],
    "SupConLoss": [
        *(1.9685582, 1.9175029, 1.9035165, 1.7746816, 2.0106225, 2.1586678),
        *(2.0095513, 2.193372, 2.0208693, 2.5189934, 2.0961988, 2.0901968),
    ],
    "MultiSimilarityLoss": [
        *(0.631235, 0.64117241, 0.62614584, 0.6172604, 0.62178588, 0.62932205),
        *(0.62566584, 0.60835302, 0.58429658, 0.696464, 0.62575334, 0.62766683),
    ],
    "TripletMarginLoss": [
        *(0.1495536, 0.1173375, 0.10374151, 0.08066868, 0.098344222, 0.13027641),
        *(0.10191231, 0.12588082, 0.10945775, 0.1631593, 0.1134787, 0.11329141),
    ],
}
"""Losses of two epochs of six steps; with 1 or 2 threads of plain, AVX2 or AVX-512 code they differ by 2e-6 at most."""


def texts_of(examples: TrainingSet) -> list[str]:
    return [content["text"] for content in examples.contents]


def separation(model, examples: TrainingSet) -> float:
    """Least cosine within a label minus greatest across labels."""
    vectors = encode_contents(model, examples.contents, EncodingRole.QUERY, 16, "Encoding")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    same = examples.labels[:, None] == examples.labels
    return float(cosines[same].min() - cosines[~same].max())


@pytest.mark.parametrize("loss", LABELLED)
def test_random_texts_of_two_labels_are_told_apart(run_training, config, loss):
    rng = np.random.default_rng(3)
    texts = [" ".join("".join(rng.choice(list("abcdefghij"), 3)) for _ in range(4)) for _ in range(16)]
    examples = TrainingSet(Contents.of_texts(texts), np.arange(16) % 2)
    epochs = 40 if LOSSES[loss] is BatchKind.PAIRS else 80
    fit = dataclasses.replace(config, loss=loss, epochs=epochs, batch_size=16, learning_rate=2e-3, train_options="{}")
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
    options = json.dumps({"optimizer": optimizer, "items_per_label": 2})
    rate = 1e-3 if optimizer == "RMSprop" else 1e-2  # its first steps are ten times as long as the others'
    config = dataclasses.replace(config, train_options=options, epochs=1, learning_rate=rate)
    run = run_training(examples, config)
    assert np.isfinite(run.losses).all()
    before = load_model(config.backbone, 32).encode(examples.contents.text(0))
    assert np.abs(run.model.encode(examples.contents.text(0)) - before).max() > 1e-5


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
    events = [event for event in events if event.get("description") == "Fine-tuning"]
    assert {(event["total"], event["unit"]) for event in events} == {(18, "steps")}
    done = [event["done"] for event in events]
    assert done == sorted(done)
    assert done[-1] == 18


def test_texts_that_make_no_batches(config, run_training):
    texts = TrainingSet(Contents.of_texts(["a", "b", "c"]), np.zeros(3, np.int64))
    with pytest.raises(TrainingError, match="no two pairs that can be told apart"):
        run_training(texts, config)
    with pytest.raises(TrainingError, match="at least two labels"):
        run_training(texts, dataclasses.replace(config, loss="SupConLoss"))


def test_texts_that_look_like_addresses_are_words(run_training, examples, config):
    texts = ["https://example.org/a.png", "/etc/hostname.jpg", "data:image/png;base64,xx", "video.mp4"] * 2
    odd = TrainingSet(Contents.of_texts(texts), np.arange(8) // 2)
    assert len(run_training(odd, dataclasses.replace(config, epochs=1)).losses) == 1


def test_judged_pairs_train(run_training, config):
    texts = ["".join(letters) for letters in ("abc", "abd", "xyz", "xyw", "mno", "mnp")]
    pairs = np.array([[0, 1], [2, 3], [4, 5]])
    examples = TrainingSet(Contents.of_texts(texts), np.array([0, 0, 1, 1, 2, 2]), pairs)
    run = run_training(examples, dataclasses.replace(config, epochs=30, learning_rate=2e-3))
    assert np.mean(run.losses[-5:]) < 0.6 * np.mean(run.losses[:5])


@pytest.mark.skipif(torch.cuda.is_available(), reason="the numbers are a CPU's")
@pytest.mark.parametrize("loss", LABELLED)
def test_golden_losses(run_training, examples, config, loss):
    options = '{"items_per_label": 2, "loss_learning_rate": 1e-3, "precision": "float32"}'
    run = run_training(examples, dataclasses.replace(config, loss=loss, epochs=2, train_options=options))
    assert loss in GOLDEN, f"If these are right, add them to GOLDEN: {[float(f'{one:.8g}') for one in run.losses]}"
    assert run.losses == pytest.approx(GOLDEN[loss], rel=1e-5)


def test_scored_pairs_train(run_training, config):
    texts = ["".join(letters) for letters in ("abc", "abd", "xyz", "xyw", "mno", "mnp")]
    pairs = np.array([[0, 1], [2, 3], [4, 5], [0, 3], [2, 5], [4, 1]])
    scores = np.array([1, 1, 0.75, 0, 0.25, 0], np.float32)
    examples = TrainingSet(Contents.of_texts(texts), np.zeros(6, np.int64), pairs, scores=scores)
    for loss in fitting_losses(Layout.SCORED):
        run = run_training(
            examples, dataclasses.replace(config, loss=loss, epochs=30, learning_rate=2e-3, batch_size=12)
        )
        assert np.mean(run.losses[-5:]) < 0.6 * np.mean(run.losses[:5])


def test_explicit_wrong_answers_train(run_training, config):
    """Anchor and wrong answer begin alike, so only the judgments can tell the right answer."""
    texts = ["abc", "xyz", "abd", "mno", "rst", "mnp", "xyw", "efg"]
    pairs, wrong = np.array([[0, 1], [3, 4]]), np.array([[0, 2], [3, 5]])
    examples = TrainingSet(Contents.of_texts(texts), np.zeros(8, np.int64), pairs, negatives=wrong)
    run = run_training(examples, dataclasses.replace(config, epochs=60, learning_rate=2e-3))
    vectors = encode_contents(run.model, examples.contents, EncodingRole.QUERY, 8, "Encoding")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for (anchor, right), (_, other) in zip(pairs, wrong, strict=True):
        assert vectors[anchor] @ vectors[right] > vectors[anchor] @ vectors[other] + 0.1


def test_training_outside_the_main_thread(run_training, examples, config):
    """Only the main thread may listen for signals; an application trains in another one."""
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(run_training, examples, dataclasses.replace(config, epochs=1)).result()
    assert np.isfinite(run.losses).all()


def test_a_process_that_sees_several_gpus_trains_on_one(run_training, examples, config, monkeypatch):
    class Refused(torch.nn.DataParallel):
        def __init__(self, *_: object, **__: object) -> None:
            raise AssertionError

    alone = run_training(examples, dataclasses.replace(config, epochs=1))
    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", 4)
    monkeypatch.setattr(torch.nn, "DataParallel", Refused)
    seen = run_training(examples, dataclasses.replace(config, epochs=1))
    assert seen.weights == alone.weights
