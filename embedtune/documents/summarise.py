"""The numbers of a finished split."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedtune.documents.data_warnings import (
    content_warnings,
    count_long,
    data_warnings,
    evaluation_warnings,
    left_out_warnings,
    long_warnings,
)
from embedtune.documents.distinct_contents import Codes, DistinctContents, Flags, distinct
from embedtune.documents.document_set import DocumentSet
from embedtune.documents.row_uses import USABLE, LeftOut, Use, count_reasons
from embedtune.documents.split import NO_RULE, SplitPlan
from embedtune.documents.split_checks import count_shared, most_connected
from embedtune.documents.summary import DataSummary, MediaSummary, SplitSummary
from embedtune.records.layouts import Modality
from embedtune.records.rows import IngestReport

_EXAMPLES = 5
_HISTOGRAM_BARS = 20
_LARGEST_GROUPS = 5


@dataclass(frozen=True, eq=False)
class RowOutcome:
    """What became of the R rows."""

    faults: Codes
    """As `row_uses.find_faults` returned them (R,)."""
    uses: Codes
    """What each row is used for: Use (R,)."""
    left_out: LeftOut
    media: tuple[MediaSummary, ...]
    """How large the images and meshes are."""
    reading: IngestReport | None
    """How the rows were read."""


def summarise(corpus: DocumentSet, plan: SplitPlan, rows: RowOutcome, eval_share: float, seed: int) -> DataSummary:
    """Describe documents and their split for a person."""
    plain = not corpus.layout.is_trainable
    held = plan.query | plan.index
    long = count_long(corpus)
    used = int(np.count_nonzero(rows.uses >= Use.OPEN))
    return DataSummary(
        layout=corpus.layout.value,
        rows=len(rows.faults),
        quarantined=int(np.count_nonzero(rows.faults)),
        duplicates=used - (len(corpus.pairs) if corpus.contents.has_pairs else len(corpus)),
        split_rule=str(plan.rule),
        split_reason=plan.reason,
        eval_share=eval_share,
        seed=seed,
        train=_summarise_training(corpus, plan),
        query=_summarise_split(corpus, plan.query),
        index=_summarise_split(corpus, plan.index),
        relevant_per_query=_relevant_per_query(corpus, plan),
        largest_group_share=0.0 if plain else float(np.bincount(corpus.groups).max() / len(corpus)),
        label_histogram=_labels(corpus) if corpus.layout.has_labels else (),
        examples=_examples(corpus.contents, rows.faults),
        warnings=(*_warnings(corpus, plan, rows, eval_share), *long_warnings(int(_texts(corpus).sum()), *long)),
        modalities=tuple(modality.value for modality in corpus.contents.rows_format.modalities),
        length_histogram=_lengths(corpus),
        largest_groups=() if plain else _groups(corpus),
        compared_contents=len(distinct(corpus.keys[held])[0]),
        shared_contents=count_shared(corpus, plan.train, held),
        gain_histogram=_gains(corpus, plan),
        torn_judgments=_torn(corpus, plan),
        unanswered_queries=_unanswered(corpus, plan, rows.left_out),
        overlapping_judgments=rows.left_out.overlapping_judgments,
        other_judgments=rows.left_out.other_judgments,
        set_aside=count_reasons(corpus.contents, rows.faults),
        media=rows.media,
        long_texts=long[0],
        alike_texts=long[1],
        reading=rows.reading,
    )


def _summarise_training(corpus: DocumentSet, plan: SplitPlan) -> SplitSummary:
    found = _summarise_split(corpus, plan.train)
    if not corpus.layout.is_trainable:
        return dataclasses.replace(found, labels=0)
    if corpus.layout.has_parents:
        return dataclasses.replace(found, documents=int(np.count_nonzero(plan.train_pairs)))
    return found


def _summarise_split(corpus: DocumentSet, members: Flags) -> SplitSummary:
    words = corpus.words[members & _texts(corpus)]
    median, p95 = np.quantile(words, (0.5, 0.95), method="inverted_cdf") if words.size else (0, 0)
    return SplitSummary(
        documents=int(np.count_nonzero(members)),
        labels=len(distinct(corpus.labels[members])[0]),
        words_median=int(median),
        words_p95=int(p95),
    )


def _texts(corpus: DocumentSet) -> Flags:
    """Tell which documents are texts (D,)."""
    are_texts = np.array([modality is Modality.TEXT for modality in corpus.contents.rows_format.modalities])
    texts: Flags = are_texts[corpus.homes % 2]
    return texts


def _relevant_per_query(corpus: DocumentSet, plan: SplitPlan) -> float:
    queries = int(np.count_nonzero(plan.query))
    if queries == 0:
        return 0.0
    if corpus.contents.has_pairs:
        return float(np.count_nonzero(plan.evaluation_pairs & (corpus.judgments.gains > 0)) / queries)
    per_label = np.bincount(corpus.labels[plan.index], minlength=len(corpus.label_names))
    return float(per_label[corpus.labels[plan.query]].mean())


def _examples(contents: DistinctContents, faults: Codes) -> tuple[tuple[str, str], ...]:
    rows = (contents.row(number) for number in np.flatnonzero(faults == USABLE)[:_EXAMPLES].tolist())
    return tuple((cells[0], cells[1] if contents.layout.is_trainable else "") for cells in rows)


def _labels(corpus: DocumentSet) -> tuple[tuple[str, int], ...]:
    counts = np.bincount(corpus.labels)
    # One at a time: some have as many labels as rows. Ties are ordered by first sight.
    top = np.argsort(-counts, kind="stable")[:_HISTOGRAM_BARS]
    return tuple((corpus.label_names[label].as_py(), int(counts[label])) for label in top.tolist())


def _lengths(corpus: DocumentSet) -> tuple[tuple[int, int], ...]:
    words = corpus.words[_texts(corpus)]
    exponents = np.ceil(np.log2(np.maximum(words, 1))).astype(np.int64)
    return tuple((2**exponent, count) for exponent, count in enumerate(np.bincount(exponents).tolist()))


def _groups(corpus: DocumentSet) -> tuple[tuple[str, int], ...]:
    sizes = np.bincount(corpus.groups)
    top = np.argsort(-sizes, kind="stable")[:_LARGEST_GROUPS].tolist()
    return tuple((most_connected(corpus, group), int(sizes[group])) for group in top if sizes[group] > 1)


def _gains(corpus: DocumentSet, plan: SplitPlan) -> tuple[tuple[float, int], ...]:
    gains = corpus.judgments.gains[plan.train_pairs | plan.evaluation_pairs].astype(np.float64)
    if corpus.layout.has_scores:
        gains = gains.round(1)
    values, counts = np.unique(gains, return_counts=True)
    most = np.sort(np.argsort(-counts, kind="stable")[:_HISTOGRAM_BARS])
    return tuple(zip(values[most].tolist(), counts[most].tolist(), strict=True))


def _torn(corpus: DocumentSet, plan: SplitPlan) -> int:
    """Count the judged pairs between training and what is held out."""
    trained = plan.train[corpus.pairs]
    return 0 if corpus.judgments.official else int(np.count_nonzero(trained[:, 0] != trained[:, 1]))


def _unanswered(corpus: DocumentSet, plan: SplitPlan, left_out: LeftOut) -> int:
    """Count the queries without a relevant document, with those of held-out scored pairs."""
    asking = np.zeros(len(corpus), np.bool_)
    asking[corpus.pairs[:, 0]] = True
    return left_out.unanswered_queries + int(np.count_nonzero(asking & ~plan.train & ~plan.query))


def _warnings(corpus: DocumentSet, plan: SplitPlan, rows: RowOutcome, eval_share: float) -> Iterator[str]:
    if rows.reading is not None:
        yield from rows.reading.warnings
    if aside := np.count_nonzero(rows.faults):
        yield f"{aside} of {len(rows.faults)} rows were set aside; see the quarantine file."
    yield from content_warnings(corpus.contents)
    if corpus.layout.is_trainable:
        if plan.train.any():
            yield from data_warnings(corpus, plan, _torn(corpus, plan))
        yield from left_out_warnings(rows.left_out, _unanswered(corpus, plan, rows.left_out))
    if plan.rule != NO_RULE:
        yield from evaluation_warnings(corpus, plan, eval_share)
