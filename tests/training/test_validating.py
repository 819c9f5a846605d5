"""A model is measured before its training and after each epoch, and the best epoch is kept where that is asked for."""

import dataclasses
import json

import numpy as np
import pytest

from embedtune.errors import ConfigError, TrainingError
from embedtune.models import precision
from embedtune.models.card import EpochScore
from embedtune.models.contents import Contents
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model, weights_digest
from embedtune.models.options import FLOAT32
from embedtune.models.roles import EncodingRole
from embedtune.progress import EVENTS_VARIABLE
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import deciding_score
from embedtune.retrieval.metric_names import parse_metric
from embedtune.training import so_far, validating
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.saving import CheckpointCallback
from embedtune.training.validating import ValidationCallback
from embedtune.training.validation_set import ValidationSet
from tests.training.test_resume import Killed, kill

QUERIES, DOCUMENTS = 24, 40


@pytest.fixture(scope="session")
def validation() -> ValidationSet:
    """Random texts, so that no epoch is good: 24 queries of 8 labels search 40 documents."""
    rng = np.random.default_rng(8)
    texts = ["".join(rng.choice(list("abcdefgh "), rng.integers(2, 30))) for _ in range(QUERIES + DOCUMENTS)]
    ids, labels = [f"{number:02}" for number in range(len(texts))], [str(number % 8) for number in range(len(texts))]
    judgments = Judgments.from_labels(labels[:QUERIES], ids[:QUERIES], labels[QUERIES:], ids[QUERIES:])
    documents = EvaluationSet(
        ids[:QUERIES], texts[:QUERIES], labels[:QUERIES], ids[QUERIES:], texts[QUERIES:], judgments
    )
    contents = (Contents.of_texts(texts[:QUERIES]), Contents.of_texts(texts[QUERIES:]))
    return ValidationSet(HeldOut(documents, *contents), parse_metric("ndcg_at_5"), EncodingRole.QUERY)


@pytest.fixture(scope="session")
def keeping(config):
    """The configuration of the tests of this folder, with the best of its three epochs of six steps kept."""
    options = {"items_per_label": 2, "validation_share": 0.5, "keep_best_epoch": True}
    return dataclasses.replace(config, train_options=json.dumps(options))


@pytest.fixture(scope="module")
def straight(run_training, examples, keeping, validation):
    return run_training(examples, keeping, validation=validation)


@pytest.fixture
def scripted(monkeypatch):
    """Make the scores these, and return the digests of the weights that had them: `scripted(0.1, 0.3, 0.2)`."""

    def arrange(*scores: float) -> list[str]:
        weights, left = [], list(scores)

        def encode(model, *arguments):
            if len(weights) < len(scores) - len(left) + 1:
                weights.append(weights_digest(model))
            return encode_contents(model, *arguments)

        monkeypatch.setattr(validating, "encode_contents", encode)
        monkeypatch.setattr(validating, "deciding_score", lambda *_: left.pop(0))
        return weights

    return arrange


def score_of(model, validation: ValidationSet) -> float:
    held_out = validation.held_out
    query = EncodingRole.QUERY
    sides = (encode_contents(model, side, query, 8, "", FLOAT32) for side in (held_out.queries, held_out.index))
    return deciding_score(held_out.documents, Vectors(*sides, "cosine"), validation.metric)


def test_the_scores_are_those_of_the_model_before_and_after_a_training_that_they_do_not_change(
    run_training, examples, config, validation
):
    run, plain = run_training(examples, config, validation=validation), run_training(examples, config)
    assert (run.weights, run.result.history) == (plain.weights, plain.result.history)
    assert plain.result.validation is None
    found = run.result.validation
    assert (found.metric, found.queries, found.documents, found.kept) == ("ndcg_at_5", QUERIES, DOCUMENTS, 3)
    assert [(score.epoch, score.step) for score in found.scores] == [(0, 0), (1, 6), (2, 12), (3, 18)]
    values = [score.value for score in found.scores]
    assert values[0] == score_of(load_model(config.backbone, config.max_length), validation)
    assert values[-1] == score_of(run.model, validation)
    assert len(set(values)) == 4
    assert run.result.chosen.keys() == {"precision"}


def test_it_is_measured_in_float32_whatever_is_trained_in(run_training, examples, config, validation, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)
    seen: list[str] = []

    def encode(model, contents, role, batch_size, description, precision):
        seen.append(precision)
        return encode_contents(model, contents, role, batch_size, description, precision)

    monkeypatch.setattr(validating, "encode_contents", encode)
    run = run_training(examples, dataclasses.replace(config, epochs=1), validation=validation)
    assert run.result.chosen["precision"].startswith("Precision (auto): bfloat16")
    assert seen == [FLOAT32] * 4
    assert run.result.validation.scores[-1].value == score_of(run.model, validation)


@pytest.mark.parametrize(
    ("scores", "kept", "sentence"),
    [
        ((0.1, 0.4, 0.4, 0.3), 1, "1 of 3 was best, with nDCG@5 0.4000 on 24 validation queries."),
        ((0.1, 0.2, 0.3, 0.4), 3, "3 of 3 was best, with nDCG@5 0.4000 on 24 validation queries."),
        ((0.5, 0.2, 0.5, 0.4), 0, "none of 3 was better than the model before its training, which is kept as it was"),
    ],
)
def test_the_best_epoch_is_kept_and_the_earlier_of_two(
    run_training, examples, keeping, validation, scripted, tmp_path, monkeypatch, scores, kept, sentence
):
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    weights = scripted(*scores)
    run = run_training(examples, keeping, validation=validation)
    found = run.result.validation
    assert (found.kept, found.best.epoch) == (kept, kept)
    assert [score.value for score in found.scores] == list(scores)
    assert len(set(weights)) == 4
    assert run.weights == weights[kept]
    assert f"Epoch (keep_best_epoch): {sentence}" in run.result.chosen["keep_best_epoch"]
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    told = [event["text"] for event in events if event["event"] == "note"]
    assert "Validation before the training: nDCG@5" in told[2]
    score = f"nDCG@5 {scores[1]:.4f} ({scores[1] - scores[0]:+.4f} since before the training)"
    assert told[3] == f"Validation after epoch 1 of 3: {score}."
    assert told[-1] == run.result.chosen["keep_best_epoch"]


@pytest.mark.parametrize(("step", "act"), [(15, "kill"), (6, "stop"), (10, "stop"), (18, "stop")])
def test_a_training_that_was_interrupted_has_the_same_scores_and_weights(
    run_training, at_step, terminate, examples, keeping, validation, straight, tmp_path, step, act
):
    """Killed with a checkpoint of the epoch before; told to stop within an epoch and at the last step of one."""
    assert 0 < straight.result.validation.kept < 3
    at_step(step, {"kill": kill, "stop": terminate}[act])
    with pytest.raises((Killed, TrainingError)):
        run_training(examples, keeping, str(tmp_path), validation=validation)
    resumed = run_training(examples, keeping, str(tmp_path), validation=validation)
    assert resumed.result.validation == straight.result.validation
    assert resumed.result.chosen == straight.result.chosen
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history


def test_no_time_is_spent_on_measuring_when_told_to_stop(
    run_training, at_step, terminate, examples, keeping, validation, scripted, tmp_path
):
    weights = scripted(0.1, 0.2)
    at_step(12, terminate)
    with pytest.raises(TrainingError, match="Stopped at step 12 of 18"):
        run_training(examples, keeping, str(tmp_path), validation=validation)
    assert len(weights) == 2


@pytest.fixture
def stopped_while_measured(monkeypatch, terminate):
    """Tell a training to stop once, before an index is encoded, and count the measurements that ended."""

    def arrange(epoch: int) -> list[float]:
        scores, told = [], []
        score = ValidationCallback._score

        def record(callback: ValidationCallback) -> float:
            scores.append(score(callback))
            return scores[-1]

        def encode(model, *arguments):
            vectors = encode_contents(model, *arguments)
            if len(scores) == epoch and not told:
                told.append(epoch)
                terminate()
            return vectors

        monkeypatch.setattr(ValidationCallback, "_score", record)
        monkeypatch.setattr(validating, "encode_contents", encode)
        return scores

    return arrange


@pytest.mark.parametrize("epoch", [1, 3])
def test_told_to_stop_while_it_is_measured(
    run_training, stopped_while_measured, monkeypatch, examples, keeping, validation, straight, tmp_path, epoch
):
    """The measurement is given up, and a checkpoint of that step kept: of a finished training, too."""
    scores = stopped_while_measured(epoch)
    with pytest.raises(TrainingError, match=f"Stopped at step {6 * epoch} of 18: a checkpoint is kept, run again"):
        run_training(examples, keeping, str(tmp_path), validation=validation)
    assert len(scores) == epoch
    monkeypatch.undo()
    resumed = run_training(examples, keeping, str(tmp_path), validation=validation)
    assert resumed.result.validation == straight.result.validation
    assert resumed.weights == straight.weights
    assert resumed.result.history == straight.result.history


def test_a_finished_training_that_nothing_else_keeps_goes_on_to_its_model(
    run_training, stopped_while_measured, examples, keeping, validation, straight, capsys
):
    scores = stopped_while_measured(3)
    run = run_training(examples, keeping, validation=validation)
    assert len(scores) == 4
    assert run.result.validation == straight.result.validation
    assert run.weights == straight.weights
    assert "No checkpoint has that: the model is saved now." in capsys.readouterr().err


def test_a_checkpoint_without_the_best_weights(
    run_training, at_step, terminate, examples, keeping, validation, tmp_path
):
    at_step(9, terminate)
    with pytest.raises(TrainingError):
        run_training(examples, keeping, str(tmp_path))
    with pytest.raises(TrainingError, match=r"lacks the weights of the best epoch .* Delete the folder of checkpoints"):
        run_training(examples, keeping, str(tmp_path), validation=validation)


def test_the_speed_is_that_of_the_training_alone(run_training, examples, config, validation, monkeypatch):
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(so_far, "perf_counter", lambda: float(next(clock)))
    run = run_training(examples, dataclasses.replace(config, epochs=1), validation=validation)
    # Six readings ten seconds apart from its start on: of the loop the first and last, of two measurements the others.
    assert run.result.seconds == 50.0 - 2 * 10.0
    assert run.result.texts_per_second == pytest.approx(46 / 30)


def test_scores_are_followed_by_spearmans_correlation(run_training, examples, config, validation):
    documents = validation.held_out.documents
    scored = ScoredPairs(np.arange(24), np.arange(24), np.linspace(0, 1, 24))
    judged = dataclasses.replace(validation.held_out, documents=dataclasses.replace(documents, scored=scored))
    of_scores = dataclasses.replace(validation, held_out=judged)
    run = run_training(examples, dataclasses.replace(config, epochs=1), validation=of_scores)
    assert run.result.validation.metric == "spearman"
    assert run.result.validation.scores[-1] == EpochScore(1, 6, score_of(run.model, of_scores))
    assert score_of(run.model, of_scores) != score_of(run.model, validation)


def test_a_model_that_compares_by_something_else(config, validation, tmp_path):
    model = load_model(config.backbone, 0)
    model.similarity_fn_name = "manhattan"
    config = dataclasses.replace(config, train_options='{"validation_share": 0.1}')
    interruption = CheckpointCallback(CheckpointStore("", "digest", tmp_path), None, 8, 0.0)
    with pytest.raises(ConfigError, match=r"validation_share is 0\.1, but the model compares its vectors by manhattan"):
        ValidationCallback(model, validation, config, 6, interruption)
