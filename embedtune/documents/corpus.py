"""The distinct documents of all usable rows, with what relates them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.contents import Contents
from embedtune.documents.grouping import Fingerprints, connected_components
from embedtune.records.layouts import Layout


@dataclass(frozen=True, eq=False)
class Units:
    """The U distinct (label, content key) pairs: what a label's texts are when their spelling does not count."""

    label: npt.NDArray[np.int64]
    """Number of the label (U,)."""
    mixed: npt.NDArray[np.bool_]
    """Whether other labels have the same content key (U,)."""
    draw: npt.NDArray[np.uint64]
    """Seeded random number of the content key (U,)."""
    of_document: npt.NDArray[np.int64]
    """Number of each document's unit (D,)."""

    def per_label(self, members: npt.NDArray[np.bool_], labels: int) -> npt.NDArray[np.int64]:
        """Count the units that `members` (D,) have of each of the labels 0..labels-1 (L,)."""
        present = np.zeros(len(self.label), np.bool_)
        present[self.of_document[members]] = True
        return np.bincount(self.label[present], minlength=labels)

    def first_of_each_label(
        self, eligible: npt.NDArray[np.bool_], quota: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.bool_]:
        """Mark up to `quota` (L,) eligible units of each label, in the order of their draws (U,)."""
        order = np.lexsort((self.draw, ~eligible, self.label))
        labels = self.label[order]
        starts = np.searchsorted(labels, np.arange(len(quota)))
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order)) - starts[labels]
        chosen: npt.NDArray[np.bool_] = eligible & (position < quota[self.label])
        return chosen


@dataclass(frozen=True, eq=False)
class Corpus:
    """D documents with K distinct content keys, G groups and L labels."""

    layout: Layout
    texts: pa.Array
    """Distinct texts (D,)."""
    ids: pa.Array
    """Document ids (D,)."""
    words: npt.NDArray[np.int32]
    """Length of each text in words (D,)."""
    keys: npt.NDArray[np.int64]
    """Number of each document's content key, 0..K-1 (D,); all different for pairs."""
    draws: npt.NDArray[np.uint64]
    """Seeded random number of each content key (K,)."""
    groups: npt.NDArray[np.int64]
    """Number of each document's group of connected rows, 0..G-1 (D,)."""
    representatives: npt.NDArray[np.int64]
    """The document of each group whose id is smallest, 0..D-1 (G,): a choice that no row order changes."""
    labels: npt.NDArray[np.int64]
    """Number of each document's label, 0..L-1 (D,); equals `groups` for pairs."""
    label_names: pa.Array
    """The labels (L,): the user's own, or the id of the group's representative for pairs."""
    pairs: npt.NDArray[np.int64]
    """Distinct judged pairs as (query, document) numbers, 0..D-1 (P, 2); no row for labelled."""

    @cached_property
    def units(self) -> Units:
        """The distinct (label, content key) pairs."""
        keys = len(self.draws)
        codes, of_document = np.unique(self.labels * keys + self.keys, return_inverse=True)
        label, key = np.divmod(codes, keys)
        return Units(label, np.bincount(key, minlength=keys)[key] > 1, self.draws[key], of_document)

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.keys)


def build_corpus(contents: Contents, prints: Fingerprints, usable: npt.NDArray[np.bool_]) -> Corpus:
    """Merge duplicates and connect what belongs together.

    Groups are the connected components over content keys (texts that differ only in case, Unicode form and white space
    are one node, and for pairs one document): of queries and documents through the judged pairs, of labels through the
    texts they share.

    Args:
        contents: The rows (R).
        prints: The fingerprints of `contents.texts`.
        usable: The rows to take (R,), at least one.
    """
    first, second = contents.first[usable], contents.second[usable]
    if contents.layout is Layout.PAIRS:
        return _pairs_corpus(contents, prints, first, second)
    return _labelled_corpus(contents, prints, first, second)


def _labelled_corpus(
    contents: Contents, prints: Fingerprints, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Corpus:
    used, rows = np.unique(first, return_index=True)
    used_labels, labels = np.unique(second[rows], return_inverse=True)
    used_keys, keys = np.unique(prints.keys[used], return_inverse=True)
    components = connected_components(keys, len(used_keys) + labels, len(used_keys) + len(used_labels))
    groups = np.unique(components[keys], return_inverse=True)[1]
    ids = _take(prints.ids, used)
    return Corpus(
        layout=contents.layout,
        texts=_take(contents.texts, used),
        ids=ids,
        words=prints.words[used],
        keys=keys,
        draws=prints.draws[used_keys],
        groups=groups,
        representatives=smallest_members(ids, groups),
        labels=labels,
        label_names=_take(contents.labels, used_labels),
        pairs=np.empty((0, 2), np.int64),
    )


def _pairs_corpus(
    contents: Contents, prints: Fingerprints, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> Corpus:
    used, numbers = np.unique(np.concatenate([first, second]), return_inverse=True)
    used_keys, keys = np.unique(prints.keys[used], return_inverse=True)
    # A spelling of its own would be unjudged where the other one is judged, and a query would find itself.
    spellings = used[smallest_members(_take(prints.ids, used), keys)]
    pairs = _distinct_pairs(keys[numbers[: len(first)]], keys[numbers[len(first) :]])
    components = connected_components(pairs[:, 0], pairs[:, 1], len(used_keys))
    groups = np.unique(components, return_inverse=True)[1]
    ids = _take(prints.ids, spellings)
    representatives = smallest_members(ids, groups)
    return Corpus(
        layout=contents.layout,
        texts=_take(contents.texts, spellings),
        ids=ids,
        words=prints.words[spellings],
        keys=np.arange(len(used_keys)),
        draws=prints.draws[used_keys],
        groups=groups,
        representatives=representatives,
        labels=groups,
        label_names=ids.take(pa.array(representatives)),
        pairs=pairs,
    )


def _take(values: pa.Array, numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Take numbers, without a copy where these are all in order."""
    return values if np.array_equal(numbers, np.arange(len(values))) else values.take(pa.array(numbers))


def _distinct_pairs(queries: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the distinct pairs in order of first sight (P, 2)."""
    codes = queries * (int(documents.max()) + 1) + documents
    rows = np.sort(np.unique(codes, return_index=True)[1])
    return np.stack([queries[rows], documents[rows]], axis=1)


def smallest_members(ids: pa.Array, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the position of the smallest id among those with equal number, for each number 0..N-1 (N,).

    Args:
        ids: Document ids (D,).
        numbers: A number from 0..N-1 for each id, each of them at least once (D,).
    """
    table = pa.table({"number": numbers, "id": ids})
    order = pc.sort_indices(table, sort_keys=[("number", "ascending"), ("id", "ascending")]).to_numpy()
    starts = np.flatnonzero(np.diff(numbers[order], prepend=-1))
    smallest: npt.NDArray[np.int64] = order[starts].astype(np.int64)
    return smallest
