"""Tables that name their columns in every row or once for all: JSON lines, an array of JSON objects, and Parquet.

Their values become the texts that a CSV of the same table would hold, null an empty one, so that everything behind the
reading is the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError
from embedtune.records.dialects import FIELD_LIMIT, Dialect
from embedtune.records.encodings import SAMPLE_BYTES, read_beginning, read_sample, undecodable
from embedtune.records.other_formats import json_form
from embedtune.records.reader import RecordReader
from embedtune.records.request import CSVSource
from embedtune.records.table import shown_names

_BATCH_ROWS = 256
_READ_BYTES = 1 << 20
_ARRAY_BYTES = 32 << 20
"""Largest file with one array, which is read at once."""

_PARQUET_START = b"PAR1"
_INDEX_PREFIX = "__index_level_"
_MOST_TOLD = 3
_MOST_COLUMNS = 10_000

Values = Mapping[str, Any]
"""The values of one row by the names of their columns: texts, None, and lists or objects, which cannot be read."""


class TableForm(StrEnum):
    """What a file with a table is."""

    CSV = "CSV"
    JSON_LINES = "JSON lines"
    JSON = "JSON"
    PARQUET = "Parquet"


class Records(Protocol):
    """The records of one table that are not blank, in order."""

    blank_line: int
    """The line or number of the last record so far without any value, 0 if there was none."""
    without_value: int
    """How many of these there were, but for empty lines."""

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far."""

    @property
    def weight(self) -> int:
        """About how many bytes the records so far take in memory."""

    @property
    def raw(self) -> str:
        """The text of the record last given."""

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the line or number of each record, its values, and what is wrong with it ('' if nothing)."""


def table_form(source: CSVSource, encoding: str, dialect: object, limit: int = SAMPLE_BYTES) -> TableForm:
    """Tell what a file with a table is by its beginning; only broken JSON is told by the name of the file.

    Args:
        source: The file.
        encoding: The CSV option.
        dialect: The CSV option: texts, one a line, are no JSON.
        limit: How many bytes to read at most.

    Raises:
        StorageError: the file is missing or unreadable.
        InputError: it is empty, undecodable or of another format.
    """
    if read_beginning(source, len(_PARQUET_START))[0] == _PARQUET_START:
        return TableForm.PARQUET
    if dialect == "lines":
        return TableForm.CSV
    found = json_form(read_sample(source, encoding, limit).text)
    suffix = source.origin.rpartition(".")[2].lower()
    if found == "array" or (not found and suffix == "json"):
        return TableForm.JSON
    return TableForm.JSON_LINES if found or suffix in ("jsonl", "ndjson") else TableForm.CSV


@dataclass(frozen=True)
class NamedTable:
    """One file."""

    source: CSVSource
    form: TableForm
    """Not CSV."""
    encoding: str
    """The CSV option."""
    left_out: tuple[str, ...] = ()
    """Columns that are not read, for they hold no texts."""

    def sample(self, most_rows: int, most_characters: int) -> list[Values]:
        """Return the first rows that can be read, until there are so many, or so many characters in them.

        Raises:
            StorageError: the file is unreadable.
            InputError: it is damaged, or too large to be read at once.
        """
        sample = list[Values]()
        size = 0
        for _, row, _ in islice(self.rows(Progress()), most_rows):
            if not isinstance(row, str):
                sample.append(row)
                size += sum(len(value) for value in row.values() if isinstance(value, str))
            if size >= most_characters:
                break
        return sample

    def records(self, names: Sequence[str], used: Sequence[int]) -> "NamedRecords":
        """Return the records.

        Args:
            names: The columns.
            used: Positions of those whose values are wanted; what is wrong with the others does not matter.
        """
        return NamedRecords(self, names, used)

    def rows(self, progress: "Progress") -> Iterator[tuple[int, Values | str, str]]:
        """Yield the number of each row, its values or what is wrong with it, and its text where that is at hand."""
        if self.form is TableForm.PARQUET:
            return self._parquet_rows(progress)
        return self._lines(progress) if self.form is TableForm.JSON_LINES else self._array()

    def _lines(self, progress: "Progress") -> Iterator[tuple[int, Values | str, str]]:
        encoding = read_sample(self.source, self.encoding).encoding
        reader = RecordReader(self.source, encoding, Dialect("lines", quoting=False))
        for line, _, problem in reader.records():
            progress.position = progress.weight = reader.position
            yield line, problem or _parse(reader.raw), reader.raw

    def _array(self) -> Iterator[tuple[int, Values | str, str]]:
        beginning, is_whole = read_beginning(self.source, _ARRAY_BYTES)
        if not is_whole:
            raise InputError(
                f"{self.source.origin} is one JSON array of more than {_ARRAY_BYTES >> 20} MiB, which would be read at "
                "once. Write JSON lines: one object a line."
            )
        encoding = read_sample(self.source, self.encoding).encoding
        try:
            entries = _decoder.decode(beginning.decode(encoding).removeprefix("\ufeff").strip())
        except UnicodeDecodeError as error:
            raise undecodable(self.source, encoding) from error
        except (ValueError, RecursionError) as error:
            place = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
            raise InputError(
                f"{self.source.origin} is no whole JSON ({place}). Write an array of objects, or one object a line."
            ) from error
        if not isinstance(entries, list):
            raise InputError(
                f"{self.source.origin} is JSON, but no array of objects such as "
                '[{"text": "…", "label": "…"}]. Write one, or one object a line.'
            )
        for number, entry in enumerate(entries, 1):
            yield number, _checked(entry), json.dumps(entry, ensure_ascii=False)

    def _parquet_rows(self, progress: "Progress") -> Iterator[tuple[int, Values | str, str]]:
        number = 0
        with self.open() as file:
            names = parquet_names(file.schema_arrow, self.source.origin)
            size, total = self.source.path.stat().st_size, max(file.metadata.num_rows, 1)
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(names)):
                batch.validate(full=True)
                columns = [_texts(column) for column in batch.columns]
                weight = sum(len(text) for column in columns for text in column if isinstance(text, str))
                for row in zip(*columns, strict=True):
                    number += 1
                    yield number, dict(zip(batch.schema.names, row, strict=True)), ""
                progress.position, progress.weight = size * number // total, progress.weight + weight

    @contextmanager
    def open(self) -> Iterator[pq.ParquetFile]:
        """Open a Parquet file.

        Raises:
            StorageError: it is out of reach.
            InputError: it is damaged.
        """
        try:
            schema = pq.read_schema(self.source.path)
            texts = [field.name for field in schema if _is_text(field.type)]
            # Equal texts are in memory once, so that a small file cannot become a large one.
            with pq.ParquetFile(
                self.source.path, read_dictionary=texts, pre_buffer=False, buffer_size=_READ_BYTES
            ) as file:
                yield file
        except (FileNotFoundError, PermissionError) as error:
            raise StorageError(f"{self.source.origin} cannot be read: {error.strerror}.") from error
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"{self.source.origin} is no whole Parquet file, or written in a way that cannot be read: damaged, cut "
                "off or encrypted. Copy it again, or write it anew."
            ) from error


@dataclass
class Progress:
    """How far the reading of a table has come, see `Records`."""

    position: int = 0
    weight: int = 0


class NamedRecords:
    """The records of one table, as `reader.RecordReader` gives those of a CSV: the names come first.

    Attributes:
        blank_line: The last record so far without any value, 0 if there was none.
        without_value: How many of these there were.
        unknown: Records so far with columns that are none of the names.
        unknown_names: The first few of these columns.
    """

    def __init__(self, table: NamedTable, names: Sequence[str], used: Sequence[int]) -> None:
        """Remember what to read; nothing is opened yet."""
        self.blank_line = self.without_value = self.unknown = 0
        self.unknown_names: dict[str, None] = {}
        self._table = table
        self._names = tuple(names)
        self._known = frozenset((*names, *table.left_out))
        self._used = frozenset(used)
        self._progress = Progress()
        self._row: Values | str = ""
        self._text = ""

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far."""
        return self._progress.position

    @property
    def weight(self) -> int:
        """About how many bytes the records so far take in memory."""
        return self._progress.weight

    @property
    def raw(self) -> str:
        """The record last given, as an object of JSON."""
        text = self._text or json.dumps(self._row, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the names, and of each row its number, its values and what is wrong with it ('' if nothing)."""
        yield 0, list(self._names), ""
        for number, row, text in self._table.rows(self._progress):
            self._row, self._text = row, text
            if isinstance(row, str):
                yield number, [], row
                continue
            if not self._known.issuperset(row):
                self.unknown += 1
                new = (name for name in row if name not in self._known)
                self.unknown_names.update(dict.fromkeys(islice(new, _MOST_TOLD - len(self.unknown_names))))
            values = [row.get(name) for name in self._names]
            cells = [value if isinstance(value, str) else "" for value in values]
            if any(map(str.strip, cells)) or not all(value is None or isinstance(value, str) for value in values):
                yield number, cells, self._problem(values)
            else:
                self.blank_line = number
                self.without_value += 1

    def _problem(self, values: Sequence[object]) -> str:
        for position in self._used:
            value = values[position]
            if value is None:
                continue
            if not isinstance(value, str):
                return f"the value of {self._names[position]!r} is a list or an object"
            if len(value) > FIELD_LIMIT:
                return f"a value has more than {FIELD_LIMIT} characters"
            try:
                value.encode()
            except UnicodeEncodeError:
                return f"the value of {self._names[position]!r} is no text in Unicode"
        return ""


def names_of(
    tables: Sequence[NamedTable], samples: Sequence[Sequence[Values]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of tables that are read as one, and those that are left out.

    Left out are columns that hold nothing but lists or objects, and numbers of rows as pandas writes them.

    Args:
        tables: The files.
        samples: The first rows of each.

    Raises:
        InputError: nothing is left, a name stands for two columns, or there are too many.
    """
    known = dict[str, bool]()
    for table, sample in zip(tables, samples, strict=True):
        if table.form is TableForm.PARQUET:
            with table.open() as file:
                schema = file.schema_arrow
                flat = set(parquet_names(schema, table.source.origin))
            for name in schema.names:
                known[name] = known.get(name, False) or name in flat
        for row in sample:
            for name, value in row.items():
                known[name] = known.get(name, False) or value is None or isinstance(value, str)
    if len(known) > _MOST_COLUMNS:
        raise InputError(
            f"{tables[0].source.origin} has more than {_MOST_COLUMNS} columns, such as {shown_names([*known][:3])}. "
            "Give those that are to be read."
        )
    names = tuple(name for name, is_flat in known.items() if is_flat)
    nested = tuple(name for name, is_flat in known.items() if not is_flat and not name.startswith(_INDEX_PREFIX))
    if not names:
        raise InputError(
            f"{tables[0].source.origin} is {tables[0].form} without a column of texts or numbers"
            f"{f', but of lists or objects ({shown_names(nested)})' if nested else ''}. Give rows such as text and "
            "label, or query and document."
        )
    return names, nested


def parquet_names(schema: pa.Schema, origin: str) -> tuple[str, ...]:
    """Return the names of the columns that hold no lists or objects, without those of an index of pandas.

    Raises:
        InputError: a name stands for two columns.
    """
    doubled = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"{origin} has two columns {doubled!r}. Give each column its own name.")
    return tuple(
        field.name
        for field in schema
        if not pa.types.is_nested(_stored(field.type)) and not field.name.startswith(_INDEX_PREFIX)
    )


def _stored(kind: pa.DataType) -> pa.DataType:
    kind = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return any(is_kind(kind) for is_kind in (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary))


def _texts(column: pa.Array) -> list[str | None]:
    """Return the values of a column as texts; bytes that are no UTF-8 become one that cannot be encoded."""
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = _texts(column.dictionary)
        return [None if place is None else values[place] for place in column.indices.to_pylist()]
    if pa.types.is_timestamp(kind):
        # In UTC, since the machine may not know the time zone; Python's dates end with the year 9999.
        column = column.cast(pa.timestamp(kind.unit)).cast(pa.string())
    if pa.types.is_floating(kind):
        # Of float32, 0.8 is to be '0.8', not the nearest float64.
        return [None if np.isnan(value) else str(value) for value in column.to_numpy(zero_copy_only=False)]
    return [None if value is None else _text(value) for value in column.to_pylist()]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        doubled = next(name for name, _ in pairs if [each for each, _ in pairs].count(name) > 1)
        raise ValueError(f"the name {doubled!r} stands twice in one object")
    return entry


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_constant)
"""Numbers stay as they are written."""


def _parse(text: str) -> Values | str:
    """Return the values of a line, or what is wrong with it."""
    try:
        return _checked(_decoder.decode(text.strip().removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        return f"no JSON: {error.msg} at character {error.pos}"
    except (ValueError, RecursionError) as error:
        return "no JSON: nested too deeply" if isinstance(error, RecursionError) else str(error)


def _checked(entry: object) -> Values | str:
    if not isinstance(entry, dict):
        return "no JSON object"
    return {name: _text(value) if isinstance(value, bool) else value for name, value in entry.items()}
