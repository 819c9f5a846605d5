"""What a split must fulfil before anyone trains on it."""

import numpy as np
import numpy.typing as npt

from embedtune.documents.corpus import Corpus
from embedtune.documents.holdout import STRATIFIED_MIN_TEXTS
from embedtune.documents.schema import SplitRule
from embedtune.errors import InputError
from embedtune.records.layouts import Layout
from embedtune.text import excerpt


def most_connected(corpus: Corpus) -> str:
    """Name what joins most of the largest group of connected rows: its most frequent label or most judged text."""
    sizes = np.bincount(corpus.groups)
    members = corpus.groups == int(sizes.argmax())
    if corpus.layout is Layout.LABELLED:
        counts = np.bincount(corpus.labels[members])
        label = int(counts.argmax())
        return f"label {excerpt(corpus.label_names[label].as_py())} with {counts[label]} documents"
    degrees = np.bincount(corpus.pairs.ravel(), minlength=len(corpus)) * members
    text = int(degrees.argmax())
    return f"text {excerpt(corpus.texts[text].as_py())} in {degrees[text]} pairs"


def check_groups(corpus: Corpus, rule: SplitRule) -> None:
    """Refuse documents that no split can divide.

    Raises:
        InputError: There is one label only, or one group only while whole groups are to be held out.
    """
    if corpus.layout is Layout.LABELLED and len(corpus.label_names) == 1:
        raise InputError(
            f"All {len(corpus)} documents have the label {excerpt(corpus.label_names[0].as_py())}; at least two labels "
            "are needed to learn what is not relevant. Add rows with other labels."
        )
    if rule is SplitRule.GROUP and int(corpus.groups.max()) == 0:
        advice = {
            Layout.LABELLED: "Use split='stratified', or remove the texts that occur under several labels.",
            Layout.PAIRS: "Remove the texts that pair with unrelated ones, or add unconnected pairs.",
        }
        raise InputError(
            f"All {len(corpus)} documents hang together in one group of connected rows (most connected: "
            f"{most_connected(corpus)}), so none can be held out without training on its relatives. "
            f"{advice[corpus.layout]}"
        )


def check_train(corpus: Corpus, train: npt.NDArray[np.bool_], eval_share: float) -> None:
    """Refuse a training split without both relevant and irrelevant pairs of texts.

    Raises:
        InputError: Fewer than two labels (groups for pairs) have two different texts in training.
    """
    texts = corpus.units.per_label(train, len(corpus.label_names))
    usable = int(np.count_nonzero(texts >= 2))
    if usable >= 2:
        return
    kind = "labels have" if corpus.layout is Layout.LABELLED else "groups of connected pairs have"
    raise InputError(
        f"{usable} {kind} at least two different texts among the {np.count_nonzero(train)} of {len(corpus)} documents "
        f"left for training with eval_share={eval_share}; at least 2 are needed. Add rows, or lower eval_share."
    )


def check_evaluation(
    corpus: Corpus, query: npt.NDArray[np.bool_], index: npt.NDArray[np.bool_], eval_share: float
) -> None:
    """Refuse an evaluation split that measures nothing.

    Raises:
        InputError: There is no query, or all of the index is relevant to every query.
    """
    labels = len(np.unique(corpus.labels[index]))
    queries = int(np.count_nonzero(query))
    if queries >= 1 and labels >= 2:
        return
    if corpus.layout is Layout.LABELLED:
        advice = (
            "A query needs a label with two held-out texts. Raise eval_share, add rows, or use split='group' where "
            f"labels have fewer than {STRATIFIED_MIN_TEXTS} texts."
        )
    else:
        advice = "Raise eval_share or add pairs that are not connected to the others."
    raise InputError(
        f"Holding out eval_share={eval_share} of {len(corpus)} documents gives {queries} queries and an index of "
        f"{np.count_nonzero(index)} documents from {labels} labels or groups; at least 1 query and 2 of these are "
        f"needed. {advice}"
    )


def verify_no_leak(
    corpus: Corpus, train: npt.NDArray[np.bool_], query: npt.NDArray[np.bool_], index: npt.NDArray[np.bool_]
) -> None:
    """Check the promises of a split over all documents.

    Raises:
        RuntimeError: A promise is broken, which is a bug here and not in the data.
    """
    held = query | index
    if not np.array_equal(held, ~train):
        raise RuntimeError("A document is in no split or both in training and evaluation; please report this bug.")
    if _share_keys(corpus, train, held):
        raise RuntimeError("A content is both in training and evaluation; please report this bug.")
    if corpus.layout is Layout.LABELLED and _share_keys(corpus, query, index):
        raise RuntimeError("A query has its own content in the index; please report this bug.")
    if corpus.layout is Layout.PAIRS and len(np.unique(corpus.keys)) < len(corpus):
        raise RuntimeError("A content of pairs is in two documents; please report this bug.")
    sides = held[corpus.pairs]
    if not np.array_equal(sides[:, 0], sides[:, 1]):
        raise RuntimeError("A judged pair is torn between training and evaluation; please report this bug.")


def _share_keys(corpus: Corpus, first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> bool:
    in_first = np.zeros(len(corpus.draws), np.bool_)
    in_first[corpus.keys[first]] = True
    return bool(in_first[corpus.keys[second]].any())
