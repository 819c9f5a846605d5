"""Thin component of `embedtune.steps.ingest_csv`."""

from kfp.dsl import Dataset, Metrics, Output

from components.images import data_component


@data_component
def ingest_csv(
    uri: str,
    rows: Output[Dataset],
    quarantine: Output[Dataset],
    counts: Output[Metrics],
    version: str = "",
    layout: str = "auto",
    csv_options: str = "{}",
    max_bad_share: float = 0.01,
    whole: bool = True,
):
    """Read a CSV, or another source of data, into validated rows; what cannot be used is set aside with its reason.

    Args:
        uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.
        rows: Validated rows (parquet).
        quarantine: Rows that were set aside (CSV: line, reason, row).
        counts: Numbers of rows.
        version: Version of the source as resolve_data found it; '' takes what is there.
        layout: What a row of a CSV is: a layout (docs/data.md), or 'auto' to detect it.
        csv_options: JSON object with any of the fields of CSVOptions, such as dialect, header or task.
        max_bad_share: Largest accepted share of rows that cannot be used, 0 to 1.
        whole: Whether this source is all of the data, so that it must hold something to learn from.
    """
    from pathlib import Path

    from embedtune.steps.ingest_csv import IngestCSVConfig
    from embedtune.steps.ingest_csv import ingest_csv as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("ingest_csv")
    config = IngestCSVConfig(
        uri=uri,
        version=version,
        layout=layout,
        csv_options=csv_options,
        max_bad_share=max_bad_share,
        whole=whole,
    )
    report = step(config, Path(rows.path), Path(quarantine.path))
    counts.log_metric("rows", float(report.rows))
    counts.log_metric("bad_rows", float(report.bad_rows))
    rows.metadata.update({"read_as": report.describe(), "notes": report.notes, "warnings": report.warnings})
