"""The file of validated rows, and the report on how they were read, which it carries to every page that tells of them.

It is parquet, written by the ingest step and read by the build step. Its columns are `line`, `source` where the rows
come from several files, the layout's contents and its values (`records.layouts`). A content of modality text is a
string. A content of another modality is first the address as it stands in the source (string, `RowsFormat.loaded`
False); once loaded (`records.loading`), its column holds bytes (large_binary) and is followed by `<column>_digest`,
`<column>_uri` (string) and `<column>_size` (list of int64: its bytes, and width and height of an image or number of
points of a mesh). Contents that a DocumentArray held have no size, nor have rows that older versions wrote.
Every string is stripped of white space around it and not empty, without NUL; only the query of a BEIR document that
nobody judged is null. The report is JSON in the file's metadata.

What reads a file raises StorageError where it is missing or damaged, InputError where it is not one of rows.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import LINE_COLUMN, NUMBER_COLUMNS, SOURCE_COLUMN, Layout, Modality
from embedtune.text import shown_names

DIGEST_SUFFIX = "_digest"
"""Ending of the column with the SHA-256 of a loaded content (hexadecimal, 64 characters)."""

POINT_DTYPE = np.dtype("<f4")
"""How the coordinates of a loaded mesh are stored, three for each point."""

POINT_BYTES = 3 * POINT_DTYPE.itemsize

URI_SUFFIX = "_uri"
"""Ending of the column with the address that a loaded content came from, as the source names it."""

SIZE_SUFFIX = "_size"
"""Ending of the column with the size of a loaded content: see `loader.Loaded`."""

_READ_BYTES = 1 << 20
_LAYOUT_KEY = b"embedtune.layout"
_MODALITIES_KEY = b"embedtune.modalities"
_REPORT_KEY = b"embedtune.report"
_REPORT_FORMAT = {"format": "embedtune-ingest-report", "version": 1}

_MOST_TOLD = 20
"""Files of which a merged report tells what is their own; thousands would hide everything else."""


@dataclass(frozen=True)
class CSVFacts:
    """How CSV files were read; of several files with different answers, those of the first."""

    dialect: str
    """Key of `csv.options.NAMED_DIALECTS`; where the file is no CSV its format."""
    delimiter: str
    """'' where the file is no CSV."""
    quoting: bool
    """False: quotes were taken literally."""
    skip_blanks: bool
    """True: quoted values may follow blanks after the delimiter."""
    typographic: bool
    """True: “ and ” around a value are quotes too."""
    encoding: str
    """Python's name of the encoding; 'utf-8-sig' is UTF-8 with a byte order mark."""
    header: bool
    """Whether the first row holds names."""
    columns: tuple[str, ...]
    """Names of all columns; 'column 1' and so on where there is no header."""
    columns_used: tuple[str, ...]
    """The columns that were read, in the order of the layout's."""
    detected: tuple[str, ...]
    """Which of layout, modalities, dialect, encoding and header were detected; the others were set."""

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return name and value of each fact."""
        used = ("columns used:", f"{shown_names(self.columns_used, ' and ')} of {len(self.columns)}")
        if not self.delimiter:
            return ("format", self.dialect), used
        notes = "" if self.quoting else ", quotes taken literally"
        notes += ", blanks before quotes skipped" if self.skip_blanks else ""
        notes += ", typographic quotes" if self.typographic else ""
        return (
            ("dialect", f"{self.dialect} (delimiter {self.delimiter!r}{notes}), {self.origin('dialect')}"),
            ("encoding", f"{self.encoding}, {self.origin('encoding')}"),
            ("header", f"{'yes' if self.header else 'no'}, {self.origin('header')}"),
            used,
        )

    def origin(self, name: str) -> str:
        """Say where a fact comes from."""
        return "detected" if name in self.detected else "as set"


@dataclass(frozen=True)
class IngestReport:
    """The outcome of reading a source into validated rows, with everything that was detected."""

    rows: int
    """Validated rows written."""
    bad_rows: int
    """Rows of the source that were set aside."""
    layout: str
    """A Layout."""
    modalities: tuple[str, ...]
    """Modality of each content column, in the order of the layout's."""
    sources: int = 1
    """Files that were read."""
    read_as: str = ""
    """What the source is and how it was read, in a few words, where it is no CSV: 'BEIR folder with a test split'."""
    csv: CSVFacts | None = None
    """How it was read where it is a CSV."""
    notes: tuple[str, ...] = ()
    """What was done that a reader of the rows must know, one sentence each: a repeated header that was set aside."""
    warnings: tuple[str, ...] = ()
    """What a person should look at before training, one sentence each, with what to do about it."""
    files: tuple[tuple[str, int, int], ...] = ()
    """Of each of several CSV files: its name, the records that became rows, and those that were set aside."""
    source: str = ""
    """What the data are called: the last part of their address, which holds no secret."""
    version: str = ""
    """Version of the data as the resolve_data step found it, '' where nobody asked."""

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "IngestReport":
        """Return what `dataclasses.asdict` made JSON of, in this version or another: unknown fields are passed over.

        Raises:
            TypeError: it is no such report.
        """
        known = {entry.name: _frozen(data[entry.name]) for entry in fields(cls) if entry.name in data}
        if known.get("csv") is not None:
            known["csv"] = CSVFacts(**{entry.name: _frozen(known["csv"].get(entry.name)) for entry in fields(CSVFacts)})
        return cls(**known)

    def describe(self) -> str:
        """Return the report in one line."""
        files = "" if self.sources == 1 else f" of {self.sources} files"
        return f"{self.rows} rows{files}, {self.bad_rows} set aside; {self.how()}"

    def how(self) -> str:
        """Return what was detected or set, in one line: everything but the counts."""
        return "; ".join(f"{name} {value}" for name, value in self.facts())

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return name and value of everything that was detected or set."""
        layout, contents = self.layout, " and ".join(dict.fromkeys(self.modalities))
        if self.csv is None:
            told = (("read as", self.read_as),) if self.read_as else ()
            return (("layout", layout), ("contents", contents), *told)
        layout += f", {self.csv.origin('layout')}"
        contents += f", {self.csv.origin('modalities')}"
        return (("layout", layout), ("contents", contents), *self.csv.facts())


@dataclass(frozen=True)
class RowsFormat:
    """What the columns of a rows file hold."""

    layout: Layout
    modalities: tuple[Modality, ...]
    """Of each content column, in the order of the layout's."""
    loaded: bool = True
    """False: contents that are not text are still addresses."""
    several_sources: bool = False
    """Whether there is a column `source`."""
    measured: bool = field(default=False, compare=False)
    """Whether loaded contents that are not text have a column with their size."""

    @property
    def media(self) -> dict[str, Modality]:
        """The columns of contents that are not text, with what these are."""
        contents = zip(self.layout.contents, self.modalities, strict=True)
        return {name: modality for name, modality in contents if modality is not Modality.TEXT}

    @property
    def schema(self) -> pa.Schema:
        """The arrow schema of such a file."""
        fields = [pa.field(LINE_COLUMN, pa.int64(), nullable=False)]
        if self.several_sources:
            fields.append(pa.field(SOURCE_COLUMN, pa.string(), nullable=False))
        for name in self.layout.contents:
            fields += self._content_fields(name)
        for name in self.layout.values:
            kind = pa.float32() if name in NUMBER_COLUMNS else pa.string()
            fields.append(pa.field(name, kind, nullable=False))
        modalities = ",".join(self.modalities).encode()
        return pa.schema(fields, metadata={_LAYOUT_KEY: self.layout.value.encode(), _MODALITIES_KEY: modalities})

    def _content_fields(self, name: str) -> list[pa.Field]:
        if name not in self.media or not self.loaded:
            unjudged = self.layout.has_splits and name == self.layout.contents[0]
            return [pa.field(name, pa.string(), nullable=unjudged)]
        kinds = {"": pa.large_binary(), DIGEST_SUFFIX: pa.string(), URI_SUFFIX: pa.string()}
        if self.measured:
            kinds[SIZE_SUFFIX] = pa.list_(pa.int64())
        return [pa.field(name + suffix, kind, nullable=False) for suffix, kind in kinds.items()]


class RowsWriter:
    """Appends batches of validated rows to a rows file."""

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        """Wrap an open parquet writer; see `open_rows`."""
        self.count = 0  # rows written so far
        self.report: IngestReport | None = None  # how the rows were read, written when the file is closed
        self._writer = writer
        self._schema = schema

    def write(self, columns: Sequence[Sequence[object]]) -> None:
        """Append one batch of equally long columns, given in the order of the schema."""
        self._writer.write_batch(pa.record_batch(list(columns), schema=self._schema))
        self.count += len(columns[0])


@contextmanager
def open_rows(path: Path, rows_format: RowsFormat) -> Iterator[RowsWriter]:
    """Open a new rows file for writing; all but loaded contents, which are compressed already, goes through zstd."""
    schema = rows_format.schema
    contents = [field.name for field in schema if pa.types.is_large_binary(field.type)]
    others = [name for name in schema.names if name not in contents]
    compression = dict.fromkeys(contents, "none") | dict.fromkeys(others, "zstd")
    with pq.ParquetWriter(path, schema, compression=compression, use_dictionary=others) as writer:
        rows = RowsWriter(writer, schema)
        yield rows
        if rows.report is not None:
            text = json.dumps({**_REPORT_FORMAT, **asdict(rows.report)}, ensure_ascii=False)
            writer.add_key_value_metadata({_REPORT_KEY.decode(): text})


def read_report(path: Path) -> IngestReport | None:
    """Return how the rows of a file were read; None where embedtune 0.1 wrote it, which did not say."""
    with _open_parquet(path) as file:
        _format_of(path, file)
        text = (file.metadata.metadata or {}).get(_REPORT_KEY)
    try:
        return None if text is None else IngestReport.of_json(json.loads(text))
    except (ValueError, TypeError, AttributeError) as error:
        raise StorageError(f"{path} does not say how its rows were read. Run the ingest step again.") from error


def is_rows_file(path: Path) -> bool:
    """Tell whether a path is a rows file; where it cannot be read it is not."""
    try:
        metadata = pq.read_schema(path).metadata if path.is_file() else None
    except (OSError, pa.ArrowException):
        return False
    return metadata is not None and _LAYOUT_KEY in metadata


def read_format(path: Path) -> RowsFormat:
    """Return what the columns of a rows file hold."""
    with _open_parquet(path) as file:
        return _format_of(path, file)


def read_rows(path: Path, columns: Sequence[str] | None = None) -> tuple[RowsFormat, pa.Table]:
    """Read a whole rows file, or some columns of it: what the columns hold, and the columns."""
    with _open_parquet(path) as file:
        return _format_of(path, file), file.read(columns)


def iter_rows(path: Path, columns: Sequence[str] | None = None, batch_rows: int = 10_000) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a file in order, `batch_rows` at most at a time."""
    with _open_parquet(path) as file:
        _format_of(path, file)
        yield from file.iter_batches(batch_rows, columns=columns)


@contextmanager
def _open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        # Arrow's own read-ahead would keep the whole file in memory (pyarrow 25: pre_buffer).
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            yield file
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist. Give the rows file that the ingest step wrote.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{path} is damaged or no parquet file. Run the ingest step again.") from error


def _format_of(path: Path, file: pq.ParquetFile) -> RowsFormat:
    schema = file.schema_arrow
    metadata = schema.metadata
    if metadata is None or _LAYOUT_KEY not in metadata or _MODALITIES_KEY not in metadata:
        raise InputError(f"{path} is a parquet file, but not one of validated rows. Give what the ingest step wrote.")
    layout = Layout(metadata[_LAYOUT_KEY].decode())
    modalities = tuple(Modality(name) for name in metadata[_MODALITIES_KEY].decode().split(","))
    found = RowsFormat(layout, modalities, several_sources=SOURCE_COLUMN in schema.names)
    loaded = all(name + DIGEST_SUFFIX in schema.names for name in found.media)
    return replace(found, loaded=loaded, measured=any(name + SIZE_SUFFIX in schema.names for name in found.media))


def merge_reports(reports: Sequence[IngestReport]) -> IngestReport | None:
    """Return one report on files that were read each by itself, None where there is none.

    What differs between the files becomes a note.
    """
    if len(reports) < 2:
        return reports[0] if reports else None
    first = reports[0]
    told = first.how()
    others = [report for report in reports[1:] if report.how() != told]
    notes = [f"{report.source} was read otherwise: {report.how()}." for report in others[:_MOST_TOLD]]
    if len(others) > _MOST_TOLD:
        notes.append(f"{len(others) - _MOST_TOLD} more files were read otherwise than {first.source}.")
    named = [report.source for report in reports]
    return replace(
        first,
        rows=sum(report.rows for report in reports),
        bad_rows=sum(report.bad_rows for report in reports),
        sources=sum(report.sources for report in reports),
        notes=(*_of_files(named, [report.notes for report in reports]), *notes),
        warnings=_of_files(named, [report.warnings for report in reports]),
        files=tuple((report.source, report.rows, report.bad_rows) for report in reports),
        source=f"{first.source} and {len(reports) - 1} more",
        version=first.version if len({report.version for report in reports}) == 1 else "",
    )


def _of_files(names: Sequence[str], sentences: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the sentences of all files with the file's name before each, and how many were left out."""
    found = [f"{name}: {sentence}" for name, told in zip(names, sentences, strict=True) for sentence in told]
    more = (f"{len(found) - _MOST_TOLD} more of other files.",) if len(found) > _MOST_TOLD else ()
    return (*found[:_MOST_TOLD], *more)


def _frozen(value: object) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
