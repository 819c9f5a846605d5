"""Pairs with scores: Spearman decides, over the pairs, and retrieval is measured where there is something to find."""

import dataclasses

import numpy as np
import pytest

from embedtune.retrieval.compare import compare
from embedtune.retrieval.correlation import pearson, spearman
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.judgments import Judgments

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
OPTIONS = {"metric": "mrr_at_10", "min_gain": 0.0, "seed": 1, "resamples": 200}


def test_the_correlation_decides_whatever_metric_is_asked_for() -> None:
    comparison = compare(evaluation_set(SCORES), *SIDES, **OPTIONS).comparison
    found = comparison.metric("spearman")
    assert (found.base, found.tuned) == pytest.approx((spearman(BASE, SCORES), 1.0))
    assert comparison.metric("pearson").tuned == pytest.approx(pearson(SCORES**2, SCORES))
    assert comparison.decision.metric == "spearman"
    assert comparison.decision.better is (found.lower > 0) is True
    # One pair has the score 0, so its query has nothing to find.
    assert (comparison.pairs, comparison.queries, comparison.queries_without_relevant) == (COUNT, COUNT - 1, 1)


def test_nothing_to_find_leaves_the_correlations() -> None:
    comparison = compare(evaluation_set(np.zeros(COUNT)), *SIDES, **OPTIONS).comparison
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
    reason = compare(chosen, *sides, **OPTIONS).comparison.decision.reason
    assert "over only 10 pairs" in reason


def test_the_digest_knows_scores_of_zero() -> None:
    one, other = SCORES.copy(), SCORES.copy()
    other[0] = 1e-9
    assert evaluation_set(one).digest() != evaluation_set(other).digest()
    less = dataclasses.replace(evaluation_set(one), scored=ScoredPairs.from_ids(ENDS[1:], one[1:], *IDS))
    assert less.digest() != evaluation_set(one).digest()


def _ends(pairs: ScoredPairs) -> tuple[list[int], list[int]]:
    return pairs.queries.tolist(), pairs.documents.tolist()
