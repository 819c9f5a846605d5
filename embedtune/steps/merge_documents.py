"""Step 6 of a run over many files: all shards become one set of Documents, by manifest and without copying them."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.documents.build import merge_documents as merge
from embedtune.documents.summary import DataSummary
from embedtune.errors import ConfigError
from embedtune.steps.build_documents import write_data_page
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import check_writable
from embedtune.storage.locations import parse_location


@dataclass(frozen=True)
class MergeDocumentsConfig:
    """Configuration of the step."""

    train_parts: tuple[str, ...]
    """Where the training documents of each file are, in the order of the files."""
    evaluation_parts: tuple[str, ...]
    """Where the queries and index documents of each file are, in the same order."""

    def __post_init__(self) -> None:
        if len(self.train_parts) != len(self.evaluation_parts):
            raise ConfigError(
                f"There are {len(self.train_parts)} training parts and {len(self.evaluation_parts)} evaluation parts. "
                "Give one of each for every file."
            )
        for uri in (*self.train_parts, *self.evaluation_parts):
            parse_location(uri)


@step
def merge_documents(
    config: MergeDocumentsConfig,
    plan: Path,
    train: OutputFolder,
    evaluation: OutputFolder,
    html: OutputFile,
    markdown: OutputFile,
    rejected: tuple[Path, ...] = (),
) -> DataSummary:
    """Write manifests that name the shards where they are, and describe the documents.

    Args:
        config: The configuration.
        plan: Folder that the plan_documents step wrote.
        train: Folder to write the manifest of the training documents to.
        evaluation: Folder to write the manifest of queries and index to.
        html: Data summary page to write.
        markdown: The same as Markdown.
        rejected: Quarantine files of the ingest step; the page tells their reasons.

    Raises:
        StorageError: a part is missing or is not what was planned, or an output cannot be written.
    """
    check_writable(train, evaluation, html, markdown)
    summary = merge(plan, config.train_parts, config.evaluation_parts, train, evaluation)
    write_data_page(summary, train, rejected, html, markdown)
    return summary
