"""Finetuner's metrics, by docarray's own functions, which no longer compute two of them under numpy 2."""

import numpy as np
import pytest
from docarray.math import evaluation as docarray

from embedtune.retrieval.finetuner_metrics import LIMIT, finetuner_scores


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Results of 300 queries, from none to LIMIT, from none to all of them relevant."""
    generator = np.random.default_rng(0)
    returned = generator.integers(0, LIMIT + 1, 300)
    relevant = generator.random((300, LIMIT)) < generator.random((300, 1))
    relevant[0], returned[0] = True, LIMIT
    relevant &= np.arange(LIMIT) < returned[:, np.newaxis]
    return relevant, returned, relevant.sum(axis=1) + generator.integers(1, 5, 300)


def dcg(relevance: list[int]) -> float:
    weights = [1.0, *(1 / np.log2(rank) for rank in range(2, len(relevance) + 1))]
    return sum(weight * each for weight, each in zip(weights, relevance, strict=False))


def test_like_docarray() -> None:
    relevant, returned, counts = drawn()
    ours = finetuner_scores(relevant, returned, counts)
    lists = [row[:number].astype(int).tolist() for row, number in zip(relevant, returned, strict=True)]
    for name in ("precision_at_k", "hit_at_k", "average_precision", "reciprocal_rank", "r_precision"):
        expected = [getattr(docarray, name)(each) for each in lists]
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-12, err_msg=name)
    for name in ("recall_at_k", "f1_score_at_k"):
        expected = [getattr(docarray, name)(each, int(count)) for each, count in zip(lists, counts, strict=True)]
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-12, err_msg=name)
    best = [dcg(sorted(each, reverse=True)) for each in lists]
    np.testing.assert_allclose(ours["dcg_at_k"], [dcg(each) for each in lists], rtol=0, atol=1e-12)
    normalised = [dcg(each) / most if most else 0.0 for each, most in zip(lists, best, strict=True)]
    np.testing.assert_allclose(ours["ndcg_at_k"], normalised, rtol=0, atol=1e-12)
    assert all(values.mean() > 0 for values in ours.values())
    assert list(ours)[-1] == "ndcg_at_k"
    assert len(ours) == 9


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("average_precision", (1 + 2 / 3) / 2),
        ("precision_at_k", 2 / 3),
        ("dcg_at_k", 1 + 1 / np.log2(3)),
        ("ndcg_at_k", (1 + 1 / np.log2(3)) / 2),
        ("r_precision", 1 / 2),
        ("recall_at_k", 2 / 5),
    ],
)
def test_where_it_differs_from_trec_eval(name: str, expected: float) -> None:
    """Three results, of which the first and the last are relevant, as five documents are."""
    relevant = np.array([[True, False, True, False]])
    assert finetuner_scores(relevant, np.array([3]), np.array([5]))[name][0] == pytest.approx(expected, abs=1e-15)
