"""The rows of JSON lines, JSON arrays and Parquet files, with the texts that a CSV would hold as values, or None."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError
from embedtune.records.csv.encodings import TableForm, read_beginning, read_sample, undecodable
from embedtune.records.csv.options import CSVSource
from embedtune.records.csv.reader import Dialect, RecordReader

Values = Mapping[str, Any]
"""The values of one row by the names of their columns: texts, None, and lists or objects, which cannot be read."""

NamedRow = tuple[int, Values | str, str]
"""The number of a row, its values or what is wrong with it, and its text where that is at hand."""

_ARRAY_BYTES = 32 << 20
"""Largest file with one array, which is read at once."""

_TOO_DEEP = "nested too deeply"
_BATCH_ROWS = 256
_READ_BYTES = 1 << 20
_INDEX_PREFIX = "__index_level_"


@dataclass
class Progress:
    """How far the reading of a table has come, see `named_tables.Records`."""

    position: int = 0
    weight: int = 0


def iter_rows(source: CSVSource, form: TableForm, encoding: str, progress: Progress) -> Iterator[NamedRow]:
    """Yield the rows of a table that is no CSV, and say in `progress` how far the reading has come.

    Raises:
        StorageError: the file is unreadable.
        InputError: it is damaged, undecodable, or too large to be read at once.
    """
    if form is TableForm.PARQUET:
        return _parquet_rows(source, progress)
    return _lines(source, encoding, progress) if form is TableForm.JSON_LINES else _array(source, encoding)


def _lines(source: CSVSource, encoding: str, progress: Progress) -> Iterator[NamedRow]:
    reader = RecordReader(source, read_sample(source, encoding).encoding, Dialect("lines", quoting=False))
    for line, _, problem in reader.records():
        progress.position = progress.weight = reader.position
        yield line, problem or _parse_row(reader.raw), reader.raw


def _array(source: CSVSource, encoding: str) -> Iterator[NamedRow]:
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


def _parse_row(text: str) -> Values | str:
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


def _checked(entry: object) -> Values | str:
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


def parquet_columns(source: CSVSource) -> dict[str, bool]:
    """Return of each column whether it holds single values, not lists or objects; an index of pandas is none."""
    with _open_parquet(source) as file:
        return _column_kinds(file.schema_arrow, source.origin)


def _parquet_rows(source: CSVSource, progress: Progress) -> Iterator[NamedRow]:
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
