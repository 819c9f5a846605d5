"""Which index documents can be among the nearest of each query: found with float32 products, proven by their error."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from embedtune.progress import progress
from embedtune.retrieval.distances import Space
from embedtune.retrieval.vectors import Embeddings

QUERY_BLOCK = 1024
INDEX_BLOCK = 1024
"""Numbers of queries and of index rows whose products are in memory together."""

_PREPARED_ROWS = 512
"""Index rows prepared at a time in float64, which the processor's cache holds."""
_SPARE = 32
"""Candidates kept beyond those asked for: how many may be nearer to the last of these than float32 can tell."""


class Candidates:
    """The documents with the largest float32 products of each query, among the index rows seen so far."""

    def __init__(self, space: Space, index_vectors: Embeddings, count: int) -> None:
        """Find them.

        Args:
            space: The N queries.
            index_vectors: Shape (M, d).
            count: How many documents are wanted of each query.
        """
        self._space = space
        self._whole = count + _SPARE >= index_vectors.shape[0]
        queries = space.queries.shape[0]
        width = min(count + _SPARE, index_vectors.shape[0])
        self.rows = np.full((queries, width), -1, dtype=np.int64)
        """Shape (N, width): rows of the index, in no order."""
        self._products = np.full((queries, width), -np.inf, dtype=np.float32)
        self._find(index_vectors)

    def are_enough(self, excluded: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
        """Tell of which queries (N,) the candidates hold all of the best `count` documents, and all tied with the last.

        Args:
            excluded: Shape (N,): a row of the index that is not to be found, or -1.
            count: At least one less than was asked for.
        """
        queries = np.arange(self.rows.shape[0])
        if self._whole:
            return np.ones(queries.size, dtype=np.bool_)
        errors = self._space.float32_errors()
        products = np.where(self.rows == excluded[:, np.newaxis], -np.inf, self._products)
        last = np.partition(products, -count, axis=1)[:, -count].astype(np.float64)
        outside = self._products.min(axis=1).astype(np.float64)
        ends = np.stack([last - errors, outside + errors], axis=1)
        last_units, outside_units = self._space.of_products(queries, ends).T
        # Two scores that are a whole unit apart are not rounded to the same.
        enough: NDArray[np.bool_] = outside_units + 1 < last_units
        return enough

    def _find(self, index_vectors: Embeddings) -> None:
        queries = self.rows.shape[0]
        left = self._space.left(np.arange(queries)).astype(np.float32)
        with progress("Ranking the index", index_vectors.shape[0], "documents") as advance:
            for offset, right in self._right_operands(index_vectors):
                transposed = right.T
                for start in range(0, queries, QUERY_BLOCK):
                    part = slice(start, start + QUERY_BLOCK)
                    self._add(part, left[part] @ transposed, offset)
                advance(right.shape[0])

    def _right_operands(self, index_vectors: Embeddings) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Yield blocks of the index: the number of the first row, and the right operand (m, D) in float32."""
        for offset in range(0, index_vectors.shape[0], INDEX_BLOCK):
            block = index_vectors[offset : offset + INDEX_BLOCK]
            parts = [
                self._space.right(self._space.prepare(block[start : start + _PREPARED_ROWS])).astype(np.float32)
                for start in range(0, block.shape[0], _PREPARED_ROWS)
            ]
            yield offset, np.concatenate(parts)

    def _add(self, part: slice, products: NDArray[np.float32], offset: int) -> None:
        """Merge in the products (n, m) of some queries with the index rows from `offset`."""
        width = self.rows.shape[1]
        if offset == 0 and products.shape[1] >= width:
            best = np.argpartition(products, products.shape[1] - width, axis=1)[:, -width:]
            self._products[part], self.rows[part] = np.take_along_axis(products, best, axis=1), best
            return
        chosen = products > self._products[part].min(axis=1, keepdims=True)
        counts = np.count_nonzero(chosen, axis=1)
        added = int(counts.max())
        if added == 0:
            return
        places = np.flatnonzero(chosen)
        queries, columns = np.divmod(places, products.shape[1])
        at = np.arange(places.size) - (np.cumsum(counts) - counts)[queries]
        both = np.full((counts.size, width + added), -np.inf, dtype=np.float32)
        rows = np.full(both.shape, -1, dtype=np.int64)
        both[:, :width], rows[:, :width] = self._products[part], self.rows[part]
        both[queries, width + at], rows[queries, width + at] = products.ravel()[places], offset + columns
        best = np.argpartition(both, added, axis=1)[:, added:]
        self._products[part] = np.take_along_axis(both, best, axis=1)
        self.rows[part] = np.take_along_axis(rows, best, axis=1)
