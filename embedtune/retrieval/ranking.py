"""Exact nearest neighbours, in bounded memory and in an order that can be relied on.

The rule of the order:

- A score is the cosine, the dot product or the Euclidean distance times -1 in float64, rounded as `distances` says.
- Results come by score descending, then by id ascending (code points). Equal rounded scores are a tie.
- A document is never a result of the query with the same id; a duplicate under another id is.

The result does not depend on block sizes, although matrix products do in their last bits: products only pick
candidates, with a margin that covers their error bound, and every score that counts is the rounded value of one fixed
summation in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import ConfigError, InputError
from embedtune.progress import progress
from embedtune.retrieval.candidates import INDEX_BLOCK, QUERY_BLOCK, Candidates
from embedtune.retrieval.distances import Space, open_space
from embedtune.retrieval.vectors import Embeddings, check_vectors

_EXACT_ELEMENTS = 1 << 17
"""Numbers per operand when scores are computed exactly: 1 MiB of float64, which the processor's cache holds."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The best k index documents of each query."""

    indices: NDArray[np.int64]
    """Shape (N, k): rows of the index, best first; -1 where there are fewer than k candidates."""
    scores: NDArray[np.float64]
    """Shape (N, k): larger is nearer; cosines are -1..1; -inf where `indices` is -1."""
    tied_at_cut: NDArray[np.bool_]
    """Shape (N,): the document at rank k and the next one have the same score, so the ids decided."""
    decimals: NDArray[np.int64]
    """Shape (N,): to how many decimals the scores are rounded; 6 for cosines, below 0 for tens or hundreds."""


def rank(
    query_vectors: Embeddings,
    query_ids: Sequence[str],
    index_vectors: Embeddings,
    index_ids: Sequence[str],
    k: int,
    distance: str = "cosine",
) -> Ranking:
    """Find the k nearest index documents of each query; see the module for the rule of the order.

    Args:
        query_vectors: Shape (N, d).
        query_ids: N ids.
        index_vectors: Shape (M, d).
        index_ids: M different ids.
        k: Results per query, 1 or more.
        distance: What is near, one of `distances.DISTANCES`.

    Raises:
        ConfigError: k is below 1, or there is no such distance.
        InputError: shapes do not fit, a vector is not finite, index ids repeat, or vectors are so short or long that
            their dot products cannot be computed.
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
    own_rows, id_places = _self_rows(query_ids, index_ids), _id_places(index_ids)
    space = open_space(distance, query_vectors, index_vectors)
    best = _Best(space, index_vectors, own_rows, id_places, k)
    # One more tells whether a tie crosses the cut; the query itself may be among them.
    candidates = Candidates(space, index_vectors, k + 2)
    enough = candidates.are_enough(own_rows, k + 1)
    best.add_candidates(np.flatnonzero(enough), candidates.rows[enough])
    best.add_all(np.flatnonzero(~enough))
    return best.result()


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


class _Best:
    """The best documents of all queries among those seen so far.

    A result is one number, its key: score in units of its last decimal * (M + 1) - place of its id. Keys of a query
    differ and their descending order is the order of results; float64 holds them exactly up to 2^53, that is for M
    below 10^9. Keeps k + 1 per query: the one after the cut tells whether a tie crosses it.
    """

    def __init__(
        self,
        space: Space,
        index_vectors: Embeddings,
        own_rows: NDArray[np.int64],
        id_places: NDArray[np.int64],
        k: int,
    ) -> None:
        self._space = space
        self._index_vectors = index_vectors
        self._own_rows = own_rows
        self._id_places = id_places
        self._base = id_places.size + 1
        self._keys = np.full((own_rows.size, k + 1), -np.inf)

    def result(self) -> Ranking:
        """Return the k best of each query."""
        found = np.isfinite(self._keys)
        keys = np.where(found, self._keys, 0).astype(np.int64)
        units = -(-keys // self._base)
        scores = np.where(found, self._space.scores(units.astype(np.float64)), -np.inf)
        row_at = np.argsort(self._id_places)
        indices = np.full(keys.shape, -1, dtype=np.int64)
        indices[found] = row_at[(units * self._base - keys)[found]]
        tied = found[:, -1] & (units[:, -1] == units[:, -2])
        return Ranking(indices[:, :-1].copy(), scores[:, :-1].copy(), tied, self._space.decimals)

    def add_candidates(self, queries: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
        """Merge in some index rows (n, c) of each of some queries (n,)."""
        if rows.size == 0:
            return
        units = self._exact_units(np.repeat(queries, rows.shape[1]), rows.ravel()).reshape(rows.shape)
        keys = units * self._base - self._id_places[rows]
        keys[rows == self._own_rows[queries, np.newaxis]] = -np.inf
        self._merge(queries, keys)

    def add_all(self, queries: NDArray[np.int64]) -> None:
        """Merge in the whole index for some queries (n,), to which too many documents are about equally near."""
        if queries.size == 0:
            return
        count = self._index_vectors.shape[0]
        with progress(f"Ranking for {queries.size} queries with many near ties", count, "documents") as advance:
            for offset in range(0, count, INDEX_BLOCK):
                right = self._space.right(self._space.prepare(self._index_vectors[offset : offset + INDEX_BLOCK])).T
                for start in range(0, queries.size, QUERY_BLOCK):
                    self._add_block(queries[start : start + QUERY_BLOCK], right, offset)
                advance(right.shape[1])

    def _add_block(self, queries: NDArray[np.int64], right: NDArray[np.float64], offset: int) -> None:
        """Merge in the index rows from `offset`, whose transposed right operand is (D, m)."""
        products = self._space.left(queries) @ right
        errors = self._space.float64_errors()[queries, np.newaxis]
        units = np.rint(self._space.of_products(queries, products - errors))
        # Where the error of the product could tip the rounding, the fixed summation decides.
        rows, columns = np.nonzero(units != np.rint(self._space.of_products(queries, products + errors)))
        units[rows, columns] = self._exact_units(queries[rows], offset + columns)
        keys: NDArray[np.float64] = units * self._base - self._id_places[offset : offset + right.shape[1]]
        own = self._own_rows[queries] - offset
        # A query outside the index has the row -1, which is a column below 0 in every block.
        present = np.flatnonzero((own >= 0) & (own < right.shape[1]))
        keys[present, own[present]] = -np.inf
        self._merge(queries, keys)

    def _exact_units(self, queries: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of queries (c,) with one index row each (c,), in units of their last decimal."""
        units = np.empty(rows.size)
        step = max(1, _EXACT_ELEMENTS // self._index_vectors.shape[1])
        for start in range(0, rows.size, step):
            part = slice(start, start + step)
            units[part] = self._space.units(queries[part], self._space.prepare(self._index_vectors[rows[part]]))
        return units

    def _merge(self, queries: NDArray[np.int64], keys: NDArray[np.float64]) -> None:
        """Keep the best of what is known for some queries (n,) and of new keys (n, c)."""
        kept = self._keys.shape[1]
        both = np.concatenate([self._keys[queries], keys], axis=1)
        both.partition(both.shape[1] - kept, axis=1)
        self._keys[queries] = np.sort(both[:, -kept:], axis=1)[:, ::-1]
