"""The shards of one split, written one after the other as Documents come."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.shards.codec import ARRAY_SUFFIX, encode_documents, gzip_compressor
from embedtune.documents.shards.manifest import Shard
from embedtune.documents.split_columns import SplitForm
from embedtune.records.layouts import Modality

DOCUMENTS_PER_SHARD = 50_000
"""Bounds the memory of reading: some 20 MB for sentences."""

BYTES_PER_SHARD = 256 << 20
"""Bounds the memory where texts are long, and keeps a shard below the 2 GiB that a protobuf message can hold."""

MEDIA_BYTES_PER_SHARD = 32 << 20
"""The same for images and meshes; a shard takes some 200 MB while it is read."""


class ShardWriter:
    """Writes the Documents of one split to numbered shards; use it as `open_shards` gives it."""

    def __init__(self, folder: Path, form: SplitForm, prefix: str) -> None:
        """Write to `<split>-<prefix><number>.protobuf-array.gzip` in an existing folder."""
        self._folder, self._form, self._prefix = folder, form, prefix
        is_text = all(content.modality is Modality.TEXT for content in form.contents)
        self._most_bytes = BYTES_PER_SHARD if is_text else MEDIA_BYTES_PER_SHARD
        self._done: list[Shard] = []
        self._file: _ShardFile | None = None

    def write(self, table: pa.Table) -> None:
        """Append Documents.

        Args:
            table: Columns of the form's schema (N rows).

        Raises:
            InputError: a content is none of its modality.
        """
        ends = np.concatenate([[0], np.cumsum(_sizes(table, self._form))])
        start = 0
        while start < len(table):
            end = self._end(ends, start)
            if end == start:
                self.finish()
            else:
                self._append(table.slice(start, end - start), int(ends[end] - ends[start]))
            start = end

    def _end(self, ends: npt.NDArray[np.int64], start: int) -> int:
        """Return how many of the N Documents fit into the shard that is being written; one fits into a new shard.

        Args:
            ends: Bytes of the contents before each Document, and of all (N + 1,).
            start: Number of Documents that are written already.
        """
        rows, size = (0, 0) if self._file is None else (self._file.rows, self._file.size)
        fitting = int(np.searchsorted(ends, ends[start] + self._most_bytes - size, side="right")) - 1
        end = max(start, min(fitting, start + DOCUMENTS_PER_SHARD - rows))
        return start + 1 if end == start and self._file is None else end

    def _append(self, table: pa.Table, size: int) -> None:
        if self._file is None:
            name = f"{self._form.split}-{self._prefix}{len(self._done):05}{ARRAY_SUFFIX}"
            self._file = _ShardFile(self._folder / name, self._form)
        self._file.write(table, size)

    def finish(self) -> tuple[Shard, ...]:
        """Complete the shard that is being written, if there is one, and return all."""
        if self._file is not None:
            self._done.append(self._file.finish())
            self._file = None
        return tuple(self._done)

    def close(self) -> None:
        """Close the shard that is being written without completing it."""
        if self._file is not None:
            self._file.close()
            self._file = None


class _ShardFile:
    """A shard that is being written.

    Attributes:
        rows: Documents written so far.
        size: Bytes of their contents.
    """

    def __init__(self, path: Path, form: SplitForm) -> None:
        self.rows = 0
        self.size = 0
        self._path, self._form = path, form
        self._file = path.open("wb")
        self._compressor = gzip_compressor(form)
        self._sha256 = hashlib.sha256()

    def write(self, table: pa.Table, size: int) -> None:
        self._put(self._compressor.compress(encode_documents(table, self._form)))
        self.rows += len(table)
        self.size += size

    def finish(self) -> Shard:
        self._put(self._compressor.flush())
        self.close()
        return Shard(self._path.name, self._form.split, self.rows, self._sha256.hexdigest())

    def close(self) -> None:
        self._file.close()

    def _put(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)


@contextmanager
def open_shards(folder: Path, form: SplitForm, prefix: str = "") -> Iterator[ShardWriter]:
    """Open the shards of one split for writing.

    Args:
        folder: An existing folder.
        form: What the Documents hold.
        prefix: Goes into the file names before their numbers.
    """
    writer = ShardWriter(folder, form, prefix)
    try:
        yield writer
    finally:
        writer.close()


def _sizes(table: pa.Table, form: SplitForm) -> npt.NDArray[np.int64]:
    """Return the bytes of each Document's contents (N,)."""
    names = [name for content in form.contents for name in content.columns]
    sizes = sum(pc.binary_length(table[name]).to_numpy() for name in names)
    return np.asarray(sizes, np.int64)
