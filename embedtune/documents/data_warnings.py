"""What a person should look at before training on documents."""

import numpy as np

from embedtune.documents.document_set import DocumentSet
from embedtune.documents.row_uses import LeftOut
from embedtune.documents.schema import OFFICIAL_RULE
from embedtune.documents.split import SplitPlan
from embedtune.documents.split_checks import most_connected

LARGE_GROUP_SHARE = 0.5
"""Share of the documents in one group above which a person is warned."""

FEW_QUERIES = 50
"""Fewer queries than this give a wide confidence interval."""

LONE_LABEL_SHARE = 0.1
"""Share of the training documents that are alone with their label above which a person is warned."""

_HELD_SHARE_TOLERANCE = 0.5


def data_warnings(corpus: DocumentSet, plan: SplitPlan, torn: int) -> list[str]:
    """Return what is conspicuous about the documents and how they are related.

    Args:
        corpus: The documents.
        plan: Where they go.
        torn: Judged pairs between training and evaluation.
    """
    warnings = []
    sizes = np.bincount(corpus.groups)
    largest_share = sizes.max() / len(corpus)
    if largest_share > LARGE_GROUP_SHARE:
        warnings.append(
            f"One group of connected rows holds {largest_share:.0%} of the documents (most connected: "
            f"{most_connected(corpus, int(sizes.argmax()))}). If its rows are unrelated, remove what joins them."
        )
    if torn:
        warnings.append(
            f"{torn} of {len(corpus.pairs)} judged pairs are not used: their wrong answer is in training and their "
            "query in the evaluation, or the other way round."
        )
    contents = corpus.units.per_label(plan.train, len(corpus.label_names))
    lone = float(np.mean(contents[corpus.labels[plan.train]] == 1))
    # A document that is relevant to no query of matches or beir is meant to serve as a negative.
    if lone > LONE_LABEL_SHARE and corpus.layout.has_labels:
        warnings.append(
            f"{lone:.0%} of the training documents are alone with their label: they serve as negatives only. Add "
            f"{corpus.contents.plural} with the same labels."
        )
    named = corpus.contents.split_names
    if len(named) == 1 and not corpus.judgments.official:
        warnings.append(
            f"The source has judgments of one split only ({named[0]}), so a part of them is held out, and the numbers "
            "do not compare with published ones."
        )
    mixed = int(np.count_nonzero(corpus.units.mixed[corpus.units.of_document]))
    if mixed and corpus.layout.has_labels:
        warnings.append(
            f"{mixed} documents have a label that another spelling of the same content contradicts. They stay in "
            "training; mend the labels."
        )
    return warnings


def left_out_warnings(left_out: LeftOut, unanswered: int) -> list[str]:
    """Return which judgments are not used although nothing is wrong with them.

    Args:
        left_out: Judgments that are not used.
        unanswered: Queries without any relevant document.
    """
    warnings = []
    if unanswered:
        warnings.append(f"{unanswered} queries are left out, since no document is relevant to them.")
    if left_out.overlapping_judgments:
        warnings.append(
            f"{left_out.overlapping_judgments} training judgments are left out, since their query or document is a "
            "query of the evaluation."
        )
    if left_out.other_judgments:
        warnings.append(f"{left_out.other_judgments} judgments of the split dev are used for neither side.")
    return warnings


def evaluation_warnings(corpus: DocumentSet, plan: SplitPlan, eval_share: float) -> list[str]:
    """Return what limits the evaluation."""
    warnings = []
    queries = int(np.count_nonzero(plan.query))
    if queries < FEW_QUERIES:
        warnings.append(
            f"Only {queries} queries for the evaluation: confidence intervals will be wide. Add rows"
            f"{' or raise eval_share' if eval_share < 1 else ''} to get {FEW_QUERIES} or more."
        )
    held_share = float(np.mean(~plan.train[corpus.judged]))
    if plan.rule != OFFICIAL_RULE and abs(held_share - eval_share) > _HELD_SHARE_TOLERANCE * eval_share:
        warnings.append(
            f"{held_share:.1%} of the documents are held out instead of {eval_share:.1%}: groups are held out whole, "
            "and labels with few texts stay in training."
        )
    return warnings
