"""Step 3: rows become Documents, split without a leak, and a page that shows them."""

from collections.abc import Sequence
from pathlib import Path

from embedtune.documents.build import BuildOptions
from embedtune.documents.build import build_documents as build
from embedtune.documents.gallery import draw_gallery
from embedtune.documents.summary import DataSummary
from embedtune.progress import note
from embedtune.records.output import read_reasons
from embedtune.reports.data import DataReport, data_html, data_markdown
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import check_writable, write_text_whole


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


def write_data_page(summary: DataSummary, train: Path, rejected: Sequence[Path], html: Path, markdown: Path) -> None:
    """Write the page of a build, with pictures where the documents are images or meshes; paths as of the step."""
    gallery = draw_gallery(train, summary) if summary.media else None
    report = DataReport(summary, gallery, read_reasons(*rejected))
    write_text_whole(html, data_html(report))
    write_text_whole(markdown, data_markdown(report))
