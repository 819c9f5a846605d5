"""The distinct documents of all usable rows, with what relates them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedtune.documents.distinct_contents import DistinctContents
from embedtune.documents.fingerprints import Codes, Fingerprints, Flags, Numbers, connected_components, distinct
from embedtune.documents.judgments import Judgments, collect_judgments, connect, smallest_members
from embedtune.documents.row_uses import Use
from embedtune.records.layouts import Layout


@dataclass(frozen=True, eq=False)
class Units:
    """The U distinct (label, content key) pairs: what a label's contents are when their spelling does not count."""

    label: Numbers
    """Number of the label (U,)."""
    mixed: Flags
    """Whether other labels have the same content key (U,)."""
    draw: npt.NDArray[np.uint64]
    """Seeded random number of the content key (U,)."""
    of_document: Numbers
    """Number of each document's unit (D,)."""

    def per_label(self, members: Flags, labels: int) -> Numbers:
        """Count the units that `members` (D,) have of each of the labels 0..labels-1 (L,)."""
        present = np.zeros(len(self.label), np.bool_)
        present[self.of_document[members]] = True
        return np.bincount(self.label[present], minlength=labels)

    def first_of_each_label(self, eligible: Flags, quota: Numbers) -> Flags:
        """Mark up to `quota` (L,) eligible units of each label, in the order of their draws (U,)."""
        order = np.lexsort((self.draw, ~eligible, self.label))
        labels = self.label[order]
        starts = np.searchsorted(labels, np.arange(len(quota)))
        position = np.empty(len(order), np.int64)
        position[order] = np.arange(len(order)) - starts[labels]
        chosen: Flags = eligible & (position < quota[self.label])
        return chosen


@dataclass(frozen=True, eq=False)
class DocumentSet:
    """D documents with K distinct content keys, G groups and L labels, from R rows."""

    contents: DistinctContents
    """The rows."""
    homes: Numbers
    """Where each document is read from: twice its row, and one more for the second content of that row (D,)."""
    ids: pa.Array
    """Document ids (D,)."""
    words: npt.NDArray[np.int32]
    """Length of each text in words, 0 for other contents (D,)."""
    keys: Numbers
    """Number of each document's content key, 0..K-1 (D,); all different where rows have two contents."""
    draws: npt.NDArray[np.uint64]
    """Seeded random number of each content key (K,)."""
    groups: Numbers
    """Number of each document's group, 0..G-1: what is held out together (D,)."""
    representatives: Numbers
    """The document of each group whose id is smallest, 0..D-1 (G,): a choice that no row order changes."""
    labels: Numbers
    """Number of each document's label, 0..L-1 (D,)."""
    label_names: pa.Array
    """The labels (L,): the user's own, null for plain, or where rows have two contents the smallest id of those that
    are related."""
    searched: Flags
    """Whether a document is the second content of a row, or the only one: what a query searches in (D,)."""
    judgments: Judgments
    """The judged pairs; none where rows have one content."""

    @property
    def layout(self) -> Layout:
        """What a row means."""
        return self.contents.layout

    @property
    def pairs(self) -> Numbers:
        """The judged pairs as (query, document) numbers (P, 2)."""
        return self.judgments.pairs

    @cached_property
    def units(self) -> Units:
        """The distinct (label, content key) pairs."""
        keys = len(self.draws)
        codes, of_document = np.unique(self.labels * keys + self.keys, return_inverse=True)
        label, key = np.divmod(codes, keys)
        return Units(label, np.bincount(key, minlength=keys)[key] > 1, self.draws[key], of_document)

    @cached_property
    def judged(self) -> Flags:
        """Tell which documents the split decides about (D,): all, but for those of beir that nobody judged."""
        if not self.contents.has_pairs:
            return np.ones(len(self), np.bool_)
        judged = np.zeros(len(self), np.bool_)
        judged[self.pairs] = True
        return judged

    def name(self, document: int) -> str:
        """Return a document in words: its text, or its address."""
        return self.contents.cell(*divmod(int(self.homes[document]), 2))

    def __len__(self) -> int:
        """Return the number of documents."""
        return len(self.keys)


def build_document_set(contents: DistinctContents, prints: Fingerprints, uses: Codes) -> DocumentSet:
    """Merge duplicates and connect what belongs together, of rows that are used (R,), at least one of them.

    Groups are connected components over content keys (texts that differ only in case, Unicode form and white space are
    one node, and one document where rows have two contents): of queries and documents as `judgments.connect` tells, of
    labels through the contents they share.
    """
    return (_paired_set if contents.has_pairs else _labelled_set)(contents, prints, uses)


def _labelled_set(contents: DistinctContents, prints: Fingerprints, uses: Codes) -> DocumentSet:
    homes = _homes(contents, np.flatnonzero(uses == Use.OPEN), np.empty(0, np.int64))
    used = np.flatnonzero(homes >= 0)
    used_labels, labels = distinct(contents.second[homes[used] // 2])
    used_keys, keys = distinct(prints.keys[used])
    components = connected_components(keys, len(used_keys) + labels, len(used_keys) + len(used_labels))
    groups = distinct(components[keys])[1]
    ids = _take(prints.ids, used)
    return DocumentSet(
        contents=contents,
        homes=homes[used],
        ids=ids,
        words=prints.words[used],
        keys=keys,
        draws=prints.draws[used_keys],
        groups=groups,
        representatives=smallest_members(ids, groups),
        labels=labels,
        label_names=_take(contents.labels, used_labels),
        searched=np.ones(len(used), np.bool_),
        judgments=Judgments.none(),
    )


def _paired_set(contents: DistinctContents, prints: Fingerprints, uses: Codes) -> DocumentSet:
    homes = _homes(contents, np.flatnonzero(uses >= Use.OPEN), np.flatnonzero(uses == Use.DOCUMENT))
    used = np.flatnonzero(homes >= 0)
    used_keys, keys = distinct(prints.keys[used])
    documents = np.full(len(homes), -1)
    documents[used] = keys
    # A spelling of its own would be unjudged where the other one is judged, and a query would find itself.
    spellings = used[smallest_members(_take(prints.ids, used), keys)]
    searched = np.zeros(len(used_keys), np.bool_)
    searched[documents[contents.second[uses != Use.NOTHING]]] = True
    judgments = collect_judgments(contents, prints, uses, documents)
    ids, draws = _take(prints.ids, spellings), prints.draws[used_keys]
    related, together = connect(judgments, contents.layout, draws)
    labels, groups = distinct(related)[1], distinct(together)[1]
    relatives = smallest_members(ids, labels)
    return DocumentSet(
        contents=contents,
        homes=homes[spellings],
        ids=ids,
        words=prints.words[spellings],
        keys=np.arange(len(used_keys)),
        draws=draws,
        groups=groups,
        representatives=relatives if together is related else smallest_members(ids, groups),
        labels=labels,
        label_names=ids.take(pa.array(relatives)),
        searched=searched,
        judgments=judgments,
    )


def _homes(contents: DistinctContents, rows: Numbers, document_rows: Numbers) -> Numbers:
    """Return where each content is seen first, as DocumentSet.homes, or -1 (T,).

    All contents count of `rows`, the second one only of `document_rows`.
    """
    homes = np.full(len(contents.values), np.iinfo(np.int64).max)
    np.minimum.at(homes, contents.first[rows], 2 * rows)
    if contents.has_pairs:
        np.minimum.at(homes, contents.second[rows], 2 * rows + 1)
        np.minimum.at(homes, contents.second[document_rows], 2 * document_rows + 1)
    homes[homes == np.iinfo(np.int64).max] = -1
    return homes


def _take(values: pa.Array, numbers: Numbers) -> pa.Array:
    """Take numbers, without a copy where these are all in order."""
    return values if np.array_equal(numbers, np.arange(len(values))) else values.take(pa.array(numbers))
