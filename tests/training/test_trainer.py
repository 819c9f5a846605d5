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
        *(1.8504119, 1.423378, 1.8781819, 1.6128192, 1.6067643, 0.96248943),
        *(1.1453238, 1.4743586, 1.5426407, 1.3279014, 0.99468803, 1.4581761),
    ],
    "ArcFaceLoss": [
        *(45.565399, 49.007217, 44.355423, 38.755341, 35.746296, 39.261189),
        *(34.424393, 37.596149, 37.408329, 36.9053, 34.071129, 35.286827),
    ],
    "ProxyAnchorLoss": [
        *(13.281136, 12.7834, 13.408621, 11.125896, 10.527544, 12.410305),
        *(10.966337, 10.761505, 10.666916, 9.6852026, 10.54969, 10.427923),
    ],
    "CLIPLoss": [
        *(1.6271772, 1.4086468, 1.7325606, 1.576225, 1.5497441, 1.0179042),
        *(1.2003763, 1.4857596, 1.4767795, 1.3086307, 1.0595794, 1.3786869),
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
    config = dataclasses.replace(config, train_options=options, epochs=1, learning_rate=1e-2)
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
