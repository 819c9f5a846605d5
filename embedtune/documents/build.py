"""Validated rows become folders of grouped, split Documents, in one process."""

from pathlib import Path

from embedtune.documents.options import BuildOptions as BuildOptions
from embedtune.documents.plan_folder import DocumentsPlan, evaluation_splits, training_splits
from embedtune.documents.planning import make_held_out_plan, make_plan, make_whole_plan
from embedtune.documents.shards.reader import documents_digest
from embedtune.documents.shards.tables import write_manifest, write_shards
from embedtune.documents.summary import SUMMARY_FILE, DataSummary, save_reading, save_split_rule
from embedtune.progress import progress
from embedtune.storage.atomic import atomic_folder


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

    Args:
        rows: Validated rows as `records` writes them.
        folder: Folder of documents to write.
        quarantine: CSV file to write, with the rows that were set aside.
        options: Which share of rows may be set aside.

    Raises:
        InputError: The rows cannot be used.
        StorageError: A file cannot be read or written.
    """
    plan = make_whole_plan(rows, quarantine, options)
    (assignment,) = plan.assignments
    with progress("Writing documents", len(assignment), "documents") as advance, atomic_folder(folder) as part:
        shards = write_shards(rows, assignment, part, training_splits(plan.rows_format), "", advance)
        write_manifest(part, plan.rows_format, shards, plan.train_relevance, "")
    return plan.summary


def hold_out_documents(rows: Path, folder: Path, quarantine: Path, options: BuildOptions) -> DataSummary:
    """Save all documents of validated rows in one folder, of the form of an evaluation folder.

    Args:
        rows: Validated rows as `records` writes them.
        folder: Folder of documents to write, with the splits QUERY and INDEX, and the summary.
        quarantine: CSV file to write, with the rows that were set aside.
        options: The seed, and which share of rows may be set aside.

    Raises:
        InputError: The rows cannot be used, or give nothing to measure.
        StorageError: A file cannot be read or written.
    """
    plan = make_held_out_plan(rows, quarantine, options)
    (assignment,) = plan.assignments
    with progress("Writing documents", len(assignment), "documents") as advance, atomic_folder(folder) as part:
        shards = write_shards(rows, assignment, part, evaluation_splits(plan.rows_format), "", advance)
        write_manifest(part, plan.rows_format, shards, plan.evaluation_relevance, "")
        plan.summary.save(part / SUMMARY_FILE)
    return plan.summary


def write_documents(rows: Path, plan: DocumentsPlan, train: Path, evaluation: Path) -> None:
    """Save the documents of a plan that was made of one rows file.

    Args:
        rows: The rows file.
        plan: What becomes of its rows.
        train: Folder of documents to write.
        evaluation: Folder of documents to write.

    Raises:
        StorageError: A file cannot be read or written.
    """
    (assignment,) = plan.assignments
    with (
        progress("Writing documents", len(assignment), "documents") as advance,
        # The last one opened is put in place first: an evaluation folder never stands beside older training documents.
        atomic_folder(evaluation) as evaluation_folder,
        atomic_folder(train) as train_folder,
    ):
        shards = write_shards(rows, assignment, train_folder, training_splits(plan.rows_format), "", advance)
        write_manifest(train_folder, plan.rows_format, shards, plan.train_relevance, "")
        save_reading(train_folder, plan.summary.reading)
        save_split_rule(train_folder, plan.summary.split_rule)
        digest = documents_digest(train_folder)
        shards = write_shards(rows, assignment, evaluation_folder, evaluation_splits(plan.rows_format), "", advance)
        write_manifest(evaluation_folder, plan.rows_format, shards, plan.evaluation_relevance, digest)
        plan.summary.save(evaluation_folder / SUMMARY_FILE)
