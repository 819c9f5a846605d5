"""Retrieval metrics per query, by the definitions of trec_eval (https://github.com/usnistgov/trec_eval).

Each is a function of a judged ranking of N queries and of k, the ranks that count, and returns shape (N,), 0..1 but for
the gains that are not normalised; a query without relevant documents scores 0, leave it out before taking a mean. What
several metrics or cutoffs need is computed once, and a value at one cutoff does not depend on which others are asked
for. Where a ranking holds fewer than k documents, the rest counts as not relevant.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.retrieval.metric_names import Metric

Array = NDArray[np.float64]

_BLOCK_ELEMENTS = 1 << 17
"""Ranks scored at a time, over all queries of the block: 1 MiB of float64, which a processor keeps at hand."""


@dataclass(frozen=True, eq=False)
class JudgedRanking:
    """All that the metrics need to know about a ranking of N queries, and what several of them need."""

    gains: Array
    """Shape (N, K): the gain of the document at each rank, best rank first; 0 for what is not relevant or not there."""
    ideal_gains: Array
    """Shape (N, k) or wider, for the largest k: gains of all relevant documents of the query, found or not, descending,
    padded with 0."""
    relevant_counts: NDArray[np.int64]
    """Shape (N,): R, the relevant documents of each query, found or not."""

    def part(self, queries: slice) -> "JudgedRanking":
        """Return the ranking of some of the queries."""
        return JudgedRanking(self.gains[queries], self.ideal_gains[queries], self.relevant_counts[queries])

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """Whether the document at each rank is relevant (N, K)."""
        return self.gains > 0

    @cached_property
    def found(self) -> NDArray[np.int64]:
        """Relevant documents up to each rank (N, K)."""
        found: NDArray[np.int64] = self.relevant.cumsum(axis=1)
        return found

    @cached_property
    def first_places(self) -> NDArray[np.int64]:
        """Place of the first relevant document, from 0, or K where there is none (N,)."""
        places: NDArray[np.int64] = np.where(self.found[:, -1] > 0, self.relevant.argmax(axis=1), self.gains.shape[1])
        return places

    @cached_property
    def relevant_precisions(self) -> Array:
        """Precision at each rank of a relevant document, 0 at the others (N, K)."""
        return self.found / np.arange(1, self.gains.shape[1] + 1) * self.relevant

    @cached_property
    def discounted(self) -> tuple[Array, Array]:
        """Discounted gains of the ranking, and of the best possible one."""
        return _discounted(self.gains), _discounted(self.ideal_gains)

    @cached_property
    def discounted_exponential(self) -> tuple[Array, Array]:
        """Discounted exponential gains of the ranking, and of the best possible one."""
        return _discounted(np.exp2(self.gains) - 1), _discounted(np.exp2(self.ideal_gains) - 1)

    def found_at(self, ranks: int | NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the relevant documents among the first so many, for all queries alike or each its own (N,)."""
        last = np.clip(ranks, 1, self.gains.shape[1]) - 1
        found: NDArray[np.int64] = self.found[np.arange(self.gains.shape[0]), last]
        return found


def ndcg(judged: JudgedRanking, k: int) -> Array:
    """Normalised discounted cumulative gain, trec_eval's `ndcg_cut_k`.

    nDCG@k = DCG@k / DCG@k of the best possible ranking of all relevant documents, found or not.
    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002.
    """
    return _divide(*(each[:, :k].sum(axis=1) for each in judged.discounted))


def reciprocal_rank(judged: JudgedRanking, k: int) -> Array:
    """1 / rank of the first relevant document, 0 where none is among the first k; its mean is MRR@k.

    Voorhees, The TREC-8 question answering track report, TREC 1999; trec_eval's `recip_rank` over the first k results.
    """
    places = judged.first_places
    return np.where(places < min(k, judged.gains.shape[1]), 1.0 / (places + 1), 0.0)


def average_precision(judged: JudgedRanking, k: int) -> Array:
    """Average precision, trec_eval's `map_cut_k`; its mean is MAP@k.

    AP@k = sum of precision@i over the ranks i <= k of relevant documents / R, with R all relevant documents of the
    query, found or not (not min(k, R) and not the number found).
    Buckley and Voorhees, Retrieval system evaluation, in TREC: Experiment and Evaluation, 2005.
    """
    return _divide(judged.relevant_precisions[:, :k].sum(axis=1), judged.relevant_counts)


def recall(judged: JudgedRanking, k: int) -> Array:
    """Relevant documents among the first k / all relevant documents, trec_eval's `recall_k`.

    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.3.
    """
    return _divide(judged.found_at(k), judged.relevant_counts)


def precision(judged: JudgedRanking, k: int) -> Array:
    """Relevant documents among the first k / k, trec_eval's `P_k`: k stays the divisor where there are fewer results.

    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.3.
    """
    return judged.found_at(k) / k


def hit(judged: JudgedRanking, k: int) -> Array:
    """1 where a relevant document is among the first k, else 0: trec_eval's `success_k`."""
    return np.where(judged.found_at(k) > 0, 1.0, 0.0)


def f1(judged: JudgedRanking, k: int) -> Array:
    """Harmonic mean of precision@k and recall@k, trec_eval's `set_F` over the first k results of k or more.

    With r relevant documents among the first k it is 2 (r/k) (r/R) / (r/k + r/R) = 2 r / (k + R). Where there are fewer
    results, k stays the divisor of the precision here too; that of `set_F` is their number.
    van Rijsbergen, Information Retrieval, 1979, chapter 7.
    """
    return 2 * judged.found_at(k) / (k + judged.relevant_counts)


def r_precision(judged: JudgedRanking, k: int) -> Array:
    """Relevant documents among the first R / R, trec_eval's `Rprec` over the first k results.

    Of a query with more than k relevant documents it is the recall.
    Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, section 8.4.
    """
    return _divide(judged.found_at(np.minimum(judged.relevant_counts, k)), judged.relevant_counts)


def dcg(judged: JudgedRanking, k: int) -> Array:
    """Discounted cumulative gain, 0 or more: what trec_eval's `ndcg_cut_k` divides.

    DCG@k = sum over ranks i <= k of gain_i / log2(i + 1), the gain taken as it is (linear).
    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20(4), 2002.
    """
    return np.asarray(judged.discounted[0][:, :k].sum(axis=1))


def exponential_ndcg(judged: JudgedRanking, k: int) -> Array:
    """Normalised discounted cumulative gain with 2^gain - 1 in place of the gain: nDCG where gains are 0 and 1.

    Burges et al., Learning to rank using gradient descent, ICML 2005.
    """
    return _divide(*(each[:, :k].sum(axis=1) for each in judged.discounted_exponential))


def exponential_dcg(judged: JudgedRanking, k: int) -> Array:
    """Discounted cumulative gain with 2^gain - 1 in place of the gain, 0 or more.

    Burges et al., Learning to rank using gradient descent, ICML 2005.
    """
    return np.asarray(judged.discounted_exponential[0][:, :k].sum(axis=1))


DEFINITIONS: dict[str, Callable[[JudgedRanking, int], Array]] = {
    "ndcg": ndcg,
    "mrr": reciprocal_rank,
    "map": average_precision,
    "recall": recall,
    "precision": precision,
    "hit": hit,
    "f1": f1,
    "r_precision": r_precision,
    "dcg": dcg,
    "exponential_ndcg": exponential_ndcg,
    "exponential_dcg": exponential_dcg,
}
"""The definition of each of metric_names.NAMES, in the same order."""

_EXPONENTIAL = ("exponential_ndcg", "exponential_dcg")
_MAX_EXPONENT = 1000.0
"""Gain above which 2^gain, or a sum of a few of them, is no float64 any more."""


def score(judged: JudgedRanking, metrics: Sequence[Metric]) -> dict[str, Array]:
    """Score a ranking of N queries by some metrics.

    Args:
        judged: The ranking, K ranks deep.
        metrics: What to compute, at cutoffs up to K.

    Returns:
        Key of each metric -> score of each query (N,).

    Raises:
        InputError: a gain is too large to be an exponent.
    """
    queries, depth = judged.gains.shape
    largest = judged.ideal_gains.max(initial=0.0)
    if largest > _MAX_EXPONENT and any(metric.name in _EXPONENTIAL for metric in metrics):
        raise InputError(
            f"A relevance of {largest:g} is too large for a gain of 2^relevance - 1; {_MAX_EXPONENT:g} is the most. "
            "Use the metrics with a linear gain, such as ndcg_at_10, or scale the relevance."
        )
    scores = {metric.key: np.empty(queries) for metric in metrics}
    rows = max(1, _BLOCK_ELEMENTS // depth)
    for start in range(0, queries, rows):
        part = slice(start, start + rows)
        block = judged.part(part)
        for metric in metrics:
            scores[metric.key][part] = DEFINITIONS[metric.name](block, metric.k)
    return scores


def _discounted(gains: Array) -> Array:
    """Divide the gain at each rank i by log2(i + 1) (N, K)."""
    discounted: Array = gains / np.log2(np.arange(2, gains.shape[1] + 2))
    return discounted


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Array:
    """Divide (N,) by (N,); 0 where the denominator is 0."""
    quotient: Array = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
