"""Which index documents are relevant to which query, and how much.

Relevant documents are kept per group: a label's documents once, however many queries share the label; or a query's
judged documents. Self matches (a document with the query's own id) never count.
"""

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embedtune.errors import InputError


@dataclass(frozen=True, eq=False)
class Judgments:
    """Relevance of M index documents to N queries; build with `from_labels` or `from_pairs`."""

    query_groups: NDArray[np.int64]
    """Shape (N,): the group whose documents are relevant to the query; -1 where there is none."""
    self_rows: NDArray[np.int64]
    """Shape (N,): the index row with the query's own id; -1 where there is none."""
    index_size: int
    """M."""
    keys: NDArray[np.int64]
    """Shape (P,): group * M + index row of every relevant document of every group, ascending."""
    key_gains: NDArray[np.float64]
    """Shape (P,): the gains of `keys`, above 0."""

    @classmethod
    def from_labels(
        cls,
        query_labels: Sequence[str],
        query_ids: Sequence[str],
        index_labels: Sequence[str],
        index_ids: Sequence[str],
    ) -> "Judgments":
        """Documents with the query's label are relevant, with gain 1.

        Args:
            query_labels: N labels.
            query_ids: N ids.
            index_labels: M labels.
            index_ids: M ids.

        Raises:
            InputError: there are not as many labels as ids.
        """
        _check_lengths("query", query_labels, query_ids)
        _check_lengths("index", index_labels, index_ids)
        group_of: dict[str, int] = {}
        index_groups = [group_of.setdefault(label, len(group_of)) for label in index_labels]
        keys = np.array(index_groups, dtype=np.int64) * len(index_ids) + np.arange(len(index_ids))
        return cls(
            query_groups=np.array([group_of.get(label, -1) for label in query_labels], dtype=np.int64),
            self_rows=_rows_of(query_ids, index_ids),
            index_size=len(index_ids),
            keys=np.sort(keys),
            key_gains=np.ones(keys.size),
        )

    @classmethod
    def from_pairs(
        cls,
        query_ids: Sequence[str],
        index_ids: Sequence[str],
        pair_query_ids: Sequence[str],
        pair_document_ids: Sequence[str],
        pair_gains: ArrayLike,
    ) -> "Judgments":
        """The judged pairs with a gain above 0 are relevant; a pair of a query with itself is left out.

        A pair with gain 0 was judged not relevant; none of our metrics tells it from one that was not judged.

        Args:
            query_ids: N ids.
            index_ids: M ids.
            pair_query_ids: The query of each of P pairs.
            pair_document_ids: The document of each of P pairs.
            pair_gains: Shape (P,): gain of each pair, 0 or more.

        Raises:
            InputError: a pair names an unknown id or occurs twice, or a gain is not a finite number of 0 or more.
        """
        gains = np.asarray(pair_gains, dtype=np.float64)
        _check_lengths("pair", gains, pair_query_ids)
        _check_lengths("pair", pair_document_ids, pair_query_ids)
        _check_gains(gains)
        queries = _known_rows(pair_query_ids, query_ids, "query")
        documents = _known_rows(pair_document_ids, index_ids, "index")
        self_rows = _rows_of(query_ids, index_ids)
        keys = queries * len(index_ids) + documents
        _check_unique(keys)
        order = np.argsort(keys)
        order = order[(self_rows[queries[order]] != documents[order]) & (gains[order] > 0)]
        return cls(
            query_groups=np.arange(len(query_ids), dtype=np.int64),
            self_rows=self_rows,
            index_size=len(index_ids),
            keys=keys[order],
            key_gains=gains[order],
        )

    def select(self, queries: NDArray[np.int64]) -> "Judgments":
        """Keep only these queries, in this order.

        Args:
            queries: Shape (n,): rows of the queries.
        """
        return dataclasses.replace(self, query_groups=self.query_groups[queries], self_rows=self.self_rows[queries])

    def reversed(self) -> "Judgments":
        """Return which queries are relevant to which documents, of judgments that `from_pairs` made."""
        count = self.query_groups.size
        queries, documents = np.divmod(self.keys, self.index_size)
        keys = documents * count + queries
        order = np.argsort(keys)
        self_rows = np.full(self.index_size, -1, np.int64)
        own = np.flatnonzero(self.self_rows >= 0)
        self_rows[self.self_rows[own]] = own
        groups = np.arange(self.index_size, dtype=np.int64)
        return Judgments(groups, self_rows, count, keys[order], self.key_gains[order])

    def gains(self, indices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Look up the gains of ranked documents.

        Args:
            indices: Shape (N, k): index rows; -1 where there is no result.

        Returns:
            Shape (N, k); 0 for what is not relevant, for the query's own document and where there is no result.
        """
        if self.keys.size == 0:
            return np.zeros(indices.shape)
        wanted = self.query_groups[:, np.newaxis] * self.index_size + indices
        place = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        relevant = (self.keys[place] == wanted) & (indices >= 0) & (indices != self.self_rows[:, np.newaxis])
        return np.where(relevant, self.key_gains[place], 0.0)

    def relevant_counts(self) -> NDArray[np.int64]:
        """Return the number of relevant index documents of each query, its own document excluded, shape (N,)."""
        starts, stops = self._slices()
        own = np.zeros(self.query_groups.shape, dtype=np.int64)
        if self.keys.size:
            wanted = self.query_groups * self.index_size + self.self_rows
            place = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
            own = ((self.keys[place] == wanted) & (self.self_rows >= 0)).astype(np.int64)
        return stops - starts - own

    def ideal_gains(self, k: int) -> NDArray[np.float64]:
        """Return the k highest gains of each query's relevant documents, descending, padded with 0, shape (N, k)."""
        if self.keys.size == 0:
            return np.zeros((self.query_groups.size, k))
        starts, _ = self._slices()
        descending = self.key_gains[np.lexsort((-self.key_gains, self.keys // self.index_size))]
        # A group that holds the query's own document is a label's, where all gains are 1: any one may be left out.
        places = np.arange(k)
        within = places < self.relevant_counts()[:, np.newaxis]
        return np.where(within, descending[np.where(within, starts[:, np.newaxis] + places, 0)], 0.0)

    def relevant(self, query: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return one query's relevant index rows, ascending, and their gains, both of shape (R,).

        Args:
            query: Row of the query.
        """
        start = self.query_groups[query] * self.index_size
        found = slice(*np.searchsorted(self.keys, [start, start + self.index_size]))
        rows = self.keys[found] - start
        others = rows != self.self_rows[query]
        return rows[others], self.key_gains[found][others]

    def any_relevant(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell of which queries a relevant document, its own included, is flagged.

        Args:
            flags: Shape (M,).

        Returns:
            Shape (N,).
        """
        starts, stops = self._slices()
        before = np.concatenate([[0], np.cumsum(flags[self.keys % self.index_size])])
        return before[stops] > before[starts]

    def touched_by(self, queries: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Tell which documents are relevant to one of some queries, or are one of these.

        Args:
            queries: Which of the N queries (N,).

        Returns:
            Shape (M,).
        """
        touched = np.zeros(self.index_size, np.bool_)
        relevant = np.isin(self.keys // self.index_size, self.query_groups[queries])
        touched[self.keys[relevant] % self.index_size] = True
        own = self.self_rows[queries]
        touched[own[own >= 0]] = True
        return touched

    def digests(self, places: NDArray[np.int64]) -> list[str]:
        """Return what tells each query's relevant documents, its own among them, and their gains from other ones.

        Args:
            places: Shape (M,): what to call each index row, such as its place in an order that files do not decide.

        Returns:
            N hexadecimal digests.
        """
        starts, stops = self._slices()
        found: dict[int, str] = {}
        for group, start, stop in zip(self.query_groups.tolist(), starts, stops, strict=True):
            if group not in found:
                names = places[self.keys[start:stop] - group * self.index_size]
                order = np.argsort(names)
                data = names[order].astype("<i8").tobytes() + self.key_gains[start:stop][order].astype("<f8").tobytes()
                found[group] = hashlib.sha256(data).hexdigest()
        return [found[group] for group in self.query_groups.tolist()]

    def _slices(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where each query's group starts and stops in `keys`; the group -1 is empty."""
        first = self.query_groups * self.index_size
        return np.searchsorted(self.keys, first), np.searchsorted(self.keys, first + self.index_size)


def _check_lengths(what: str, values: Sequence[str] | NDArray[np.float64], ids: Sequence[str]) -> None:
    if len(values) != len(ids):
        raise InputError(f"There are {len(values)} {what} values for {len(ids)} {what} ids; they must be as many.")


def _check_gains(gains: NDArray[np.float64]) -> None:
    wrong = np.flatnonzero(~(np.isfinite(gains) & (gains >= 0)))
    if wrong.size:
        raise InputError(
            f"{wrong.size} of {gains.size} judged pairs have a gain that is not a finite number of 0 or more "
            f"(first: {gains[wrong[0]]}). Give 0 for what is not relevant."
        )


def _check_unique(keys: NDArray[np.int64]) -> None:
    repeated = keys.size - np.unique(keys).size
    if repeated:
        raise InputError(f"{repeated} of {keys.size} judged pairs repeat an earlier one; give each pair one gain.")


def _rows_of(ids: Sequence[str], index_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the row in `index_ids` of each id, or -1: shape (len(ids),)."""
    row_of = {index_id: row for row, index_id in enumerate(index_ids)}
    return np.array([row_of.get(one, -1) for one in ids], dtype=np.int64)


def _known_rows(ids: Sequence[str], known_ids: Sequence[str], what: str) -> NDArray[np.int64]:
    rows = _rows_of(ids, known_ids)
    unknown = np.flatnonzero(rows < 0)
    if unknown.size:
        raise InputError(
            f"{unknown.size} of {len(ids)} judged pairs name an id that is not among the {what} documents "
            f"(first: {ids[unknown[0]]!r}). Judge only documents of this evaluation folder."
        )
    return rows
