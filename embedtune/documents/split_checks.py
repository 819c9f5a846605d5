"""What a split must fulfil before anyone trains on it."""

from dataclasses import dataclass

import numpy as np

from embedtune.documents.distinct_contents import Flags, distinct
from embedtune.documents.document_set import DocumentSet, connecting
from embedtune.documents.schema import SplitRule
from embedtune.errors import InputError
from embedtune.records.layouts import Modality
from embedtune.text import excerpt

_LEAST_GROUPS = 4

STRATIFIED_MIN_TEXTS = 4
"""A label with fewer different texts stays in training: two to train on and two to evaluate on are the least."""


@dataclass(frozen=True)
class AskedShare:
    """The share that somebody asked to hold out."""

    option: str
    """What it is called where people set it."""
    share: float
    """Of the documents, above 0 and below 1."""

    def __str__(self) -> str:
        """Return it as people set it."""
        return f"{self.option}={self.share}"


def most_connected(corpus: DocumentSet, group: int) -> str:
    """Name what joins most of a group of connected rows: its most frequent label, or its most related content."""
    members = corpus.groups == group
    if corpus.layout.has_labels:
        counts = np.bincount(corpus.labels[members])
        label = int(counts.argmax())
        return f"label {excerpt(corpus.label_names[label].as_py())} with {counts[label]} documents"
    joining = corpus.pairs[connecting(corpus.judgments, corpus.layout)]
    degrees = np.bincount(joining.ravel(), minlength=len(corpus)) * members
    document = int(degrees.argmax())
    return f"{modality_of(corpus, document)} {excerpt(corpus.name(document))} in {degrees[document]} pairs"


def modality_of(corpus: DocumentSet, document: int) -> Modality:
    """Return what the content of a document is."""
    return corpus.contents.rows_format.modalities[int(corpus.homes[document]) % 2]


def check_groups(corpus: DocumentSet, rule: SplitRule) -> None:
    """Refuse documents that no split divides: one label, nothing relevant, or one group to be held out whole."""
    if corpus.contents.has_pairs and not corpus.pairs.size:
        raise InputError(
            f"None of the {len(corpus)} documents is relevant to a query, so there is nothing to learn and nothing to "
            "measure. Give judgments with a relevance above 0."
        )
    if corpus.layout.has_labels and len(corpus.label_names) == 1:
        raise InputError(
            f"All {len(corpus)} documents have the label {excerpt(corpus.label_names[0].as_py())}; at least two labels "
            "are needed to learn what is not relevant. Add rows with other labels."
        )
    judged_groups = corpus.groups[corpus.judged]
    if rule is SplitRule.GROUP and np.all(judged_groups == judged_groups[:1]):
        advice = "Remove the contents that pair with unrelated ones, or add unconnected pairs."
        if corpus.layout.has_labels:
            advice = "Use split='stratified', or remove the contents that occur under several labels."
        raise InputError(
            f"All {len(judged_groups)} documents hang together in one group of connected rows (most connected: "
            f"{most_connected(corpus, int(judged_groups[0]))}), so none can be held out without training on its "
            f"relatives. {advice}"
        )


def check_train(corpus: DocumentSet, train: Flags, asked: AskedShare, rule: str) -> None:
    """Refuse a training split in which fewer than two labels (groups for pairs) have two different contents."""
    contents = corpus.units.per_label(train, len(corpus.label_names))
    usable = int(np.count_nonzero(contents >= 2))
    if usable >= 2:
        return
    cause = " by the split of the source" if corpus.judgments.official else f" with {asked}"
    kind = "labels have" if corpus.layout.has_labels else "groups of connected pairs have"
    raise InputError(
        f"{usable} {kind} at least two different contents among the {np.count_nonzero(train)} of {len(corpus)} "
        f"documents left for training{cause}; at least 2 are needed. {_advice(corpus, rule, asked)}"
    )


def _advice(corpus: DocumentSet, rule: str, asked: AskedShare) -> str:
    if corpus.judgments.official:
        return "Add judgments, or use split='group', which holds out some of all of them."
    groups = len(distinct(corpus.groups[corpus.judged])[0])
    if rule != SplitRule.GROUP or groups >= _LEAST_GROUPS:
        return f"Add rows, or lower {asked.option}."
    what, other = "groups of connected pairs", "pairs that are not connected to the others"
    if corpus.layout.has_labels:
        what, other = "labels", "rows with other labels, or use split='stratified' if labels have texts enough"
    return (
        f"Holding out whole {what} takes {_LEAST_GROUPS} of them, two to train on and two to evaluate on, but there "
        f"are {groups}. Add {other}."
    )


def check_evaluation(corpus: DocumentSet, query: Flags, index: Flags, asked: AskedShare) -> None:
    """Refuse an evaluation split without a query, or with an index that is all relevant to every query."""
    labels = len(distinct(corpus.labels[index])[0])
    queries = int(np.count_nonzero(query))
    if queries >= 1 and labels >= 2:
        return
    if corpus.judgments.official:
        advice = "Use split='group', which holds out some of all judgments."
    elif corpus.layout.has_labels:
        advice = (
            f"A query needs a label with two held-out texts. Raise {asked.option}, add rows, or use split='group' "
            f"where labels have fewer than {STRATIFIED_MIN_TEXTS} texts."
        )
    else:
        advice = f"Raise {asked.option} or add pairs that are not connected to the others."
    share = f"{asked} of {len(corpus)} documents"
    done = "The split of the source" if corpus.judgments.official else f"Holding out {share}"
    raise InputError(
        f"{done} gives {queries} queries and an index of "
        f"{np.count_nonzero(index)} documents from {labels} labels or groups; at least 1 query and 2 of these are "
        f"needed. {advice}"
    )


def verify_no_leak(corpus: DocumentSet, train: Flags, query: Flags, index: Flags) -> None:
    """Check the promises of a split over all documents; a RuntimeError is a bug here and not in the data."""
    if count_shared(corpus, train, query):
        raise RuntimeError("A content is both in training and evaluation; please report this bug.")
    if corpus.judgments.official:
        return
    held = query | index
    # The first contents of scored pairs may be left out: where no score is above 0, there is nothing to find.
    if np.any(held & train) or (not corpus.layout.has_scores and not np.all(held | train)):
        raise RuntimeError("A document is in no split or both in training and evaluation; please report this bug.")
    if count_shared(corpus, train, held):
        raise RuntimeError("A content is both in training and evaluation; please report this bug.")
    if corpus.layout.has_labels and count_shared(corpus, query, index):
        raise RuntimeError("A query has its own content in the index; please report this bug.")
    if corpus.contents.has_pairs and len(distinct(corpus.keys)[0]) < len(corpus):
        raise RuntimeError("A content of pairs is in two documents; please report this bug.")
    trained = train[corpus.pairs[connecting(corpus.judgments, corpus.layout)]]
    if not np.array_equal(trained[:, 0], trained[:, 1]):
        raise RuntimeError("A judged pair is torn between training and evaluation; please report this bug.")


def count_shared(corpus: DocumentSet, first: Flags, second: Flags) -> int:
    """Return how many content keys two sets of documents (D,) have in common."""
    present = np.zeros((2, len(corpus.draws)), np.bool_)
    present[0, corpus.keys[first]] = True
    present[1, corpus.keys[second]] = True
    return int(np.count_nonzero(present.all(axis=0)))
