"""Tables that name their columns in every row or once for all: JSON lines, an array of JSON objects, and Parquet.

Their values become the texts that a CSV of the same table would hold, null an empty one, so that everything behind the
reading is the same.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError
from embedtune.records.csv.encodings import TableForm, read_beginning, read_sample, undecodable
from embedtune.records.csv.options import CSVSource
from embedtune.records.csv.reader import FIELD_LIMIT, Dialect, RecordReader
from embedtune.text import shown_names

_MOST_TOLD = 3
_MOST_COLUMNS = 10_000

_Values = Mapping[str, Any]
"""The values of one row by the names of their columns: texts, None, and lists or objects, which cannot be read."""

_NamedRow = tuple[int, _Values | str, str]
"""The number of a row, its values or what is wrong with it, and its text where that is at hand."""

_ARRAY_BYTES = 32 << 20
"""Largest file with one array, which is read at once."""

_TOO_DEEP = "nested too deeply"
_BATCH_ROWS = 256
_READ_BYTES = 1 << 20
_INDEX_PREFIX = "__index_level_"


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

    def sample(self, most_rows: int, most_characters: int) -> list[_Values]:
        """Return the first rows that can be read, until there are so many, or so many characters in them."""
        sample = list[_Values]()
        size = 0
        for _, row, _ in islice(_iter_rows(self, _Progress()), most_rows):
            if not isinstance(row, str):
                sample.append(row)
                size += sum(len(value) for value in row.values() if isinstance(value, str))
            if size >= most_characters:
                break
        return sample


@dataclass
class _Progress:
    position: int = 0
    """How many bytes of the file were read so far."""
    weight: int = 0
    """About how many bytes the records so far take in memory."""


class NamedRecords(_Progress):
    """The records of one table, as `reader.RecordReader` gives those of a CSV: the names come first.

    What is wrong matters only in the columns at the positions `used`.
    """

    def __init__(self, table: NamedTable, names: Sequence[str], used: Sequence[int]) -> None:
        """Remember what to read; nothing is opened yet."""
        super().__init__()
        self.blank_line = 0  # the last record so far without any value
        self.without_value = 0
        self.unknown = 0  # records so far with columns that are none of the names, of which these are the first
        self.unknown_names: dict[str, None] = {}
        self._table = table
        self._names = tuple(names)
        self._known = frozenset((*names, *table.left_out))
        self._used = frozenset(used)
        self._row: _Values | str = ""
        self._text = ""

    @property
    def raw(self) -> str:
        """The record last given, as an object of JSON."""
        text = self._text or json.dumps(self._row, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the names, and of each row its number, its values and what is wrong with it ('' if nothing)."""
        yield 0, list(self._names), ""
        for number, row, text in _iter_rows(self._table, self):
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


Records = RecordReader | NamedRecords
"""The records of one table that are not blank, in order."""


def names_of(
    tables: Sequence[NamedTable], samples: Sequence[Sequence[_Values]]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the columns of tables that are read as one, and those that are left out; `samples` are their first rows.

    Left out are columns that hold nothing but lists or objects, and numbers of rows as pandas writes them. Refused are
    tables of which nothing is left, with a name of two columns, or with too many.
    """
    known = dict[str, bool]()
    for table, sample in zip(tables, samples, strict=True):
        if table.form is TableForm.PARQUET:
            with _open_parquet(table.source) as file:
                kinds = _column_kinds(file.schema_arrow, table.source.origin)
            for name, is_flat in kinds.items():
                known[name] = known.get(name, False) or is_flat
        for row in sample:
            for name, value in row.items():
                known[name] = known.get(name, False) or value is None or isinstance(value, str)
    if len(known) > _MOST_COLUMNS:
        raise InputError(
            f"{tables[0].source.origin} has more than {_MOST_COLUMNS} columns, such as {shown_names([*known][:3])}. "
            "Give those that are to be read."
        )
    names = tuple(name for name, is_flat in known.items() if is_flat)
    nested = tuple(name for name, is_flat in known.items() if not is_flat)
    if not names:
        raise InputError(
            f"{tables[0].source.origin} is {tables[0].form} without a column of texts or numbers"
            f"{f', but of lists or objects ({shown_names(nested)})' if nested else ''}. Give rows such as text and "
            "label, or query and document."
        )
    return names, nested


def _iter_rows(table: NamedTable, progress: _Progress) -> Iterator[_NamedRow]:
    """Yield the rows, and say in `progress` how far the reading has come."""
    if table.form is TableForm.PARQUET:
        return _parquet_rows(table.source, progress)
    return _lines(table, progress) if table.form is TableForm.JSON_LINES else _array(table.source, table.encoding)


def _lines(table: NamedTable, progress: _Progress) -> Iterator[_NamedRow]:
    encoding = read_sample(table.source, table.encoding).encoding
    reader = RecordReader(table.source, encoding, Dialect("lines", quoting=False))
    for line, _, problem in reader.records():
        progress.position = progress.weight = reader.position
        yield line, problem or _parse_row(reader.raw), reader.raw


def _array(source: CSVSource, encoding: str) -> Iterator[_NamedRow]:
    beginning, is_whole = read_beginning(source, _ARRAY_BYTES)
    if not is_whole:
        raise InputError(
            f"{source.origin} is one JSON array of more than {_ARRAY_BYTES >> 20} MiB, which would be read at "
            "once. Write JSON lines: one object a line."
        )
    encoding = read_sample(source, encoding).encoding
    try:
        text = beginning.decode(encoding)
    except UnicodeDecodeError as error:
        raise undecodable(source, encoding) from error
    for number, entry in enumerate(_parse_array(text, source.origin), 1):
        yield number, _checked(entry), json.dumps(entry, ensure_ascii=False)


def _parse_row(text: str) -> _Values | str:
    """Return the values of one object, or what is wrong with it; numbers stay as they are written."""
    try:
        return _checked(_decoder.decode(text.strip().removeprefix("\ufeff")))
    except json.JSONDecodeError as error:
        return f"no JSON from character {error.pos + 1} on"
    except RecursionError:
        return f"no JSON: {_TOO_DEEP}"
    except ValueError as error:  # in our own words, see `_object`
        return str(error)


def _parse_array(text: str, origin: str) -> list[object]:
    try:
        entries = _decoder.decode(text.removeprefix("\ufeff").strip())
    except json.JSONDecodeError as error:
        raise _not_whole(origin, f"line {error.lineno}: not from character {error.colno} on") from error
    except RecursionError as error:
        raise _not_whole(origin, _TOO_DEEP) from error
    except ValueError as error:
        raise _not_whole(origin, str(error)) from error
    if not isinstance(entries, list):
        raise InputError(
            f"{origin} is JSON, but no array of objects such as "
            '[{"text": "…", "label": "…"}]. Write one, or one object a line.'
        )
    return entries


def _not_whole(origin: str, why: str) -> InputError:
    return InputError(f"{origin} is no whole JSON ({why}). Write an array of objects, or one object a line.")


def _checked(entry: object) -> _Values | str:
    if not isinstance(entry, dict):
        return "no JSON object"
    return {name: str(value).lower() if isinstance(value, bool) else value for name, value in entry.items()}


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        doubled = next(name for name, _ in pairs if [each for each, _ in pairs].count(name) > 1)
        raise ValueError(f"the name {doubled!r} stands twice in one object")
    return entry


def _constant(name: str) -> str | None:
    return None if name == "NaN" else name


_decoder = json.JSONDecoder(object_pairs_hook=_object, parse_int=str, parse_float=str, parse_constant=_constant)


def _parquet_rows(source: CSVSource, progress: _Progress) -> Iterator[_NamedRow]:
    number = 0
    with _open_parquet(source) as file:
        flat = [name for name, is_flat in _column_kinds(file.schema_arrow, source.origin).items() if is_flat]
        size, total = source.path.stat().st_size, max(file.metadata.num_rows, 1)
        for batch in file.iter_batches(_BATCH_ROWS, columns=flat):
            batch.validate(full=True)
            columns = [_texts(column) for column in batch.columns]
            weight = sum(len(text) for column in columns for text in column if text is not None)
            for row in zip(*columns, strict=True):
                number += 1
                yield number, dict(zip(batch.schema.names, row, strict=True)), ""
            progress.position, progress.weight = size * number // total, progress.weight + weight


@contextmanager
def _open_parquet(source: CSVSource) -> Iterator[pq.ParquetFile]:
    try:
        schema = pq.read_schema(source.path)
        texts = [field.name for field in schema if _is_text(field.type)]
        # Equal texts are in memory once, so that a small file cannot become a large one.
        with pq.ParquetFile(source.path, read_dictionary=texts, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            yield file
    except (FileNotFoundError, PermissionError) as error:
        raise StorageError(f"{source.origin} cannot be read: {error.strerror}.") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{source.origin} is no whole Parquet file, or written in a way that cannot be read: damaged, cut off or "
            "encrypted. Copy it again, or write it anew."
        ) from error


def _column_kinds(schema: pa.Schema, origin: str) -> dict[str, bool]:
    """Return of each column whether it holds single values, not lists or objects; an index of pandas is none."""
    doubled = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"{origin} has two columns {doubled!r}. Give each column its own name.")
    return {
        field.name: not pa.types.is_nested(_stored(field.type))
        for field in schema
        if not field.name.startswith(_INDEX_PREFIX)
    }


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
