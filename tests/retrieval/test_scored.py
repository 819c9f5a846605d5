"""Pairs with scores: Spearman decides, over the pairs, and retrieval is measured where there is something to find."""

import dataclasses

import numpy as np
import pytest

from embedtune.retrieval.compare import compare
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.correlation import correlation_intervals, pearson, spearman
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.gate import Asked, Incumbent
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant, deciding_key, deciding_score
from embedtune.retrieval.metric_names import parse_metric
from embedtune.retrieval.units import Units

COUNT = 30
IDS = [f"q{number:02}" for number in range(COUNT)], [f"d{number:02}" for number in range(COUNT)]
ENDS = list(zip(*IDS, strict=True))


def evaluation_set(scores: np.ndarray) -> EvaluationSet:
    judgments = Judgments.from_pairs(*IDS, *IDS, scores)
    pairs = ScoredPairs.from_ids(ENDS, scores, *IDS)
    return EvaluationSet(IDS[0], IDS[0], [""] * COUNT, IDS[1], IDS[1], judgments, scored=pairs)


def vectors(cosines: np.ndarray) -> Vectors:
    """Pair n has the n-th cosine, and is at right angles to all others."""
    queries, index = np.zeros((2, COUNT, 2 * COUNT))
    rows = np.arange(COUNT)
    queries[rows, rows] = 1.0
    index[rows, rows], index[rows, COUNT + rows] = cosines, np.sqrt(1 - cosines**2)
    return Vectors(queries, index)


BASE = np.random.default_rng(0).uniform(0, 1, COUNT)
SCORES = np.linspace(0, 1, COUNT)
SIDES = (vectors(BASE), vectors(SCORES**2))


def compared(data: EvaluationSet, *sides: Vectors, new: np.ndarray | None = None) -> Comparison:
    names = ("base", "tuned", "champion")
    contestants = [Contestant(name, "", found) for name, found in zip(names, sides, strict=False)]
    contestants[2:] = [dataclasses.replace(each, new=new) for each in contestants[2:]]
    incumbent = Incumbent("3" if len(sides) > 2 else "")
    return compare(data, contestants, Asked("mrr_at_10", 0.0), incumbent, seed=1, resamples=200).comparison


def test_the_correlation_decides_whatever_metric_is_asked_for() -> None:
    comparison = compared(evaluation_set(SCORES), *SIDES)
    found = comparison.difference("spearman")
    assert (found.units, found.unit) == (COUNT, "pairs")
    assert (found.of_against, found.of_side) == pytest.approx((spearman(BASE, SCORES), 1.0))
    assert comparison.value("pearson", "tuned") == pytest.approx(pearson(SCORES**2, SCORES))
    assert comparison.decision.metric == "spearman"
    assert comparison.decision.better is (found.lower > 0) is True
    assert comparison.evaluation_digest == evaluation_set(SCORES).digest()
    metric = parse_metric("mrr_at_10")
    assert deciding_key(evaluation_set(SCORES), metric) == "spearman"
    assert deciding_score(evaluation_set(SCORES), SIDES[0], metric) == found.of_against
    # One pair has the score 0, so its query has nothing to find.
    assert (comparison.pairs, comparison.queries, comparison.queries_without_relevant) == (COUNT, COUNT - 1, 1)


def test_pairs_that_the_champion_was_trained_on_are_left_out_of_the_comparison_with_it() -> None:
    new = np.arange(COUNT) >= 5
    champion = vectors(np.linspace(0.1, 1, COUNT) ** 3)
    comparison = compared(evaluation_set(SCORES), *SIDES, champion, new=new)
    alone = compared(evaluation_set(SCORES), *SIDES)
    assert comparison.difference("spearman") == alone.difference("spearman")
    found = comparison.difference("spearman", "champion")
    assert (found.units, found.of_side, found.of_against) == (COUNT - 5, pytest.approx(1.0), pytest.approx(1.0))
    assert comparison.value("spearman", "champion") == found.of_against
    assert comparison.value("spearman", "tuned") == alone.value("spearman", "tuned")
    assert "Compared with the champion, version 3, the tuned model is no better" in comparison.decision.reason


def test_intervals_count_pairs_that_were_held_out_together() -> None:
    numbers = np.arange(COUNT) // 3
    data = dataclasses.replace(evaluation_set(SCORES), units=Units("groups of connected pairs", numbers, numbers))
    found = compared(data, *SIDES).difference("spearman")
    assert (found.units, found.unit) == (10, "groups of connected pairs")
    lower, upper = correlation_intervals(SCORES, BASE, SCORES**2, 200, 1, numbers)
    assert (found.lower, found.upper) == (pytest.approx(lower[0]), pytest.approx(upper[0]))


def test_nothing_to_find_leaves_the_correlations() -> None:
    comparison = compared(evaluation_set(np.zeros(COUNT)), *SIDES)
    assert [metric.name for metric in comparison.metrics] == ["spearman", "pearson"]
    assert (comparison.queries, comparison.examples, comparison.decision.better) == (0, (), False)


def test_pairs_of_chosen_queries() -> None:
    chosen = evaluation_set(SCORES).select(np.array([7, 2]))
    assert chosen.scored is not None
    ends = [(chosen.query_ids[row], IDS[1][place]) for row, place in zip(*_ends(chosen.scored), strict=True)]
    assert sorted(ends) == [("q02", "d02"), ("q07", "d07")]
    assert sorted(chosen.scored.scores) == [SCORES[2], SCORES[7]]


def test_too_few_pairs_decide_nothing() -> None:
    chosen = evaluation_set(SCORES).select(np.arange(10))
    sides = (dataclasses.replace(side, queries=side.queries[:10]) for side in SIDES)
    reason = compared(chosen, *sides).decision.reason
    assert "over only 10 pairs" in reason


def test_the_digest_knows_scores_of_zero() -> None:
    one, other = SCORES.copy(), SCORES.copy()
    other[0] = 1e-9
    assert evaluation_set(one).digest() != evaluation_set(other).digest()
    less = dataclasses.replace(evaluation_set(one), scored=ScoredPairs.from_ids(ENDS[1:], one[1:], *IDS))
    assert less.digest() != evaluation_set(one).digest()


def _ends(pairs: ScoredPairs) -> tuple[list[int], list[int]]:
    return pairs.queries.tolist(), pairs.documents.tolist()
