"""The file of validated rows: parquet with the columns `line` and the layout's two."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.errors import InputError, StorageError
from embedtune.records.layouts import CONTENT_COLUMNS, LINE_COLUMN, Layout

_LAYOUT_KEY = b"embedtune.layout"


def rows_schema(layout: Layout) -> pa.Schema:
    """Return the arrow schema of a rows file."""
    fields = [pa.field(LINE_COLUMN, pa.int64(), nullable=False)]
    fields += [pa.field(name, pa.string(), nullable=False) for name in CONTENT_COLUMNS[layout]]
    return pa.schema(fields, metadata={_LAYOUT_KEY: layout.value.encode()})


class RowsWriter:
    """Appends batches of validated rows to a rows file.

    Attributes:
        count: Rows written so far.
    """

    def __init__(self, writer: pq.ParquetWriter, schema: pa.Schema) -> None:
        """Wrap an open parquet writer; see `open_rows`."""
        self.count = 0
        self._writer = writer
        self._schema = schema

    def write(self, lines: list[int], first: list[str], second: list[str]) -> None:
        """Append one batch of equally long columns, given in the order of the schema."""
        self._writer.write_batch(pa.record_batch([lines, first, second], schema=self._schema))
        self.count += len(lines)


@contextmanager
def open_rows(path: Path, layout: Layout) -> Iterator[RowsWriter]:
    """Open a new rows file for writing, compressed with zstd."""
    schema = rows_schema(layout)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        yield RowsWriter(writer, schema)


def read_rows(path: Path) -> tuple[Layout, pa.Table]:
    """Read a whole rows file.

    Returns:
        The layout and a table with the columns `line` (int64) and CONTENT_COLUMNS of the layout (string).

    Raises:
        StorageError: the file is missing or damaged.
        InputError: it is not a rows file.
    """
    with _open_parquet(path) as file:
        return _layout_of(path, file), file.read()


@contextmanager
def _open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist. Give the rows file that the ingest step wrote.") from error
    except (OSError, pa.ArrowInvalid) as error:
        raise StorageError(f"{path} is damaged or no parquet file: {error}. Run the ingest step again.") from error


def _layout_of(path: Path, file: pq.ParquetFile) -> Layout:
    metadata = file.schema_arrow.metadata
    if metadata is None or _LAYOUT_KEY not in metadata:
        raise InputError(f"{path} is a parquet file, but not one of validated rows. Give what the ingest step wrote.")
    return Layout(metadata[_LAYOUT_KEY].decode())
