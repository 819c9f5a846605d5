"""Exact nearest neighbours by cosine similarity, in bounded memory and in an order that can be relied on.

The rule of the order:

- A score is the cosine of the two vectors in float64, rounded to SCORE_DECIMALS decimals, which is about what float32
  vectors carry. A zero vector has cosine 0 with everything.
- Results come by score descending, then by id ascending (code points). Equal rounded scores are a tie.
- A document is never a result of the query with the same id; a duplicate under another id is.

The result does not depend on block sizes, although matrix products do in their last bits: a float32 product only picks
candidates, with a margin that covers its error bound, and every score that counts is the rounded value of one fixed
summation in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import ConfigError, InputError
from embedtune.progress import progress
from embedtune.retrieval.vectors import Embeddings, check_vectors, unit_rows

SCORE_DECIMALS = 6
"""Decimals of a score; scores that agree in these are tied."""

_UNITS = 10.0**SCORE_DECIMALS
_QUERY_BLOCK = 512
_INDEX_BLOCK = 8192
_RESCORE_ELEMENTS = 1 << 21
"""Numbers per operand when candidates are scored anew: 16 MiB of float64."""
_CROWDED = 128
"""Candidates of a query in one block above which a float64 product with the whole block costs less."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best k index documents of each query."""

    indices: NDArray[np.int64]
    """Shape (N, k): rows of the index, best first; -1 where there are fewer than k candidates."""
    scores: NDArray[np.float64]
    """Shape (N, k): cosine similarity, -1..1; -inf where `indices` is -1."""
    tied_at_cut: NDArray[np.bool_]
    """Shape (N,): the document at rank k and the next one have the same score, so the ids decided."""


def rank(
    query_vectors: Embeddings,
    query_ids: Sequence[str],
    index_vectors: Embeddings,
    index_ids: Sequence[str],
    k: int,
) -> Ranking:
    """Find the k most similar index documents of each query; see the module for the rule of the order.

    Args:
        query_vectors: Shape (N, d).
        query_ids: N ids.
        index_vectors: Shape (M, d).
        index_ids: M different ids.
        k: Results per query, 1 or more.

    Raises:
        ConfigError: k is below 1.
        InputError: shapes do not fit, a vector is not finite, or index ids repeat.
    """
    if k < 1:
        raise ConfigError(f"k is {k}; it is the number of results per query and must be 1 or more.")
    check_vectors(query_vectors, query_ids, "query")
    check_vectors(index_vectors, index_ids, "index")
    if query_vectors.shape[1] != index_vectors.shape[1]:
        raise InputError(
            f"Query vectors have {query_vectors.shape[1]} dimensions and index vectors {index_vectors.shape[1]}; "
            "they must be equal. Encode both with the same model."
        )
    search = _Search(unit_rows(query_vectors), _self_rows(query_ids, index_ids), _id_places(index_ids), k)
    with progress("Ranking the index", len(index_ids), "documents") as advance:
        for start in range(0, len(index_ids), _INDEX_BLOCK):
            block = unit_rows(index_vectors[start : start + _INDEX_BLOCK])
            search.add(block, start)
            advance(block.shape[0])
    return search.result()


def _self_rows(query_ids: Sequence[str], index_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return for each query the index row with the same id, or -1: shape (N,)."""
    row_of = {index_id: row for row, index_id in enumerate(index_ids)}
    if len(row_of) != len(index_ids):
        raise InputError(
            f"{len(index_ids) - len(row_of)} of {len(index_ids)} index ids repeat an earlier one; "
            "each document needs its own id. Remove the duplicates from the index."
        )
    return np.array([row_of.get(query_id, -1) for query_id in query_ids], dtype=np.int64)


def _id_places(index_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return each index row's place among the ascending ids, shape (M,)."""
    places = np.empty(len(index_ids), dtype=np.int64)
    places[sorted(range(len(index_ids)), key=index_ids.__getitem__)] = np.arange(len(index_ids))
    return places


class _Search:
    """The best documents of all queries among the index blocks seen so far.

    A result is one number, its key: score * 10^SCORE_DECIMALS * (M + 1) - place of its id. Keys of a query differ and
    their descending order is the order of results; float64 holds them exactly up to 2^53, that is for M below 10^9.
    Keeps k + 1 per query: the one after the cut tells whether a tie crosses it.
    """

    def __init__(
        self,
        queries: NDArray[np.float64],
        self_rows: NDArray[np.int64],
        id_places: NDArray[np.int64],
        k: int,
    ) -> None:
        self._queries = queries
        self._self_rows = self_rows
        self._id_places = id_places
        self._base = id_places.size + 1
        self._keys = np.full((queries.shape[0], k + 1), -np.inf)

    def add(self, block: NDArray[np.float64], offset: int) -> None:
        """Merge in unit vectors (m, d) that are the index rows from `offset`."""
        transposed = block.astype(np.float32).T
        places = self._id_places[offset : offset + block.shape[0]]
        for start in range(0, self._queries.shape[0], _QUERY_BLOCK):
            rows = np.arange(start, min(start + _QUERY_BLOCK, self._queries.shape[0]))
            # (n, m), the largest array of all
            chosen = self._queries[rows].astype(np.float32) @ transposed >= self._least(rows)
            chosen[self._self_entries(rows, offset, block.shape[0])] = False
            crowded = chosen.sum(axis=1) > _CROWDED
            if crowded.any():
                self._add_all(rows[crowded], block, places, offset)
            self._add_chosen(rows[~crowded], chosen[~crowded], block, places)

    def result(self) -> Ranking:
        """Return the k best of each query."""
        found = np.isfinite(self._keys)
        keys = np.where(found, self._keys, 0).astype(np.int64)
        units = -(-keys // self._base)
        scores = np.where(found, units / _UNITS, -np.inf)
        row_at = np.argsort(self._id_places)
        indices = np.full(keys.shape, -1, dtype=np.int64)
        indices[found] = row_at[(units * self._base - keys)[found]]
        tied = found[:, -1] & (scores[:, -1] == scores[:, -2])
        return Ranking(indices[:, :-1].copy(), scores[:, :-1].copy(), tied)

    def _least(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the float32 score (n, 1) below which nothing can be among the best of `rows`.

        A float32 product of d terms errs by at most d * u * sum |q_i x_i| <= d * u with u = 2^-24, whatever the order
        of its sum (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1). Rounding both vectors
        to float32 adds 2 u, and the rest covers terms of order u^2 and rounding the result of this function.
        """
        error = 1.01 * (self._queries.shape[1] + 8) * 2.0**-24 + 1.0 / _UNITS
        least: NDArray[np.float64] = self._keys[rows, -1:] / self._base / _UNITS - error
        return least.astype(np.float32)

    def _self_entries(
        self, rows: NDArray[np.int64], offset: int, width: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (row of `rows`, column of the block) where query and document have the same id."""
        columns = self._self_rows[rows] - offset
        # A query outside the index has the row -1, which is a column below 0 in every block.
        present = np.flatnonzero((columns >= 0) & (columns < width))
        return present, columns[present]

    def _add_chosen(
        self,
        rows: NDArray[np.int64],
        chosen: NDArray[np.bool_],
        block: NDArray[np.float64],
        places: NDArray[np.int64],
    ) -> None:
        """Merge in the chosen entries (n, m) of the block, few per query."""
        queries, columns = np.nonzero(chosen)
        units = _score_units(self._queries, block, rows[queries], columns)
        counts = chosen.sum(axis=1)
        keys = np.full((rows.size, counts.max(initial=0)), -np.inf)
        starts = np.cumsum(counts) - counts
        keys[queries, np.arange(queries.size) - starts[queries]] = units * self._base - places[columns]
        self._merge(rows, keys)

    def _add_all(
        self, rows: NDArray[np.int64], block: NDArray[np.float64], places: NDArray[np.int64], offset: int
    ) -> None:
        """Merge in the whole block, for queries to which it offers many near-equal or better documents."""
        scaled = (self._queries[rows] @ block.T) * _UNITS
        units = np.rint(scaled)
        # Where the error of the product could tip the rounding, the fixed summation decides.
        doubt = 0.5 - _UNITS * (block.shape[1] + 8) * 2.0**-52
        queries, columns = np.nonzero(np.abs(scaled - units) > doubt)
        units[queries, columns] = _score_units(self._queries, block, rows[queries], columns)
        keys: NDArray[np.float64] = units * self._base - places
        keys[self._self_entries(rows, offset, block.shape[0])] = -np.inf
        self._merge(rows, keys)

    def _merge(self, rows: NDArray[np.int64], keys: NDArray[np.float64]) -> None:
        """Keep the best of what is known for `rows` and of new keys (n, c)."""
        kept = self._keys.shape[1]
        both = np.concatenate([self._keys[rows], keys], axis=1)
        both.partition(both.shape[1] - kept, axis=1)
        self._keys[rows] = np.sort(both[:, -kept:], axis=1)[:, ::-1]


def _score_units(
    queries: NDArray[np.float64], block: NDArray[np.float64], rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the score of unit vectors queries[rows] and block[columns] in units of its last decimal, shape (c,)."""
    units = np.empty(rows.size)
    step = max(1, _RESCORE_ELEMENTS // block.shape[1])
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        # Not a matrix product: numpy sums each row by itself, in an order that depends on d alone.
        units[part] = (queries[rows[part]] * block[columns[part]]).sum(axis=1)
    return np.rint(units * _UNITS)
