"""The distinct documents of all usable rows, their judged pairs, and what of them hangs together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import (
    Codes,
    DistinctContents,
    Fingerprints,
    Flags,
    Numbers,
    distinct,
)
from embedtune.documents.row_uses import Use
from embedtune.documents.schema import content_id
from embedtune.records.layouts import Layout


@dataclass(frozen=True, eq=False)
class Judgments:
    """P distinct judged pairs of the D documents of a corpus."""

    pairs: Numbers
    """Number of the query and of the document, 0..D-1 (P, 2)."""
    gains: npt.NDArray[np.float32]
    """How relevant the document is, 0 or more; similarity for scored (P,)."""
    uses: Codes
    """Use.OPEN for all, or Use.TRAIN and Use.EVALUATION where the source divides them (P,)."""
    rows: Numbers
    """Row that a pair is written from where a Document holds both contents, else the first one that judges it (P,)."""
    ids: pa.Array
    """Id of the Document that holds both contents (P,); none where each is a Document of its own."""

    @property
    def official(self) -> bool:
        """Whether the source divides training from evaluation."""
        return bool(np.any(self.uses != Use.OPEN))

    @classmethod
    def none(cls) -> "Judgments":
        """Return those of rows with one content."""
        nothing = np.empty(0, np.int64)
        uses, gains = nothing.astype(np.int8), nothing.astype(np.float32)
        return cls(np.empty((0, 2), np.int64), gains, uses, nothing, pa.array([], pa.string()))


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
    one node, and one document where rows have two contents): of queries and documents as `connect` tells, of
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


def collect_judgments(contents: DistinctContents, prints: Fingerprints, uses: Codes, documents: Numbers) -> Judgments:
    """Merge rows (R,) that judge the same pair, up to spelling; `documents` numbers the one of each content (T,)."""
    rows = np.flatnonzero(uses >= Use.OPEN)
    queries, answers = documents[contents.first[rows]], documents[contents.second[rows]]
    codes = (queries * (int(answers.max(initial=0)) + 1) + answers) * len(Use) + uses[rows]
    firsts, numbers = np.unique(codes, return_index=True, return_inverse=True)[1:]
    ids = pa.array([], pa.string())
    chosen = rows[firsts]
    if contents.layout.has_parents:
        chosen, ids = _smallest_parents(contents, prints, rows, numbers)
    in_order = np.argsort(firsts, kind="stable")
    firsts = firsts[in_order]
    return Judgments(
        pairs=np.stack([queries[firsts], answers[firsts]], axis=1),
        gains=contents.gains()[rows[firsts]],
        uses=uses[rows[firsts]],
        rows=chosen[in_order],
        ids=ids.take(pa.array(in_order)) if len(ids) else ids,
    )


def _smallest_parents(
    contents: DistinctContents, prints: Fingerprints, rows: Numbers, numbers: Numbers
) -> tuple[Numbers, pa.Array]:
    """Return of each pair the row whose Document has the smallest id, which no row order changes, and that id.

    The rows to choose from (J,) have each the number of their pair, 0..P-1 (J,).
    """
    first, second = (prints.ids.take(pa.array(side[rows])).to_pylist() for side in (contents.first, contents.second))
    ids = pa.array([content_id((one + other).encode()) for one, other in zip(first, second, strict=True)], pa.string())
    smallest = smallest_members(ids, numbers)
    return rows[smallest], ids.take(pa.array(smallest))


def smallest_members(ids: pa.Array, numbers: Numbers) -> Numbers:
    """Return the position of the smallest of the ids (D,) with each number 0..N-1 (N,); of equal ids the first."""
    counts = np.bincount(numbers)
    smallest = np.empty(len(counts), np.int64)
    smallest[numbers] = np.arange(len(numbers))
    several = np.flatnonzero(counts[numbers] > 1)
    table = pa.table({"number": numbers[several], "id": ids.take(pa.array(several))})
    order = pc.sort_indices(table, sort_keys=[("number", "ascending"), ("id", "ascending")]).to_numpy()
    ordered = several[order]
    starts = np.flatnonzero(np.diff(numbers[ordered], prepend=-1))
    smallest[numbers[ordered[starts]]] = ordered[starts]
    return smallest


def connecting(judgments: Judgments, layout: Layout) -> Flags:
    """Tell which judged pairs are of related documents (P,); see `connect`."""
    binding: Flags = judgments.uses != Use.EVALUATION
    return binding & (judgments.gains > 0) if layout.is_ranked else binding


def connect(judgments: Judgments, layout: Layout, draws: npt.NDArray[np.uint64]) -> tuple[Numbers, Numbers]:
    """Find which documents are related and which are to be held out together.

    Related are the connected components over the judgments. In matches and beir only documents that are relevant
    connect: a wrong answer is often the right one of another query, and would join everything. Official evaluation
    judgments connect nothing, so that no training label tells of them.

    Held out together are related documents, and with them those that are relevant to no query: each goes with the one
    of its queries that has the smallest draw (D,), so that most queries keep their wrong answers. Returned are the
    smallest number of each document's related ones (D,), and of those held out with it (D,).
    """
    bound = judgments.pairs[connecting(judgments, layout)]
    related = connected_components(bound[:, 0], bound[:, 1], len(draws))
    alone = np.ones(len(draws), np.bool_)
    alone[bound] = False
    loose = judgments.pairs[alone[judgments.pairs[:, 1]] & (judgments.uses != Use.EVALUATION)]
    if not loose.size:
        return related, related
    loose = loose[np.lexsort((draws[loose[:, 0]], loose[:, 1]))]
    leaves, places = np.unique(loose[:, 1], return_index=True)
    together = related.copy()
    together[leaves] = related[loose[places, 0]]
    return related, together


def connected_components(first: Numbers, second: Numbers, nodes: int) -> Numbers:
    """Find the connected components of an undirected graph.

    A union-find that hooks all roots at once: each round joins the roots at the two ends of every edge, smaller node
    first, halves the paths until they are flat, and drops the edges that became loops (algorithm RA with full
    shortcutting of Liu and Tarjan 2019, https://arxiv.org/abs/1812.06177). Rounds grow with the logarithm of the nodes.

    Args:
        first: One end of each edge (E,), 0..nodes-1.
        second: The other end of each edge (E,).
        nodes: Number of nodes.

    Returns:
        The smallest node of each node's component (nodes,).
    """
    parent = np.arange(nodes, dtype=np.int64)
    while first.size:
        smaller, larger = np.minimum(first, second), np.maximum(first, second)
        np.minimum.at(parent, larger, smaller)
        parent = _flatten(parent)
        first, second = parent[smaller], parent[larger]
        apart = first != second
        first, second = first[apart], second[apart]
    return parent


def _flatten(parent: Numbers) -> Numbers:
    while True:
        grandparent = parent[parent]
        if np.array_equal(grandparent, parent):
            return parent
        parent = grandparent
