"""How well a model's similarities follow scores that people gave to pairs."""

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.bootstrap import bounds_of, draw_counts

Array = NDArray[np.float64]

_CHUNK_ELEMENTS = 1 << 20
"""Pairs drawn at a time, over all resamples of the chunk: 8 MiB a column."""


def average_ranks(values: Array) -> Array:
    """Rank N values ascending from 1; equal ones share the mean of their ranks (N,)."""
    groups = _groups(values)
    ranks: Array = _ranks(groups, np.ones((1, values.size)))[0]
    return ranks


def pearson(first: Array, second: Array) -> float:
    """Pearson's correlation of N pairs of numbers, -1..1; 0 where one of the two does not vary.

    Args:
        first: Shape (N,).
        second: Shape (N,).
    """
    return float(_correlate(first[np.newaxis], second[np.newaxis], np.ones((1, first.size)))[0])


def spearman(first: Array, second: Array) -> float:
    """Spearman's correlation: Pearson's of the ranks, tied ranks averaged.

    Spearman, The proof and measurement of association between two things, 1904; for sentence embeddings: Reimers,
    Beyer and Gurevych, Task-oriented intrinsic evaluation of semantic textual similarity, COLING 2016.

    Args:
        first: Shape (N,).
        second: Shape (N,).
    """
    return pearson(average_ranks(first), average_ranks(second))


def correlation_intervals(
    scores: Array, base: Array, tuned: Array, resamples: int, seed: int, units: NDArray[np.int64] | None = None
) -> tuple[Array, Array]:
    """Bootstrap interval of tuned minus base, of Spearman's and of Pearson's correlation with the scores.

    Units are drawn with replacement, with all their pairs, both models' similarities of a pair together, and ranked
    anew in each resample; see `bootstrap.mean_intervals`. One unit says nothing about how units differ: the interval is
    then (-2, 2), all that is possible.

    Args:
        scores: Shape (N,): what people said.
        base: Shape (N,): the base model's similarities.
        tuned: Shape (N,): the tuned model's.
        resamples: Number of resamples, 1 or more.
        seed: Seed of the draws.
        units: Number of the unit of each pair (N,), such as the texts that it is connected with; None where each is one
            by itself.

    Returns:
        Lower and upper bounds, each (Spearman, Pearson).
    """
    numbers = np.arange(scores.size) if units is None else np.unique(units, return_inverse=True)[1]
    count = int(numbers.max(initial=-1)) + 1
    if count < 2:
        return np.full(2, -2.0), np.full(2, 2.0)
    columns, groups = (scores, base, tuned), [_groups(values) for values in (scores, base, tuned)]
    differences = []
    for drawn in draw_counts(count, resamples, seed, max(1, _CHUNK_ELEMENTS // scores.size)):
        counts = drawn[:, numbers]
        ranked = [_ranks(each, counts) for each in groups]
        changes = [
            _correlate(first, after, counts) - _correlate(first, before, counts)
            for first, before, after in (ranked, [values[np.newaxis] for values in columns])
        ]
        differences.append(np.stack(changes, axis=1))
    return bounds_of(np.concatenate(differences), count)


def _groups(values: Array) -> NDArray[np.int64]:
    """Number the values by size, equal ones alike, 0..G-1 (N,)."""
    numbers: NDArray[np.int64] = np.unique(values, return_inverse=True)[1].astype(np.int64)
    return numbers


def _ranks(groups: NDArray[np.int64], counts: Array) -> Array:
    """Return the average rank of each of N values in R samples that hold it `counts` (R, N) times, (R, N)."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    sizes = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks: Array = (np.cumsum(sizes, axis=1) - (sizes - 1) / 2)[:, groups]
    return ranks


def _correlate(first: Array, second: Array, counts: Array) -> Array:
    """Return Pearson's correlation in R samples that hold each of N pairs `counts` (R, N) times, (R,)."""
    total = counts.sum(axis=1, keepdims=True)
    one, other = (values - (counts * values).sum(axis=1, keepdims=True) / total for values in (first, second))
    covariance = (counts * one * other).sum(axis=1)
    spread = np.sqrt((counts * one * one).sum(axis=1) * (counts * other * other).sum(axis=1))
    found: Array = np.zeros(covariance.shape)
    np.divide(covariance, spread, out=found, where=spread > 1e-12 * total[:, 0])
    return np.clip(found, -1.0, 1.0)
