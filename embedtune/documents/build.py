"""Validated rows become folders of grouped, split Documents: at once, or many rows files planned together.

`plan_documents` reads the texts and digests of all rows, `build_shard` one rows file with its contents, and
`merge_documents` only the lists of what was written. The result holds the Documents that `build_documents` makes of
the rows of all files behind one another.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from embedtune.documents.plan import (
    DocumentsPlan,
    PlannedFile,
    evaluation_splits,
    make_held_out_plan,
    make_plan,
    make_whole_plan,
    read_assignment,
    read_header,
    read_plan_relevance,
    rows_fingerprint,
    save_plan,
    training_splits,
)
from embedtune.documents.schema import BuildOptions as BuildOptions
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import Shard, read_part
from embedtune.documents.shards.tables import write_manifest, write_part, write_shards
from embedtune.documents.summary import SUMMARY_FILE, DataSummary, save_reading, save_split_rule
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.rows import RowsFormat
from embedtune.storage.atomic import atomic_folder

_Relevance = tuple[pa.Table | None, pa.Table | None]
"""Judged pairs of training and of evaluation, None where the layout has none."""


def build_documents(rows: Path, train: Path, evaluation: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Group, split and save the documents of validated rows.

    Each output appears whole or not at all; the quarantine file also where too many rows are in it.

    Args:
        rows: Validated rows as `records` writes them.
        train: Folder of documents to write, with the split TRAIN, or CORPUS for plain texts.
        evaluation: Folder of documents to write, with the splits QUERY and INDEX, the summary and the digest of
            `train`, so that a model is judged only on what was held out from its own training.
        quarantine: CSV file to write, with the rows that were set aside.
        options: How to split.

    Raises:
        InputError: The rows cannot be used or split.
        ConfigError: The split is not one for this layout.
        StorageError: A file cannot be read or written.
    """
    plan = make_plan([rows], quarantine, options)
    write_documents(rows, plan, train, evaluation)
    return plan.summary


def collect_documents(rows: Path, folder: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Save all documents of validated rows in one folder, of the form of a training folder; nothing is held out.

    Of the options, only the share of rows that may be set aside counts. For the rest see `build_documents`.
    """
    plan = make_whole_plan(rows, quarantine, options)
    with atomic_folder(folder) as part:
        (shards,) = _write(rows, plan.assignments[0], {part: training_splits(plan.rows_format)}, "")
        write_manifest(part, plan.rows_format, shards, plan.train_relevance, "")
    return plan.summary


def hold_out_documents(rows: Path, folder: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Save all documents of validated rows in one folder, of the form of an evaluation folder, with the summary.

    Of the options, only the seed and the share of rows that may be set aside count. Rows that give nothing to measure
    are an InputError. For the rest see `build_documents`.
    """
    plan = make_held_out_plan(rows, quarantine, options)
    with atomic_folder(folder) as part:
        (shards,) = _write(rows, plan.assignments[0], {part: evaluation_splits(plan.rows_format)}, "")
        write_manifest(part, plan.rows_format, shards, plan.evaluation_relevance, "")
        plan.summary.save(part / SUMMARY_FILE)
    return plan.summary


def write_documents(rows: Path, plan: DocumentsPlan, train: Path, evaluation: Path) -> None:
    """Save the documents of a plan that was made of one rows file; folders and errors as of `build_documents`."""
    (assignment,) = plan.assignments
    with _both_folders(train, evaluation) as folders:
        shards = _write(rows, assignment, _splits_of(folders, plan.rows_format), "")
        _complete(folders, plan.rows_format, shards, (plan.train_relevance, plan.evaluation_relevance), plan.summary)


def plan_documents(rows: Sequence[Path], plan: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Decide which rows of several files become which Documents.

    Args:
        rows: Rows files as `records` writes them, all of one layout, in order.
        plan: Folder to write the plan to.
        quarantine: CSV file to write, with the rows that were set aside.
        options: How to split.

    Raises:
        InputError: The rows cannot be used or split, or the files hold rows of different kinds.
        ConfigError, StorageError: as of `build_documents`.
    """
    made = make_plan(rows, quarantine, options)
    save_plan(plan, made, rows)
    return made.summary


def build_shard(rows: Path, plan: Path, number: int, train: Path, evaluation: Path) -> None:
    """Write the Documents of one rows file of a plan: a part of the training folder and one of the evaluation folder.

    Args:
        rows: The rows file.
        plan: Folder that `plan_documents` wrote.
        number: Number of the rows file in the plan, from 0.
        train: Folder to write.
        evaluation: Folder to write.

    Raises:
        InputError: The plan was made for another rows file.
        StorageError: A file cannot be read or written.
    """
    header = read_header(plan)
    if not 0 <= number < len(header.files):
        raise InputError(f"number={number}; the plan {plan} has the rows files 0 to {len(header.files) - 1}.")
    if rows_fingerprint(rows) != header.files[number].fingerprint:
        raise InputError(
            f"{rows} is not the rows file that {plan} was made for as number {number}. Give the files in the order in "
            "which they were planned, or plan the documents again."
        )
    with _both_folders(train, evaluation) as folders:
        splits = _splits_of(folders, header.rows_format)
        written = _write(rows, read_assignment(plan, number), splits, _prefix(number))
        for folder, shards in zip(folders, written, strict=True):
            write_part(folder, shards)


def merge_documents(
    plan: Path, train_parts: Sequence[str], evaluation_parts: Sequence[str], train: Path, evaluation: Path
) -> DataSummary:
    """Make one training and one evaluation folder of the parts, without copying or reading their shards.

    Args:
        plan: Folder that `plan_documents` wrote.
        train_parts: Addresses of the training folders of `build_shard`, in the order of the rows files.
        evaluation_parts: Addresses of its evaluation folders.
        train: Folder to write.
        evaluation: Folder to write.

    Raises:
        InputError: The parts are not those of the plan.
        StorageError: A part is not finished, or a file cannot be read or written.
    """
    header = read_header(plan)
    summary = DataSummary.load(plan / SUMMARY_FILE)
    kind = header.rows_format
    shards = [
        _collect(header.files, train_parts, training_splits(kind)),
        _collect(header.files, evaluation_parts, evaluation_splits(kind)),
    ]
    with _both_folders(train, evaluation) as folders:
        _complete(folders, kind, shards, read_plan_relevance(plan), summary)
    return summary


@contextmanager
def _both_folders(train: Path, evaluation: Path) -> Iterator[tuple[Path, Path]]:
    """Open the folders of training and of evaluation; they appear whole or not at all."""
    # The last one opened is put in place first: an evaluation folder never stands beside older training documents.
    with atomic_folder(evaluation) as evaluation_folder, atomic_folder(train) as train_folder:
        yield train_folder, evaluation_folder


def _splits_of(folders: tuple[Path, Path], rows_format: RowsFormat) -> dict[Path, tuple[Split, ...]]:
    """Return which splits go into which of the two folders."""
    return dict(zip(folders, (training_splits(rows_format), evaluation_splits(rows_format)), strict=True))


def _write(
    rows: Path, assignment: pa.Table, splits: dict[Path, tuple[Split, ...]], prefix: str
) -> list[tuple[Shard, ...]]:
    """Write the Documents of one rows file into each folder, and return the shards of each."""
    # Arrow keeps what planning used and freed: of 50,000 pairs, a ninth of the peak.
    pa.default_memory_pool().release_unused()
    with progress("Writing documents", len(assignment), "documents") as advance:
        return [write_shards(rows, assignment, folder, those, prefix, advance) for folder, those in splits.items()]


def _complete(
    folders: tuple[Path, Path],
    rows_format: RowsFormat,
    shards: Sequence[Sequence[Shard]],
    relevance: _Relevance,
    summary: DataSummary,
) -> None:
    """Complete the folders of training and of evaluation, whose shards are written: here or elsewhere."""
    train, evaluation = folders
    digest = write_manifest(train, rows_format, shards[0], relevance[0], "").digest
    save_reading(train, summary.reading)
    save_split_rule(train, summary.split_rule)
    write_manifest(evaluation, rows_format, shards[1], relevance[1], digest)
    summary.save(evaluation / SUMMARY_FILE)


def _collect(files: Sequence[PlannedFile], parts: Sequence[str], splits: Sequence[Split]) -> list[Shard]:
    """Return the shards of all parts, split by split, each in the order of the rows files."""
    if len(parts) != len(files):
        raise InputError(f"The plan has {len(files)} rows files, but there are {len(parts)} parts; give one for each.")
    shards: list[Shard] = []
    for number, (file, part) in enumerate(zip(files, parts, strict=True)):
        found = read_part(part)
        _check_part(number, part, file, found, splits)
        shards += found
    return [shard for split in splits for shard in shards if shard.split is split]


def _check_part(number: int, part: str, file: PlannedFile, found: Sequence[Shard], splits: Sequence[Split]) -> None:
    documents: Counter[str] = Counter()
    for shard in found:
        documents[shard.split.value] += shard.rows
    expected = {split.value: file.documents[split.value] for split in splits if split.value in file.documents}
    others = [shard.name for shard in found if not shard.name.startswith(f"{shard.split}-{_prefix(number)}")]
    if documents != expected or others:
        raise InputError(
            f"{part} is not the part of rows file {number}: it holds {dict(documents)} documents instead of "
            f"{expected}{f', and {others[0]} of another file' if others else ''}. Give the parts in the order of the "
            "rows files, all written for this plan."
        )


def _prefix(number: int) -> str:
    return f"{number:05}-"
