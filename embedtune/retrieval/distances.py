"""How near two vectors are: as a product of matrices that errs by a known bound, and as an exact number.

A score is larger the nearer two vectors are:

- `cosine`: their cosine. A zero vector has cosine 0 with everything.
- `dot`: their dot product.
- `euclidean`: their Euclidean distance times -1.

It is rounded to SCORE_DECIMALS decimals where no score of the query can be larger than about 1, and to as many
significant digits elsewhere: the bound |q| max |x|, or |q| + max |x| for Euclidean, is taken as the nearest power of
ten. That is about what float32 vectors carry, and what trec_eval, which keeps scores in float32, can tell apart.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import ConfigError, InputError
from embedtune.retrieval.vectors import Embeddings, row_lengths, unit_rows

DISTANCES = ("cosine", "dot", "euclidean")
"""Names of what vectors can be compared by."""

SCORE_DECIMALS = 6
"""Decimals of a cosine; scores that agree in these are tied."""

_SHORTEST, _LONGEST = 1e-70, 1e70
"""Lengths of vectors whose dot products and squares float64 holds; every float32 vector is within."""

Rows = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Space(ABC):
    """The N queries, prepared for comparison, and how index vectors are prepared for it."""

    queries: Rows
    """Shape (N, d)."""
    decimals: NDArray[np.int64]
    """Shape (N,): decimals to which the scores of a query are rounded, below 0 where it is to tens or hundreds."""
    factors: Rows
    """Shape (N,): what a score of prepared vectors is multiplied with, to be in units of its last decimal."""
    terms: Rows
    """Shape (N,): what the absolute values of the terms of one product `left @ right.T` cannot exceed in sum."""

    @abstractmethod
    def prepare(self, vectors: Embeddings) -> Rows:
        """Return index vectors (m, d) as they are compared; a row's result depends on that row only."""

    def left(self, queries: NDArray[np.int64]) -> Rows:
        """Return some queries (n,) as the left operand (n, D) of a product."""
        return self.queries[queries]

    def right(self, rows: Rows) -> Rows:
        """Return prepared index rows (m, d) as the right operand (m, D) of a product."""
        return rows

    def of_products(self, queries: NDArray[np.int64], products: Rows) -> Rows:
        """Return the scores that products (n, m) of some queries (n,) stand for, in units, not rounded."""
        return products * self.factors[queries, np.newaxis]

    def units(self, queries: NDArray[np.int64], rows: Rows) -> Rows:
        """Return the scores of queries (c,) with one prepared row each (c, d), as whole numbers of units (c,)."""
        # Not a matrix product: numpy sums each row by itself, in an order that depends on d alone.
        products: Rows = (self.queries[queries] * rows).sum(axis=1)
        return np.rint(products * self.factors[queries])

    def scores(self, units: Rows) -> Rows:
        """Return whole numbers of units (N, k) as scores."""
        decimals = self.decimals[:, np.newaxis]
        scores: Rows = units / 10.0 ** np.maximum(decimals, 0) * 10.0 ** np.maximum(-decimals, 0)
        return scores

    def float32_errors(self) -> Rows:
        """Return how far a product of float32 operands may be from that of exact ones, per query (N,).

        A product of D terms errs by at most D u times the sum of their absolute values with u = 2^-24, whatever the
        order of the sum (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). Rounding both
        operands to float32 adds 2 u, and the rest covers terms of order u^2, what falls below the smallest float32,
        and what is computed in float64.
        """
        terms = self._operand_columns + 8
        errors: Rows = 1.01 * terms * 2.0**-24 * self.terms + terms * 2.0**-124 + self.float64_errors()
        return errors

    def float64_errors(self) -> Rows:
        """Return how far a float64 product may be from the summation of `units`, which errs as much, per query (N,)."""
        errors: Rows = (self._operand_columns + 8) * 2.0**-52 * self.terms
        return errors

    @property
    def _operand_columns(self) -> int:
        """Return D, or one more."""
        return int(self.queries.shape[1]) + 1


class _Cosine(Space):
    """Unit vectors."""

    def prepare(self, vectors: Embeddings) -> Rows:
        return unit_rows(vectors)


@dataclass(frozen=True, eq=False)
class _Dot(Space):
    """Vectors over powers of two, which changes no digit: each query by its own, the index by that of its longest."""

    scale: float

    def prepare(self, vectors: Embeddings) -> Rows:
        return np.multiply(vectors, self.scale, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Euclidean(_Dot):
    """All vectors over one power of two; |q - x|^2 = |q|^2 - 2 (q x - |x|^2 / 2) makes one product of a distance."""

    squares: Rows
    """Shape (N,): squared length of the queries."""

    def left(self, queries: NDArray[np.int64]) -> Rows:
        return np.concatenate([self.queries[queries], np.ones((queries.size, 1))], axis=1)

    def right(self, rows: Rows) -> Rows:
        return np.concatenate([rows, (rows * rows).sum(axis=1, keepdims=True) / -2], axis=1)

    def of_products(self, queries: NDArray[np.int64], products: Rows) -> Rows:
        squares = self.squares[queries, np.newaxis] - 2 * products
        units: Rows = -np.sqrt(np.maximum(squares, 0)) * self.factors[queries, np.newaxis]
        return units

    def units(self, queries: NDArray[np.int64], rows: Rows) -> Rows:
        apart = self.queries[queries] - rows
        lengths: Rows = np.sqrt((apart * apart).sum(axis=1))
        return np.rint(-lengths * self.factors[queries])


def open_space(distance: str, query_vectors: Embeddings, index_vectors: Embeddings) -> Space:
    """Prepare queries for comparison with an index.

    Args:
        distance: One of DISTANCES.
        query_vectors: Shape (N, d), finite.
        index_vectors: Shape (M, d), finite.

    Raises:
        ConfigError: there is no such distance.
        InputError: vectors are so short or so long that their dot products or squares leave float64.
    """
    if distance not in DISTANCES:
        raise ConfigError(f"distance is {distance!r}; it must be one of {', '.join(DISTANCES)}.")
    if distance == "cosine":
        ones = np.ones(query_vectors.shape[0])
        decimals = np.full(ones.size, SCORE_DECIMALS, dtype=np.int64)
        return _Cosine(unit_rows(query_vectors), decimals, ones * 10.0**SCORE_DECIMALS, ones)
    lengths = _checked_lengths(query_vectors, "query")
    longest = _checked_lengths(index_vectors, "index").max(initial=0.0)
    rows = np.array(query_vectors, dtype=np.float64, order="C")
    return _dot(rows, lengths, longest) if distance == "dot" else _euclidean(rows, lengths, longest)


def _dot(rows: Rows, lengths: Rows, longest: np.float64) -> Space:
    own, scale = _power_above(lengths), _power_above(longest)
    decimals = _decimals(lengths * longest)
    factors = 10.0**decimals * own * scale
    return _Dot(rows / own[:, np.newaxis], decimals, factors, lengths / own * (longest / scale), float(1 / scale))


def _euclidean(rows: Rows, lengths: Rows, longest: np.float64) -> Space:
    scale = _power_above(np.maximum(lengths.max(initial=0.0), longest))
    decimals = _decimals(lengths + longest)
    rows = rows / scale
    terms = (lengths / scale + longest / scale) ** 2 / 2
    return _Euclidean(rows, decimals, 10.0**decimals * scale, terms, float(1 / scale), (rows * rows).sum(axis=1))


def _checked_lengths(vectors: Embeddings, what: str) -> Rows:
    """Return the lengths of rows (N,), of which none is beyond what can be multiplied in float64."""
    lengths = row_lengths(vectors)
    wrong = np.flatnonzero((lengths > 0) & ((lengths < _SHORTEST) | (lengths > _LONGEST)))
    if wrong.size:
        raise InputError(
            f"{wrong.size} of {lengths.size} {what} vectors are shorter than {_SHORTEST} or longer than {_LONGEST} "
            f"(first: row {wrong[0]}, length {lengths[wrong[0]]:.3g}), whose dot products float64 cannot hold. "
            "Scale the vectors, or compare them by cosine."
        )
    return lengths


def _power_above(lengths: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
    """Return the power of two above each length, 1 for length 0."""
    return np.ldexp(1.0, np.frexp(lengths)[1])


def _decimals(bounds: Rows) -> NDArray[np.int64]:
    """Return to how many decimals scores are rounded whose absolute values are at most `bounds` (N,)."""
    powers = np.rint(np.log10(np.where(bounds > 0, bounds, 1.0)))
    return SCORE_DECIMALS - powers.astype(np.int64)
