"""Step 4 of a run over many files: decide over all rows which Documents there are and on which side of the split."""

from pathlib import Path

from embedtune.documents.build import BuildOptions
from embedtune.documents.build import plan_documents as plan_all
from embedtune.documents.summary import DataSummary
from embedtune.progress import note
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import check_writable


@step
def plan_documents(
    config: BuildOptions, rows: tuple[Path, ...], plan: OutputFolder, quarantine: OutputFile
) -> DataSummary:
    """Group and split the rows of all files together, without writing Documents.

    Args:
        config: The configuration.
        rows: Parquet files of validated rows, in the order of the sources.
        plan: Folder to write: which Documents each of the files becomes.
        quarantine: CSV file to write with the rows that contradict each other.

    Raises:
        InputError: no leak-free split is possible, or too many rows contradict each other.
        StorageError: an input cannot be read or an output cannot be written.
    """
    check_writable(plan, quarantine)
    summary = plan_all(rows, plan, quarantine, config)
    for warning in summary.warnings:
        note(warning)
    return summary
