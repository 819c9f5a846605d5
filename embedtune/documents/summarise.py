"""The numbers of a finished split, and the sizes of images and meshes."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.layouts import Modality
from embedtune.records.rows import (
    DIGEST_SUFFIX,
    POINT_BYTES,
    SIZE_SUFFIX,
    IngestReport,
    RowsFormat,
    iter_rows,
    read_format,
)

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


_BATCH_ROWS = {True: 10_000, False: 64}
"""Rows in memory at a time: of sizes, and of images and meshes."""
_SHAPES = 5

_Size = tuple[int, ...]
"""Bytes, and width and height of an image or number of points of a mesh, which lack where it cannot be read."""


def measure_media(files: Sequence[Path], rows: int) -> tuple[MediaSummary, ...]:
    """Tell of each modality that is not text how large all different contents of rows files, which are loaded, are.

    Where a file does not hold the sizes, the headers of its images are read. The number of rows is for the progress.
    """
    rows_format = read_format(files[0])
    sizes: dict[Modality, list[_Size]] = {modality: [] for modality in rows_format.media.values()}
    with progress("Measuring contents", rows * len(rows_format.modalities), "contents") as advance:
        for modality, size in _distinct_sizes(files, rows_format):
            sizes[modality].append(size)
            advance(1)
    return tuple(_summarise(modality, found) for modality, found in sizes.items())


def _distinct_sizes(files: Sequence[Path], rows_format: RowsFormat) -> Iterator[tuple[Modality, _Size]]:
    columns = rows_format.media
    seen: set[bytes] = set()
    for path in files:
        measured = read_format(path).measured
        suffix = SIZE_SUFFIX if measured else ""
        names = [part for name in columns for part in (name + suffix, name + DIGEST_SUFFIX)]
        for batch in iter_rows(path, names, _BATCH_ROWS[measured]):
            for name, modality in columns.items():
                digests = batch.column(name + DIGEST_SUFFIX).to_pylist()
                for digest, found in zip(map(bytes.fromhex, digests), batch.column(name + suffix), strict=True):
                    if digest not in seen:
                        seen.add(digest)
                        yield modality, tuple(found.as_py()) if measured else _size(modality, found.as_py())


def _size(modality: Modality, content: bytes) -> _Size:
    if modality is Modality.MESH:
        return len(content), len(content) // POINT_BYTES
    # Pillow takes time to import, and data without images do not need it.
    from embedtune.media.images import open_image
    from embedtune.media.limits import DEFAULT_IMAGE_LIMITS

    try:
        return len(content), *open_image(content, DEFAULT_IMAGE_LIMITS).size
    except InputError:
        return (len(content),)


def _summarise(modality: Modality, sizes: Sequence[_Size]) -> MediaSummary:
    shapes = [shape for _, *shape in sizes if shape]
    most = sorted(Counter(map(tuple, shapes)).items(), key=lambda entry: (-entry[1], entry[0]))[:_SHAPES]
    return MediaSummary(
        modality=modality.value,
        contents=len(sizes),
        unreadable=len(sizes) - len(shapes),
        bytes_histogram=power_histogram([size[0] for size in sizes]),
        size_histogram=power_histogram([max(shape) for shape in shapes]),
        shapes=tuple((" × ".join(f"{side:,}" for side in shape), count) for shape, count in most),
    )


def power_histogram(values: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (power of two, how many values have at most that, but more than half of it), without empty ends."""
    if not values:
        return ()
    exponents = np.ceil(np.log2(np.maximum(np.asarray(values), 1))).astype(np.int64)
    first = int(exponents.min())
    return tuple((2 ** (first + place), count) for place, count in enumerate(np.bincount(exponents - first).tolist()))
