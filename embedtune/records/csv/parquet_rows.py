"""The rows of Parquet files as the texts that a CSV of the same table would hold."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError

_BATCH_ROWS = 256
_READ_BYTES = 1 << 20
_INDEX_PREFIX = "__index_level_"


@contextmanager
def open_parquet(path: Path, origin: str) -> Iterator[pq.ParquetFile]:
    """Open a file.

    Args:
        path: The file.
        origin: What to call it in a message.

    Raises:
        StorageError: it is out of reach.
        InputError: it is damaged.
    """
    try:
        schema = pq.read_schema(path)
        texts = [field.name for field in schema if _is_text(field.type)]
        # Equal texts are in memory once, so that a small file cannot become a large one.
        with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False, buffer_size=_READ_BYTES) as file:
            yield file
    except (FileNotFoundError, PermissionError) as error:
        raise StorageError(f"{origin} cannot be read: {error.strerror}.") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(
            f"{origin} is no whole Parquet file, or written in a way that cannot be read: damaged, cut off or "
            "encrypted. Copy it again, or write it anew."
        ) from error


def column_kinds(schema: pa.Schema, origin: str) -> dict[str, bool]:
    """Return of each column whether it holds single values, not lists or objects; an index of pandas is none.

    Raises:
        InputError: a name stands for two columns.
    """
    doubled = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if doubled is not None:
        raise InputError(f"{origin} has two columns {doubled!r}. Give each column its own name.")
    return {
        field.name: not pa.types.is_nested(_stored(field.type))
        for field in schema
        if not field.name.startswith(_INDEX_PREFIX)
    }


def iter_columns(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[dict[str, list[str | None]]]:
    """Yield the values of some columns as texts, a few rows at a time."""
    for batch in file.iter_batches(_BATCH_ROWS, columns=list(names)):
        batch.validate(full=True)
        yield dict(zip(batch.schema.names, map(_texts, batch.columns), strict=True))


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
