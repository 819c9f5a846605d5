"""The numbers and warnings of a finished split."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedtune.documents.corpus import Corpus
from embedtune.documents.split import SplitPlan
from embedtune.documents.split_checks import most_connected
from embedtune.documents.summary import DataSummary, SplitSummary
from embedtune.records.layouts import Layout

LARGE_GROUP_SHARE = 0.5
"""Share of the documents in one group above which a person is warned."""

FEW_QUERIES = 50
"""Fewer queries than this give a wide confidence interval."""

LONE_LABEL_SHARE = 0.1
"""Share of the training documents that are alone with their label above which a person is warned."""

_HELD_SHARE_TOLERANCE = 0.5
_HISTOGRAM_LABELS = 20


@dataclass(frozen=True)
class RowCounts:
    """What became of the rows."""

    rows: int
    """Validated rows read."""
    quarantined: int
    """Rows set aside."""
    duplicates: int
    """Rows merged into an earlier one."""
    examples: tuple[tuple[str, str], ...]
    """The first few usable rows."""


def summarise(corpus: Corpus, plan: SplitPlan, counts: RowCounts, eval_share: float, seed: int) -> DataSummary:
    """Describe documents and their split for a person."""
    largest_share = float(np.bincount(corpus.groups).max() / len(corpus))
    return DataSummary(
        layout=corpus.layout.value,
        rows=counts.rows,
        quarantined=counts.quarantined,
        duplicates=counts.duplicates,
        split_rule=plan.rule.value,
        split_reason=plan.reason,
        eval_share=eval_share,
        seed=seed,
        train=_summarise_split(corpus, plan.train),
        query=_summarise_split(corpus, plan.query),
        index=_summarise_split(corpus, plan.index),
        relevant_per_query=_relevant_per_query(corpus, plan),
        largest_group_share=largest_share,
        label_histogram=_histogram(corpus) if corpus.layout is Layout.LABELLED else (),
        examples=counts.examples,
        warnings=(
            *_data_warnings(corpus, plan, counts, largest_share),
            *_evaluation_warnings(plan, eval_share),
        ),
    )


def _summarise_split(corpus: Corpus, members: npt.NDArray[np.bool_]) -> SplitSummary:
    median, p95 = np.quantile(corpus.words[members], (0.5, 0.95), method="inverted_cdf")
    return SplitSummary(
        documents=int(np.count_nonzero(members)),
        labels=len(np.unique(corpus.labels[members])),
        words_median=int(median),
        words_p95=int(p95),
    )


def _relevant_per_query(corpus: Corpus, plan: SplitPlan) -> float:
    if corpus.layout is Layout.PAIRS:
        return float(np.count_nonzero(plan.query[corpus.pairs[:, 0]]) / np.count_nonzero(plan.query))
    per_label = np.bincount(corpus.labels[plan.index], minlength=len(corpus.label_names))
    return float(per_label[corpus.labels[plan.query]].mean())


def _histogram(corpus: Corpus) -> tuple[tuple[str, int], ...]:
    counts = np.bincount(corpus.labels)
    # One at a time: some have as many labels as rows. Ties are ordered by first sight.
    top = np.argsort(-counts, kind="stable")[:_HISTOGRAM_LABELS]
    return tuple((corpus.label_names[label].as_py(), int(counts[label])) for label in top.tolist())


def _data_warnings(corpus: Corpus, plan: SplitPlan, counts: RowCounts, largest_share: float) -> list[str]:
    warnings = []
    if counts.quarantined > 0:
        warnings.append(f"{counts.quarantined} of {counts.rows} rows were set aside; see the quarantine file.")
    if largest_share > LARGE_GROUP_SHARE:
        warnings.append(
            f"One group of connected rows holds {largest_share:.0%} of the documents (most connected: "
            f"{most_connected(corpus)}). If its rows are unrelated, remove what joins them."
        )
    texts = corpus.units.per_label(plan.train, len(corpus.label_names))
    lone = float(np.mean(texts[corpus.labels[plan.train]] == 1))
    if lone > LONE_LABEL_SHARE:
        warnings.append(
            f"{lone:.0%} of the training documents are alone with their label: they serve as negatives only. Add texts "
            "with the same labels."
        )
    return warnings


def _evaluation_warnings(plan: SplitPlan, eval_share: float) -> list[str]:
    warnings = []
    queries = int(np.count_nonzero(plan.query))
    if queries < FEW_QUERIES:
        warnings.append(
            f"Only {queries} queries for the evaluation: confidence intervals will be wide. Add rows or raise "
            f"eval_share to get {FEW_QUERIES} or more."
        )
    held_share = float(np.mean(~plan.train))
    if abs(held_share - eval_share) > _HELD_SHARE_TOLERANCE * eval_share:
        warnings.append(
            f"{held_share:.1%} of the documents are held out instead of {eval_share:.1%}: groups are held out whole, "
            "and labels with few texts stay in training."
        )
    return warnings
