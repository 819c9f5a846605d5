"""How far the mean of a difference may be off, given the queries that happened to be in the test set."""

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import ConfigError

CONFIDENCE = 0.95
"""Confidence level of the intervals."""

RESAMPLES = 10_000
"""Bootstrap resamples drawn unless told otherwise."""

_CHUNK_ELEMENTS = 1 << 22
"""Queries drawn at a time, over all resamples of the chunk: 32 MiB of int64."""


def mean_intervals(
    differences: NDArray[np.float64], resamples: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of the mean of each column, at the CONFIDENCE level.

    Queries are drawn with replacement, both models' scores of a query together (paired), all metrics by the same draws.
    Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3; for retrieval: Sakai, Evaluating
    evaluation metrics based on the bootstrap, SIGIR 2006.

    For few queries the interval is too narrow; `gate.decide` has the numbers and the least number of queries.
    One query says nothing about how queries differ: the interval is then (-1, 1), all that is possible, instead of the
    single point that resampling would give.

    Args:
        differences: Shape (N, metrics): tuned minus base per query, -1..1.
        resamples: Number of resamples, 1 or more.
        seed: Seed of the draws; the same seed gives the same interval.

    Returns:
        Lower and upper bounds, each of shape (metrics,).

    Raises:
        ConfigError: resamples is below 1.
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be 1 or more, {RESAMPLES} is usual.")
    if differences.shape[0] < 2:
        return np.full(differences.shape[1], -1.0), np.full(differences.shape[1], 1.0)
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(_resampled_means(differences, resamples, seed), [tail, 1 - tail], axis=0)
    return lower, upper


def _resampled_means(differences: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Return the means of all resamples, shape (resamples, metrics)."""
    generator = np.random.default_rng(seed)
    queries, metrics = differences.shape
    chunk = max(1, _CHUNK_ELEMENTS // queries)
    means = np.empty((resamples, metrics))
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(queries, size=(size, queries))
        drawn += np.arange(size)[:, np.newaxis] * queries
        # How often each query was drawn: the mean of all metrics is then one matrix product.
        counts = np.bincount(drawn.ravel(), minlength=size * queries).reshape(size, queries)
        means[start : start + size] = counts.astype(np.float64) @ differences / queries
    return means
