"""The same documents from many rows files at once: plan them together, write the part of each file, name the parts.

`plan_documents` reads the texts and digests of all rows, `build_shard` one rows file with its contents, and
`merge_documents` only the lists of what was written. The result holds the Documents that `build_documents` makes of
the rows of all files behind one another.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from embedtune.documents.options import BuildOptions
from embedtune.documents.plan_folder import (
    PlannedFile,
    evaluation_splits,
    read_assignment,
    read_header,
    read_plan_relevance,
    rows_fingerprint,
    save_plan,
    training_splits,
)
from embedtune.documents.planning import make_plan
from embedtune.documents.schema import Split
from embedtune.documents.shards.manifest import Shard
from embedtune.documents.shards.reader import documents_digest, read_part
from embedtune.documents.shards.tables import write_manifest, write_part, write_shards
from embedtune.documents.summary import SUMMARY_FILE, DataSummary, save_reading, save_split_rule
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.storage.atomic import atomic_folder


def plan_documents(rows: Sequence[Path], plan: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Decide which rows of several files become which Documents.

    Args:
        rows: Rows files as `records` writes them, all of one layout, in order.
        plan: Folder to write the plan to.
        quarantine: CSV file to write, with the rows that were set aside.
        options: How to split.

    Raises:
        InputError: The rows cannot be used or split, or the files hold rows of different kinds.
        ConfigError: The split is not one for this layout.
        StorageError: A file cannot be read or written.
    """
    made = make_plan(rows, quarantine, options)
    save_plan(plan, made, rows)
    return made.summary


def build_shard(rows: Path, plan: Path, number: int, train: Path, evaluation: Path) -> None:
    """Write the Documents of one rows file of a plan.

    Args:
        rows: The rows file.
        plan: Folder that `plan_documents` wrote.
        number: Number of the rows file in the plan, from 0.
        train: Folder to write, a part of the training folder.
        evaluation: Folder to write, a part of the evaluation folder.

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
    assignment = read_assignment(plan, number)
    prefix = _prefix(number)
    with (
        progress("Writing documents", len(assignment), "documents") as advance,
        atomic_folder(evaluation) as evaluation_folder,
        atomic_folder(train) as train_folder,
    ):
        for folder, splits in (
            (train_folder, training_splits(header.rows_format)),
            (evaluation_folder, evaluation_splits(header.rows_format)),
        ):
            write_part(folder, write_shards(rows, assignment, folder, splits, prefix, advance))


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
    train_shards = _collect(header.files, train_parts, training_splits(header.rows_format))
    evaluation_shards = _collect(header.files, evaluation_parts, evaluation_splits(header.rows_format))
    train_relevance, evaluation_relevance = read_plan_relevance(plan)
    with atomic_folder(evaluation) as evaluation_folder, atomic_folder(train) as train_folder:
        write_manifest(train_folder, header.rows_format, train_shards, train_relevance, "")
        save_reading(train_folder, summary.reading)
        save_split_rule(train_folder, summary.split_rule)
        digest = documents_digest(train_folder)
        write_manifest(evaluation_folder, header.rows_format, evaluation_shards, evaluation_relevance, digest)
        summary.save(evaluation_folder / SUMMARY_FILE)
    return summary


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
