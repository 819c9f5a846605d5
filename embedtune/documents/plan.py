"""A plan of documents: which rows become which, in memory and as a folder that several writers can share."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from embedtune.documents.assignment import assign, relevance_table
from embedtune.documents.distinct_contents import fingerprint, read_contents
from embedtune.documents.document_set import DocumentSet, build_document_set
from embedtune.documents.row_uses import USABLE, decide_uses, declared_uses, find_faults, set_aside
from embedtune.documents.schema import BuildOptions, Split, SplitRule
from embedtune.documents.split import SplitPlan, all_held_out, all_in_training, split_documents
from embedtune.documents.summarise import RowOutcome, measure_media, summarise
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import InputError, StorageError
from embedtune.manifests import parse_as
from embedtune.progress import progress
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, merge_reports, read_report
from embedtune.storage.atomic import atomic_folder
from embedtune.storage.errors import reading

PLAN_FILE = "plan.json"

_FORMAT = "embedtune.plan"
_VERSION = 1
_TRAIN_RELEVANCE = "train-relevance.parquet"
_EVALUATION_RELEVANCE = "evaluation-relevance.parquet"
_FOOTER_END = 8
"""Bytes at the end of a parquet file: the length of its footer and 'PAR1'."""


@dataclass(frozen=True, eq=False)
class DocumentsPlan:
    """What becomes of the rows of F rows files."""

    rows_format: RowsFormat
    assignments: tuple[pa.Table, ...]
    """Which rows become Documents, for each rows file (F,): ASSIGNMENT_SCHEMA."""
    train_relevance: pa.Table | None
    """Judged pairs of the training folder with RELEVANCE_SCHEMA, or None."""
    evaluation_relevance: pa.Table | None
    """Judged pairs of the evaluation folder, or None."""
    summary: DataSummary


@dataclass(frozen=True)
class PlannedFile:
    """One rows file of a plan."""

    fingerprint: str
    """What `rows_fingerprint` returned for it."""
    documents: dict[str, int]
    """Number of Documents that are made of its rows, by the name of their Split."""


@dataclass(frozen=True)
class PlanHeader:
    """What a plan folder says about itself."""

    layout: Layout
    modalities: tuple[Modality, ...]
    loaded: bool
    files: tuple[PlannedFile, ...]
    """The rows files, in order."""

    @property
    def rows_format(self) -> RowsFormat:
        """What the rows hold."""
        return RowsFormat(self.layout, self.modalities, self.loaded)


def training_splits(rows_format: RowsFormat) -> tuple[Split, ...]:
    """Return the splits of the training folder."""
    return (Split.TRAIN,) if rows_format.layout.is_trainable else (Split.CORPUS,)


def evaluation_splits(rows_format: RowsFormat) -> tuple[Split, ...]:
    """Return the splits of the evaluation folder."""
    return (Split.QUERY, Split.INDEX) if rows_format.layout.is_trainable else ()


def rows_fingerprint(path: Path) -> str:
    """Return what tells one rows file from another without reading it all: the SHA-256 of its parquet footer.

    The footer holds the number of rows, and of each column the place, the size, the least and the greatest value.
    """
    with reading(path, "Give a rows file of the ingest step."), path.open("rb") as file:
        end = file.seek(0, 2)
        file.seek(max(end - _FOOTER_END, 0))
        length = int.from_bytes(file.read(4), "little")
        file.seek(max(end - _FOOTER_END - length, 0))
        return hashlib.sha256(file.read()).hexdigest()


def save_plan(folder: Path, plan: DocumentsPlan, rows: Sequence[Path]) -> None:
    """Write the plan of F rows files to a folder, whole or not at all."""
    files = tuple(
        PlannedFile(rows_fingerprint(path), _count_splits(assignment))
        for path, assignment in zip(rows, plan.assignments, strict=True)
    )
    kind = plan.rows_format
    header = PlanHeader(kind.layout, kind.modalities, kind.loaded, files)
    head = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(header)}
    with atomic_folder(folder) as part:
        for number, assignment in enumerate(plan.assignments):
            pq.write_table(assignment, part / _assignment_name(number), compression="zstd")
        for name, table in (
            (_TRAIN_RELEVANCE, plan.train_relevance),
            (_EVALUATION_RELEVANCE, plan.evaluation_relevance),
        ):
            if table is not None:
                pq.write_table(table, part / name, compression="zstd")
        plan.summary.save(part / SUMMARY_FILE)
        (part / PLAN_FILE).write_text(json.dumps(head, indent=2), encoding="utf-8")


def _assignment_name(number: int) -> str:
    return f"assignment-{number:05}.parquet"


def _count_splits(assignment: pa.Table) -> dict[str, int]:
    counts = pc.value_counts(assignment["split"].combine_chunks())
    return {entry["values"]: entry["counts"] for entry in counts.to_pylist()}


def read_header(folder: Path) -> PlanHeader:
    """Read what a plan folder says about itself."""
    path = folder / PLAN_FILE
    try:
        return parse_as(PlanHeader, path.read_bytes(), _FORMAT, _VERSION)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path} cannot be read as a plan of documents of this version ({error}). Plan the documents again."
        ) from error


def read_assignment(folder: Path, number: int) -> pa.Table:
    """Read the assignment of one rows file of a plan folder, by its number from 0."""
    return _read(folder / _assignment_name(number))


def read_plan_relevance(folder: Path) -> tuple[pa.Table | None, pa.Table | None]:
    """Read the judged pairs of training and of evaluation, None where the layout has none."""
    paths = folder / _TRAIN_RELEVANCE, folder / _EVALUATION_RELEVANCE
    train, evaluation = (_read(path) if path.exists() else None for path in paths)
    return train, evaluation


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{path} is missing or damaged. Plan the documents again.") from error


def make_plan(files: Sequence[Path], quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Group and split the documents of validated rows; how the rows are divided into files makes no difference.

    The quarantine file is written also where too many rows are in it. For the rest see `build.plan_documents`.
    """
    corpus, outcome = _load_corpus(files, quarantine, options)
    return _plan(corpus, split_documents(corpus, SplitRule(options.split), options.eval_share), outcome, options)


def make_trial_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Do the same to look at the documents of one rows file; if it allows no split, all documents are for training."""
    corpus, outcome = _load_corpus([rows], quarantine, options)
    try:
        return _plan(corpus, split_documents(corpus, SplitRule(options.split), options.eval_share), outcome, options)
    except InputError:
        nothing_held_out = all_in_training(corpus, "These documents cannot be split, so nothing is held out.")
        return _plan(corpus, nothing_held_out, outcome, options)


def make_whole_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Put all documents of one rows file into the training folder, those that nobody judged, too; hold nothing out."""
    # Whatever split the source has, each of its judgments is kept, with its split.
    corpus, outcome = _load_corpus([rows], quarantine, replace(options, split=SplitRule.GROUP.value))
    everything = np.ones(len(corpus), np.bool_)
    split = replace(all_in_training(corpus, "Nothing is held out."), train=everything)
    plan = _plan(corpus, split, outcome, options)
    if not corpus.layout.has_roles:
        return plan
    return replace(plan, train_relevance=relevance_table(corpus, split.train_pairs, divided=True))


def make_held_out_plan(rows: Path, quarantine: Path, options: BuildOptions) -> DocumentsPlan:
    """Put all documents of one rows file into the evaluation folder; see `split.all_held_out`."""
    corpus, outcome = _load_corpus([rows], quarantine, replace(options, split=SplitRule.AUTO.value))
    return _plan(corpus, all_held_out(corpus), outcome, options, 1.0)


def _plan(
    corpus: DocumentSet, split: SplitPlan, rows: RowOutcome, options: BuildOptions, eval_share: float | None = None
) -> DocumentsPlan:
    has_training_pairs = corpus.layout.has_roles
    share = options.eval_share if eval_share is None else eval_share
    return DocumentsPlan(
        rows_format=corpus.contents.rows_format,
        assignments=assign(corpus, split),
        train_relevance=relevance_table(corpus, split.train_pairs) if has_training_pairs else None,
        evaluation_relevance=relevance_table(corpus, split.evaluation_pairs),
        summary=summarise(corpus, split, rows, share, options.seed),
    )


def _load_corpus(files: Sequence[Path], quarantine: Path, options: BuildOptions) -> tuple[DocumentSet, RowOutcome]:
    contents = read_contents(files)
    rows_format = contents.rows_format
    with progress("Reading contents", len(contents.values), "contents") as advance:
        prints = fingerprint(contents.values, contents.texts, rows_format.loaded, options.seed, advance)
    declared = declared_uses(contents, options.split == SplitRule.AUTO)
    faults = find_faults(contents, prints, declared)
    set_aside(quarantine, contents, faults, options.max_bad_share)
    uses, left_out = decide_uses(contents, prints.keys, declared, faults == USABLE)
    corpus = build_document_set(contents, prints, uses)
    read = [report for report in map(read_report, files) if report is not None]
    media = measure_media(files, len(faults)) if rows_format.loaded and rows_format.media else ()
    return corpus, RowOutcome(faults, uses, left_out, media, merge_reports(read))
