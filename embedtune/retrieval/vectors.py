"""Embedding matrices: checked, normalised row by row, and tested for collapse."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError

_BLOCK_ROWS = 1024

_SHORT, _LONG = 1e-140, 1e140
"""Lengths between which the sum of squares is exact to float64's last digits."""

Embeddings = NDArray[np.floating]
"""Shape (N, d), any float type; a row need not have unit length."""


def check_vectors(vectors: Embeddings, ids: Sequence[str], what: str) -> None:
    """Refuse a matrix that does not hold one finite vector per id.

    Args:
        vectors: Shape (N, d).
        ids: N ids.
        what: What the rows stand for, for the message: 'query', 'tuned index'.

    Raises:
        InputError: the matrix is not (N, d) with d > 0, or a row holds NaN or infinity.
    """
    if vectors.ndim != 2 or vectors.shape[0] != len(ids) or vectors.shape[1] == 0:
        raise InputError(
            f"The {what} vectors have shape {vectors.shape} for {len(ids)} ids; "
            f"expected ({len(ids)}, d) with one row per id. Encode the texts again."
        )
    # NaN passes through max and min; unlike np.isfinite on the whole matrix this needs no second one.
    broken = np.flatnonzero(~(np.isfinite(vectors.max(axis=1)) & np.isfinite(vectors.min(axis=1))))
    if broken.size:
        raise InputError(
            f"{broken.size} of {len(ids)} {what} vectors hold NaN or infinite values (first: id {ids[broken[0]]!r}). "
            "A model that gives such vectors cannot be judged: train with a lower learning rate or in float32."
        )


def unit_rows(vectors: Embeddings) -> NDArray[np.float64]:
    """Scale each row to length 1.

    A row's result depends on that row only, not on how many rows come with it.

    Args:
        vectors: Shape (N, d), finite.

    Returns:
        Shape (N, d); a zero row stays zero.
    """
    rows = np.array(vectors, dtype=np.float64, order="C")
    with np.errstate(over="ignore"):
        lengths = np.sqrt((rows * rows).sum(axis=1))
    # Where squares overflow or vanish, by the largest component first.
    extreme = np.flatnonzero(~((lengths > _SHORT) & (lengths < _LONG)))
    if extreme.size:
        rows[extreme] /= _nonzero(np.abs(rows[extreme]).max(axis=1))
        lengths[extreme] = np.sqrt((rows[extreme] * rows[extreme]).sum(axis=1))
    rows /= _nonzero(lengths)
    return rows


def row_lengths(vectors: Embeddings) -> NDArray[np.float64]:
    """Return the length of each row.

    Args:
        vectors: Shape (N, d), finite.

    Returns:
        Shape (N,); infinite where float64 does not hold it.
    """
    lengths = np.empty(vectors.shape[0])
    for start in range(0, lengths.size, _BLOCK_ROWS):
        rows = np.array(vectors[start : start + _BLOCK_ROWS], dtype=np.float64)
        largest = np.abs(rows).max(axis=1)
        rows /= _nonzero(largest)
        with np.errstate(over="ignore"):
            lengths[start : start + _BLOCK_ROWS] = largest * np.sqrt((rows * rows).sum(axis=1))
    return lengths


def _nonzero(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return lengths (N,) as divisors (N, 1), with 1 in place of 0."""
    return np.where(lengths > 0, lengths, 1.0)[:, np.newaxis]


def mean_pair_cosine(vectors: Embeddings) -> float:
    """Mean cosine similarity of all pairs of different rows; near 1 means the model maps everything to one point.

    Uses that the sum over all pairs of unit vectors u_i is (|sum u_i|^2 - sum |u_i|^2) / 2, so no pair is drawn.

    Args:
        vectors: Shape (N, d), finite.

    Returns:
        -1..1; 0 for fewer than two rows, where there is no pair.
    """
    count = vectors.shape[0]
    if count < 2:
        return 0.0
    total = np.zeros(vectors.shape[1])
    squares = 0.0
    for start in range(0, count, _BLOCK_ROWS):
        rows = unit_rows(vectors[start : start + _BLOCK_ROWS])
        total += rows.sum(axis=0)
        squares += float((rows * rows).sum())
    pairs: int = count * (count - 1)
    return (float(total @ total) - squares) / pairs
