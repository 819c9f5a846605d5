"""Further data that nobody built yet, such as a table of today's queries: read as a run's data, all of it held out."""

import json
from pathlib import Path

from embedtune.documents.build import BuildOptions, hold_out_documents
from embedtune.errors import InputError
from embedtune.progress import note
from embedtune.records.output import SET_OPTIONS, read_reasons, without_options, without_place
from embedtune.steps.ingest_csv import IngestCSVConfig, read_opened
from embedtune.storage.opening import LocalSource

_ADVICE = (
    "What evaluations hold is detected, and at most 1 % of their rows may be bad. Give a table a header with known "
    "names, such as query,document or text,label; embedtune summary shows what is read."
)


def hold_out_source(name: str, address: str, source: LocalSource, scratch: Path, loads: bool) -> Path:
    """Read a source, hold out all of it, and return the folder of its queries and index.

    Args:
        name: What the evaluation is called.
        address: Where it is.
        source: Its files.
        scratch: Folder to write to.
        loads: Whether images and meshes are loaded, and not only their addresses kept.

    Raises:
        InputError: it cannot be read, or gives nothing to measure; the message says why and what to do.
        StorageError: the disk is full.
    """
    rows, rejected, aside, folder = (scratch / part for part in ("rows.parquet", "bad.csv", "aside.csv", "evaluation"))
    options = json.dumps({"convert_to_blob": loads, "create_point_clouds": loads})
    try:
        config = IngestCSVConfig(address, csv_options=options, whole=False)
        report = read_opened(source, config, rows, rejected, _tell_nobody)
        summary = hold_out_documents(rows, folder, aside, BuildOptions())
    except InputError as error:
        told = without_options(without_place(error, rejected, aside), SET_OPTIONS)
        raise InputError(f"Evaluation {name!r} at {address} cannot be measured on. {told} {_ADVICE}") from error
    if loads:
        left_out = (f"{count} rows are left out: {reason}" for reason, count, _ in read_reasons(rejected, aside))
        for sentence in (report.describe(), *left_out, *summary.warnings):
            note(f"Evaluation {name}: {sentence}")
    return folder


def _tell_nobody(_: str) -> None:
    """Take a sentence that is told of the documents as well."""
