"""How far the mean of a difference may be off, given what happened to be held out."""

import math
from collections.abc import Iterator
from statistics import NormalDist

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
    """Bootstrap interval of the mean of each column, at the CONFIDENCE level.

    Units are drawn with replacement, with all their queries, both models' scores of a query together (paired), all
    metrics by the same draws. A resample's mean is over the queries that it holds: a ratio of two sums, since units
    differ in size. Efron and Tibshirani, An Introduction to the Bootstrap, 1993; for retrieval: Sakai,
    Evaluating evaluation metrics based on the bootstrap, SIGIR 2006; for units: Davison and Hinkley, Bootstrap Methods
    and their Application, 1997, section 3.8, and Field and Welsh, Bootstrapping clustered data, Journal of the Royal
    Statistical Society B 69(3), 2007. Queries of one label or component go up and down together, and an interval that
    takes them for independent is too narrow.

    The bounds are expanded percentiles, see `bounds_of`; `gate.decide` has the numbers and the least number of units.
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
    means = np.concatenate([counts @ sums / (counts @ sizes)[:, np.newaxis] for counts in chunks])
    return bounds_of(means, sizes.size)


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


def bounds_of(values: NDArray[np.float64], units: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the interval at the CONFIDENCE level that resamples tell of, each bound of shape (metrics,).

    For few units the plain percentiles lie too near: a resample varies by sqrt((U - 1) / U) too little, and as a normal
    variable does where Student's t would be right. The expanded percentiles of Hesterberg, What teachers should know
    about the bootstrap, The American Statistician 69(4), 2015, make up for both.

    Args:
        values: What each resample came to (R, metrics).
        units: U, the number of units that were drawn, 2 or more.
    """
    tail = NormalDist().cdf(-math.sqrt(units / (units - 1)) * _students_t((1 + CONFIDENCE) / 2, units - 1))
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=0)
    return lower, upper


def _students_t(share: float, freedom: int) -> float:
    """Return the value below which a share of Student's t distribution lies.

    By the expansion of Abramowitz and Stegun, Handbook of Mathematical Functions, 1964, 26.7.5: within 0.01 from three
    degrees of freedom on, and too small for fewer.
    """
    z = NormalDist().inv_cdf(share)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term * (1 / freedom) ** power for power, term in enumerate(terms, start=1))


def _totals(
    differences: NDArray[np.float64], units: NDArray[np.int64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the sum of each unit's differences (U, metrics), and how many queries it has (U,)."""
    if units is None:
        return differences, np.ones(differences.shape[0])
    numbers = np.unique(units, return_inverse=True)[1]
    columns = [np.bincount(numbers, weights=column).astype(np.float64) for column in differences.T]
    return np.stack(columns, axis=1), np.bincount(numbers).astype(np.float64)
