"""The texts to search in: a column of a CSV, or the documents of data that are like those of the training."""

import dataclasses
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.errors import ConfigError, InputError
from embedtune.records.csv_options import CSVOptions
from embedtune.records.kinds import SourceKind, file_kind
from embedtune.records.texts import first_row, read_texts
from embedtune.storage.archives import is_archive
from embedtune.storage.locations import Scheme, parse_location

if TYPE_CHECKING:
    from embedtune.models.card import ModelCard
    from embedtune.records.report import IngestReport

_ALL = 1.0
"""Share of rows that may be set aside: they are counted, and what is left can be searched."""


@dataclass(frozen=True)
class IndexTexts:
    """What is searched in."""

    values: list[str]
    """The texts, in order."""
    description: str
    """What was read and how, in one line."""


def read_index(source: str, column: str, csv_options: str, card: "ModelCard | None") -> IndexTexts:
    """Read the texts to search in.

    A CSV with the columns that the model was trained on, and whatever is no CSV, is read as a run reads it: the
    documents of the rows, each once. Of another CSV one column is read, each row of it or none.

    Args:
        source: File, folder, pattern or address; a dataset.
        column: A name in the first row, or a number from 1, of a CSV; '' leaves it to what was said above.
        csv_options: JSON object with fields of CSVOptions.
        card: The model's, which says how its training data were read; None where it has none.

    Raises:
        ConfigError: an option is not accepted.
        StorageError: there is no such source, or it cannot be read.
        InputError: it holds no texts, or it cannot be told which.
    """
    options = CSVOptions.from_json(csv_options)
    path = _single_csv(source)
    if path is None:
        if column:
            raise ConfigError(
                f"column is {column!r}, which means a column of one CSV, and {source} is none. Leave it out."
            )
        return _read_documents(source, "auto", csv_options)
    trained = None if column or card is None else card.reading
    chosen = None if trained is None else _columns_of(path, options, trained)
    if trained is None or chosen is None:
        texts = read_texts(path, column, options)
        return IndexTexts(texts.values, texts.description)
    return _read_documents(source, trained.layout, json.dumps({"columns": chosen, **_fields(csv_options)}))


def _single_csv(source: str) -> Path | None:
    """Return the path of a source that is one CSV on this machine, None where it is something else."""
    location = parse_location(source)
    path = location.path
    elsewhere = location.scheme is not Scheme.FILE or location.pattern_start is not None
    if elsewhere or path.is_dir() or is_archive(path.name):
        return None
    return path if file_kind(path) is SourceKind.CSV else None


def _fields(csv_options: str) -> dict[str, object]:
    return json.loads(csv_options) if csv_options.strip() else {}


def _columns_of(path: Path, options: CSVOptions, trained: "IngestReport") -> list[str | int] | None:
    """Return which columns of a CSV are those that the model was trained on, None where it has others."""
    facts = trained.csv
    if facts is None or options.columns is not None:
        return None
    first = first_row(path, options)
    if facts.header:
        return list(facts.columns_used) if set(facts.columns_used) <= set(first) else None
    as_wide = len(first) == len(facts.columns)
    return [facts.columns.index(name) + 1 for name in facts.columns_used] if as_wide else None


def _read_documents(source: str, layout: str, csv_options: str) -> IndexTexts:
    """Read data as a run does, and return the documents of its rows."""
    # The data libraries take a second to import; `embedtune --help` must not.
    from embedtune.records.layouts import CONTENT_COLUMNS, Modality
    from embedtune.records.rows import read_rows
    from embedtune.steps.ingest_csv import IngestCSVConfig, read_source

    kept = json.dumps({**_fields(csv_options), "convert_to_blob": False, "create_point_clouds": False})
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        rows = Path(scratch) / "rows.parquet"
        config = IngestCSVConfig(source, "", layout, kept, _ALL, whole=False)
        report = read_source(config, rows, Path(scratch) / "quarantine.csv", _tell_nobody)
        rows_format, table = read_rows(rows)
    column, modality = CONTENT_COLUMNS[rows_format.layout][-1], rows_format.modalities[-1]
    if modality is not Modality.TEXT:
        raise InputError(f"{source} holds documents of kind {modality}; only texts can be searched.")
    texts = list(dict.fromkeys(table[column].to_pylist()))
    told = dataclasses.replace(report, rows=len(texts)).describe().replace(" rows", " documents", 1)
    return IndexTexts(texts, " ".join((f"{source}: {told}", *report.notes, *report.warnings)))


def _tell_nobody(_: str) -> None:
    """Take a sentence that stands in the description as well."""
