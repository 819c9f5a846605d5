"""The best of several ways to fine-tune, by what all of them were measured on."""

import json
from pathlib import Path

import pytest

from embedtune.errors import InputError, TrainingError
from embedtune.models.card import EpochScore, Validation
from embedtune.training.candidates import Candidate, Sweep, choose


def measured(*values: float, kept: int | None = None, queries: int = 40) -> Validation:
    scores = tuple(EpochScore(epoch, 10 * epoch, value) for epoch, value in enumerate(values))
    return Validation("ndcg_at_10", queries, 80, scores, len(scores) - 1 if kept is None else kept)


def candidate(rate: float, validation: Validation | None, failure: str = "") -> Candidate:
    return Candidate({"train_learning_rate": rate}, validation, failure, 3.0)


FAILED = candidate(1.0, None, "The training loss became nan at step 3.")


def test_the_highest_score_of_the_weights_that_are_kept_wins() -> None:
    by_last, by_best = candidate(1e-3, measured(0.4, 0.9, 0.5)), candidate(1e-4, measured(0.4, 0.6, 0.5, kept=1))
    found = choose((by_last, FAILED, by_best))
    assert (found.chosen, found.winner.score, found.before) == (2, 0.6, EpochScore(0, 0, 0.4))
    assert by_last.figures == {"validation_ndcg_at_10": 0.5, "seconds": 3.0}
    assert FAILED.figures == {}


def test_of_equal_ones_the_first_wins() -> None:
    assert choose((FAILED, candidate(2.0, measured(0.4, 0.5)), candidate(3.0, measured(0.4, 0.5)))).chosen == 1


def test_where_all_fail_their_reasons_are_told_once() -> None:
    with pytest.raises(TrainingError, match=r"^None of 2 combinations came to a model\. The training .* step 3\.$"):
        choose((FAILED, FAILED))


def test_what_was_measured_differently_is_not_compared() -> None:
    with pytest.raises(InputError, match=r"measured differently: .*'ndcg_at_10', 40, 80.*'ndcg_at_10', 41, 80"):
        choose((candidate(1.0, measured(0.5)), candidate(2.0, measured(0.5, queries=41))))


def test_the_record_is_read_again(tmp_path: Path) -> None:
    FAILED.save(tmp_path)
    assert Candidate.load(tmp_path) == FAILED
    sweep = choose((FAILED, candidate(2.0, measured(0.4, 0.5))))
    sweep.save(tmp_path / "sweep.json")
    assert Sweep.load(tmp_path / "sweep.json") == sweep


@pytest.mark.parametrize(
    "facts", ["", "[]", "{}", json.dumps({"format": "embedtune-candidate"}), '{"format": "other"}']
)
def test_what_is_no_record(facts: str, tmp_path: Path) -> None:
    for name, read in (("candidate.json", lambda: Candidate.load(tmp_path)), ("s", lambda: Sweep.load(tmp_path / "s"))):
        (tmp_path / name).write_text(facts, encoding="utf-8")
        with pytest.raises(InputError, match="cannot be read as a"):
            read()
