"""What was held out together: the unit whose queries go up and down together, and that an interval resamples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.documents.document_set import connected_components

QUERIES, LABELS, GROUPS = "queries", "labels", "groups of connected pairs"
"""What the units may be: single queries of which others of their label or source were trained on; whole labels, those
that share a content as one; or all pairs that share a content."""


@dataclass(frozen=True, eq=False)
class Units:
    """The units of N queries and M index documents."""

    name: str
    """QUERIES, LABELS or GROUPS."""
    queries: NDArray[np.int64]
    """Number of each query's unit, 0 or more (N,)."""
    index: NDArray[np.int64]
    """Number of each document's unit (M,), for a search from documents to queries; the same numbers."""

    def select(self, queries: NDArray[np.int64]) -> "Units":
        """Keep only these queries, in this order (n,)."""
        return Units(self.name, self.queries[queries], self.index)

    def reversed(self) -> "Units":
        """Return the units of documents that are the queries."""
        return Units(self.name, self.index, self.queries)


def single_queries(query_keys: Sequence[str], index_size: int) -> Units:
    """Return units of one query each, where single rows were held out.

    Args:
        query_keys: What two spellings of one content have in common, which were held out together, N.
        index_size: M; each document is a unit by itself.
    """
    return Units(QUERIES, _numbered(query_keys), np.arange(index_size, dtype=np.int64))


def whole_labels(
    query_labels: Sequence[str], query_keys: Sequence[str], index_labels: Sequence[str], index_keys: Sequence[str]
) -> Units:
    """Return the labels as units, those that share a content as one, where whole labels were held out.

    Args:
        query_labels: N labels.
        query_keys: What two spellings of one content have in common, N.
        index_labels: M labels.
        index_keys: As query_keys, M.
    """
    labels, keys = _numbered([*query_labels, *index_labels]), _numbered([*query_keys, *index_keys])
    count = int(labels.max(initial=-1)) + 1
    components = connected_components(labels, keys + count, count + int(keys.max(initial=-1)) + 1)[labels]
    return Units(LABELS, components[: len(query_labels)], components[len(query_labels) :])


def connected_pairs(query_components: Sequence[str], index_components: Sequence[str]) -> Units:
    """Return the connected components of judged pairs as units, where whole ones were held out.

    Args:
        query_components: Name of each query's component, N.
        index_components: Name of each document's component, M.
    """
    numbers = _numbered([*query_components, *index_components])
    return Units(GROUPS, numbers[: len(query_components)], numbers[len(query_components) :])


def _numbered(names: Sequence[str]) -> NDArray[np.int64]:
    """Number the names in the order of their first sight."""
    seen: dict[str, int] = {}
    return np.array([seen.setdefault(name, len(seen)) for name in names], np.int64)
