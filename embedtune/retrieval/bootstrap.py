"""How far the mean of a difference may be off, given what happened to be held out."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import ConfigError

CONFIDENCE = 0.95
"""Confidence level of the intervals."""

RESAMPLES = 10_000
"""Bootstrap resamples drawn unless told otherwise."""

_CHUNK_ELEMENTS = 1 << 22
"""Units drawn at a time, over all resamples of the chunk: 32 MiB of int64."""


def mean_intervals(
    differences: NDArray[np.float64], resamples: int, seed: int, units: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of the mean of each column, at the CONFIDENCE level.

    Units are drawn with replacement, with all their queries, both models' scores of a query together (paired), all
    metrics by the same draws. A resample's mean is over the queries that it holds: a ratio of two sums, since units
    differ in size. Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3; for retrieval: Sakai,
    Evaluating evaluation metrics based on the bootstrap, SIGIR 2006; for units: Davison and Hinkley, Bootstrap Methods
    and their Application, 1997, section 3.8, and Field and Welsh, Bootstrapping clustered data, Journal of the Royal
    Statistical Society B 69(3), 2007. Queries of one label or component go up and down together, and an interval that
    takes them for independent is too narrow.

    For few units the interval is too narrow as well; `gate.decide` has the numbers and the least number of units.
    One unit says nothing about how units differ: the interval is then (-1, 1), all that is possible for a score of
    0..1, instead of the single point that resampling would give.

    Args:
        differences: Shape (N, metrics): tuned minus base per query.
        resamples: Number of resamples, 1 or more.
        seed: Seed of the draws; the same seed gives the same interval.
        units: Number of the unit of each query (N,); None where each is one by itself.

    Returns:
        Lower and upper bounds, each of shape (metrics,).

    Raises:
        ConfigError: resamples is below 1.
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}; it must be 1 or more, {RESAMPLES} is usual.")
    sums, sizes = _totals(differences, units)
    if sizes.size < 2:
        means = differences.mean(axis=0) if differences.size else np.zeros(differences.shape[1])
        return np.minimum(-1.0, means), np.maximum(1.0, means)
    chunks = draw_counts(sizes.size, resamples, seed, max(1, _CHUNK_ELEMENTS // sizes.size))
    return bounds_of(np.concatenate([counts @ sums / (counts @ sizes)[:, np.newaxis] for counts in chunks]))


def draw_counts(units: int, resamples: int, seed: int, chunk: int) -> Iterator[NDArray[np.float64]]:
    """Draw as many units as there are, with replacement, and count how often each was drawn.

    Args:
        units: Number of units U.
        resamples: Number of resamples.
        seed: Seed of the draws.
        chunk: Resamples to draw at a time, 1 or more; the draws do not depend on it.

    Yields:
        Counts (r, U) for some of the resamples, all of them together.
    """
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        drawn = generator.integers(units, size=(size, units))
        drawn += np.arange(size)[:, np.newaxis] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def bounds_of(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return between which values CONFIDENCE of the resamples (R, metrics) lie, each of shape (metrics,)."""
    tail = (1 - CONFIDENCE) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=0)
    return lower, upper


def _totals(
    differences: NDArray[np.float64], units: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of each unit's differences (U, metrics), and how many queries it has (U,)."""
    if units is None:
        return differences, np.ones(differences.shape[0])
    numbers = np.unique(units, return_inverse=True)[1]
    columns = [np.bincount(numbers, weights=column).astype(np.float64) for column in differences.T]
    return np.stack(columns, axis=1), np.bincount(numbers).astype(np.float64)
