"""The page that shows the documents of a build."""

from collections.abc import Sequence
from pathlib import Path

from embedtune.documents.gallery import draw_gallery
from embedtune.documents.summary import DataSummary
from embedtune.records.output import read_reasons
from embedtune.reports.data import DataReport, data_html, data_markdown
from embedtune.storage.atomic import write_text_whole


def write_data_page(summary: DataSummary, train: Path, rejected: Sequence[Path], html: Path, markdown: Path) -> None:
    """Write the data page, with pictures where the documents are images or meshes.

    Args:
        summary: What the build found.
        train: Folder of the training documents; its shards may be elsewhere.
        rejected: Quarantine files of the ingest step, whose reasons are told.
        html: Page to write.
        markdown: The same as Markdown, without pictures.

    Raises:
        StorageError: a shard or quarantine file is damaged or out of reach, or an output cannot be written.
    """
    report = DataReport(summary, draw_gallery(train, summary), read_reasons(*rejected))
    write_text_whole(html, data_html(report))
    write_text_whole(markdown, data_markdown(report))
