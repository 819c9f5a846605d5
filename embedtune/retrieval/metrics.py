"""Retrieval metrics per query, by the definitions of trec_eval (https://github.com/usnistgov/trec_eval).

All take gains (N, K): the gain of the document at each rank, best rank first, 0 for what is not relevant or not there.
All return shape (N,), 0..1; a query without relevant documents scores 0, leave it out before taking a mean.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

CUTOFF = 10
"""Ranks that the metrics of METRICS look at."""


def ndcg(gains: Array, ideal_gains: Array, k: int) -> Array:
    """Normalised discounted cumulative gain, trec_eval's `ndcg_cut_k`.

    DCG@k = sum over ranks i <= k of gain_i / log2(i + 1), the gain taken as it is (linear, not 2^gain - 1);
    nDCG@k = DCG@k / DCG@k of the best possible ranking of all relevant documents, found or not.
    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002.

    Args:
        gains: Shape (N, K).
        ideal_gains: Shape (N, k) or wider: gains of all relevant documents of the query, descending.
        k: Ranks that count.
    """
    return _divide(_dcg(gains, k), _dcg(ideal_gains, k))


def reciprocal_rank(gains: Array, k: int) -> Array:
    """1 / rank of the first relevant document, 0 where none is among the first k; its mean is MRR@k.

    Voorhees, The TREC-8 question answering track report, TREC 1999; trec_eval's `recip_rank` over the first k results.

    Args:
        gains: Shape (N, K).
        k: Ranks that count.
    """
    relevant = gains[:, :k] > 0
    return np.where(relevant.any(axis=1), 1.0 / (relevant.argmax(axis=1) + 1), 0.0)


def average_precision(gains: Array, relevant_counts: NDArray[np.int64], k: int) -> Array:
    """Average precision, trec_eval's `map_cut_k`; its mean is MAP@k.

    AP@k = sum of precision@i over the ranks i <= k of relevant documents / R, with R all relevant documents of the
    query, found or not (not min(k, R) and not the number found).
    Buckley and Voorhees, Retrieval system evaluation, in TREC: Experiment and Evaluation, 2005.

    Args:
        gains: Shape (N, K).
        relevant_counts: Shape (N,): R.
        k: Ranks that count.
    """
    relevant = gains[:, :k] > 0
    precisions = relevant.cumsum(axis=1) / np.arange(1, relevant.shape[1] + 1)
    return _divide((precisions * relevant).sum(axis=1), relevant_counts)


def recall(gains: Array, relevant_counts: NDArray[np.int64], k: int) -> Array:
    """Relevant documents among the first k / all relevant documents, trec_eval's `recall_k`.

    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.3.

    Args:
        gains: Shape (N, K).
        relevant_counts: Shape (N,): R.
        k: Ranks that count.
    """
    return _divide((gains[:, :k] > 0).sum(axis=1), relevant_counts)


def precision(gains: Array, k: int) -> Array:
    """Relevant documents among the first k / k, trec_eval's `P_k`: k stays the divisor where there are fewer results.

    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.3.

    Args:
        gains: Shape (N, K).
        k: Ranks that count.
    """
    found: Array = (gains[:, :k] > 0).sum(axis=1) / k
    return found


def hit(gains: Array, k: int) -> Array:
    """1 where a relevant document is among the first k, else 0: trec_eval's `success_k`.

    Args:
        gains: Shape (N, K).
        k: Ranks that count.
    """
    return np.where((gains[:, :k] > 0).any(axis=1), 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class JudgedRanking:
    """All that the metrics need to know about a ranking of N queries."""

    gains: Array
    """Shape (N, K): gain at each rank."""
    ideal_gains: Array
    """Shape (N, K): gains of the best possible ranking."""
    relevant_counts: NDArray[np.int64]
    """Shape (N,): relevant documents of each query, found or not."""


METRICS: dict[str, Callable[[JudgedRanking], Array]] = {
    "ndcg_at_10": lambda judged: ndcg(judged.gains, judged.ideal_gains, CUTOFF),
    "mrr_at_10": lambda judged: reciprocal_rank(judged.gains, CUTOFF),
    "map_at_10": lambda judged: average_precision(judged.gains, judged.relevant_counts, CUTOFF),
    "recall_at_10": lambda judged: recall(judged.gains, judged.relevant_counts, CUTOFF),
    "precision_at_10": lambda judged: precision(judged.gains, CUTOFF),
    "hit_at_10": lambda judged: hit(judged.gains, CUTOFF),
}
"""The metric of each key of METRIC_NAMES, in the same order; values per query, shape (N,)."""


def _dcg(gains: Array, k: int) -> Array:
    first = gains[:, :k]
    discounted: Array = first / np.log2(np.arange(2, first.shape[1] + 2))
    return np.asarray(discounted.sum(axis=1))


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Array:
    """Divide (N,) by (N,); 0 where the denominator is 0."""
    quotient: Array = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
