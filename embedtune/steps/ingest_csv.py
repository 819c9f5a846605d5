"""Step 2: a CSV becomes validated rows."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.progress import note
from embedtune.records.csv_options import CSVOptions
from embedtune.records.ingest import check_arguments
from embedtune.records.ingest import ingest_csv as ingest
from embedtune.records.report import IngestReport
from embedtune.steps.running import step
from embedtune.storage.locations import parse_location
from embedtune.storage.sources import local_copy


@dataclass(frozen=True)
class IngestCSVConfig:
    """Configuration of the step."""

    uri: str
    """Where the CSV is: a path, file://, s3://, minio:// or http(s)://."""
    version: str = ""
    """Version of the source as the resolve_data step found it; '' takes what is there."""
    layout: str = "auto"
    """'labelled' (text,label), 'pairs' (query,document) or 'auto' to detect it."""
    csv_options: str = "{}"
    """JSON object with any of dialect, encoding and header; what is left out is detected."""
    max_bad_share: float = 0.01
    """Largest accepted share of rows that cannot be used, 0 to 1."""

    def __post_init__(self) -> None:
        parse_location(self.uri)
        CSVOptions.from_json(self.csv_options)
        check_arguments(self.layout, self.max_bad_share)


@step
def ingest_csv(config: IngestCSVConfig, rows: Path, quarantine: Path) -> IngestReport:
    """Read, check and store the rows of a CSV.

    Args:
        config: The configuration.
        rows: Parquet file to write.
        quarantine: CSV file to write with the rows that cannot be used, their lines and reasons.

    Raises:
        StorageError: the source is missing, cannot be reached, or is not the given version any more.
        InputError: the source cannot be used; the message says where and what to do.
    """
    options = CSVOptions.from_json(config.csv_options)
    with local_copy(config.uri, config.version) as source:
        report = ingest(source, rows, quarantine, config.layout, options, config.max_bad_share)
    note(report.describe())
    return report
