"""Step 3: rows become Documents, split without a leak, and a page that shows them."""

from pathlib import Path

from embedtune.documents.build import BuildOptions
from embedtune.documents.build import build_documents as build
from embedtune.documents.summary import DataSummary
from embedtune.progress import note
from embedtune.steps.data_page import write_data_page
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import check_writable


@step
def build_documents(
    config: BuildOptions,
    rows: Path,
    train: OutputFolder,
    evaluation: OutputFolder,
    quarantine: OutputFile,
    html: OutputFile,
    markdown: OutputFile,
    rejected: tuple[Path, ...] = (),
) -> DataSummary:
    """Group, split and store the documents, and describe them.

    Args:
        config: The configuration.
        rows: Parquet file of validated rows.
        train: Folder to write the training documents to.
        evaluation: Folder to write queries and index to.
        quarantine: CSV file to write with the rows whose label is contradicted by another row.
        html: Data summary page to write.
        markdown: The same as Markdown.
        rejected: Quarantine files of the ingest step; the page tells their reasons.

    Raises:
        InputError: no leak-free split is possible, or too many rows contradict each other.
        StorageError: an output cannot be written.
    """
    check_writable(train, evaluation, quarantine, html, markdown)
    summary = build(rows, train, evaluation, quarantine, config)
    write_data_page(summary, train, rejected, html, markdown)
    for warning in summary.warnings:
        note(warning)
    return summary
