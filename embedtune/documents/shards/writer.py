"""Files of Documents, written one after the other as Documents come: the form in which steps and pushes store them."""

import hashlib
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import Numbers
from embedtune.documents.schema import SplitColumns
from embedtune.documents.shards.codec import ARRAY_SUFFIX, encode_documents
from embedtune.documents.shards.folder import Shard
from embedtune.records.layouts import Modality

DOCUMENTS_PER_SHARD = 50_000
"""Bounds the memory of reading: some 20 MB for sentences."""

BYTES_PER_SHARD = 256 << 20
"""Bounds the memory where texts are long, and keeps a shard below the 2 GiB that a protobuf message can hold."""

MEDIA_BYTES_PER_SHARD = 32 << 20
"""The same for images and meshes; a shard takes some 200 MB while it is read."""

# Over sentences level 4 takes 2 s per million and level 6 takes 3.5 s for files that are 1.6 % smaller.
_LEVEL = 4
# Images are compressed already and points are noise: level 1 saves 0 to 7 % of them at a twentieth of the speed.
_STORED = 0
_WORTH_IT = 0.9
"""Share of its bytes to which level 1 must bring the beginning of a file for this file to be compressed."""

_SAMPLE_BYTES = 1 << 20

_GZIP_BITS = 31
"""What zlib calls a gzip file with the largest window; its header holds no time, so equal content gives equal bytes."""


@dataclass(frozen=True)
class WrittenFile:
    """A file of Documents."""

    name: str
    rows: int
    """Number of Documents, at least 1."""
    size: int
    """Bytes on the disk."""
    sha256: str
    """Hexadecimal."""


class ShardFiles:
    """Writes numbered files of Documents, each a DocumentArrayProto compressed with gzip; close it at the end.

    Equal portions give equal bytes. When a file is full is the caller's to say.

    Attributes:
        rows: Documents in the file that is being written.
        size: Bytes of these, as the caller counts them.
    """

    def __init__(self, folder: Path, prefix: str, is_text: bool | None = None, portion: int = 0) -> None:
        """Write to `<prefix><number>.protobuf-array.gzip` in an existing folder.

        Args:
            folder: The folder.
            prefix: How the names of the files begin.
            is_text: Whether it is worth compressing the Documents; None finds out at the beginning of each file.
            portion: Bytes to collect before they are compressed; 0 compresses what each `write` brings.
        """
        self.rows = self.size = 0
        self._folder, self._prefix, self._is_text, self._portion = folder, prefix, is_text, portion
        self._done: list[WrittenFile] = []
        self._file: IO[bytes] | None = None
        self._compressor: zlib._Compress | None = None
        self._waiting = bytearray()
        self._sha256 = hashlib.sha256()

    def write(self, data: bytes, rows: int, size: int) -> None:
        """Append Documents to the file that is being written, a new one where there is none.

        Args:
            data: The bytes of a DocumentArrayProto.
            rows: How many Documents these are.
            size: Number of bytes that they count for.
        """
        if self._file is None:
            self._file = (self._folder / self._name).open("wb")
        self._waiting += data
        self.rows += rows
        self.size += size
        if len(self._waiting) >= self._portion:
            self._compress(self._file)

    def finish(self) -> tuple[WrittenFile, ...]:
        """Complete the file that is being written, if there is one, and return all; what follows begins another."""
        if self._file is not None:
            self._put(self._file, self._compress(self._file).flush())
            self._done.append(WrittenFile(self._name, self.rows, self._file.tell(), self._sha256.hexdigest()))
            self.close()
            self.rows, self.size, self._compressor, self._sha256 = 0, 0, None, hashlib.sha256()
        return tuple(self._done)

    def close(self) -> None:
        """Close the file that is being written without completing it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def _name(self) -> str:
        return f"{self._prefix}{len(self._done):05}{ARRAY_SUFFIX}"

    def _compress(self, file: IO[bytes]) -> "zlib._Compress":
        if self._compressor is None:
            sample = bytes(self._waiting[:_SAMPLE_BYTES]) if self._is_text is None else b""
            is_worth_it = len(zlib.compress(sample, 1)) < _WORTH_IT * len(sample) if sample else self._is_text
            self._compressor = zlib.compressobj(_LEVEL if is_worth_it else _STORED, wbits=_GZIP_BITS)
        self._put(file, self._compressor.compress(self._waiting))
        self._waiting.clear()
        return self._compressor

    def _put(self, file: IO[bytes], data: bytes) -> None:
        self._sha256.update(data)
        file.write(data)


class ShardWriter:
    """Writes the Documents of one split to numbered shards; use it as `open_shards` gives it."""

    def __init__(self, files: ShardFiles, form: SplitColumns) -> None:
        """Write Documents of this form to these files."""
        self._files, self._form = files, form
        self._most_bytes = BYTES_PER_SHARD if _is_text(form) else MEDIA_BYTES_PER_SHARD

    def write(self, table: pa.Table) -> None:
        """Append N Documents, given as the columns of the form's schema."""
        ends = np.concatenate([[0], np.cumsum(_sizes(table, self._form))])
        start = 0
        while start < len(table):
            end = self._end(ends, start)
            if end == start:
                self._files.finish()
            else:
                part = encode_documents(table.slice(start, end - start), self._form)
                self._files.write(part, end - start, int(ends[end] - ends[start]))
            start = end

    def _end(self, ends: Numbers, start: int) -> int:
        """Return which Document no longer fits into the shard; `ends` has the bytes before each and of all (N + 1,)."""
        rows, size = self._files.rows, self._files.size
        fitting = int(np.searchsorted(ends, ends[start] + self._most_bytes - size, side="right")) - 1
        end = max(start, min(fitting, start + DOCUMENTS_PER_SHARD - rows))
        return start + 1 if end == start and rows == 0 else end

    def finish(self) -> tuple[Shard, ...]:
        """Complete the shard that is being written, if there is one, and return all."""
        return tuple(Shard(file.name, self._form.split, file.rows, file.sha256) for file in self._files.finish())


@contextmanager
def open_shards(folder: Path, form: SplitColumns, prefix: str = "") -> Iterator[ShardWriter]:
    """Open the shards of one split in an existing folder; the prefix goes into their names before the numbers."""
    with closing(ShardFiles(folder, f"{form.split}-{prefix}", _is_text(form))) as files:
        yield ShardWriter(files, form)


def _is_text(form: SplitColumns) -> bool:
    return all(content.modality is Modality.TEXT for content in form.contents)


def _sizes(table: pa.Table, form: SplitColumns) -> Numbers:
    """Return the bytes of each Document's contents (N,)."""
    names = [name for content in form.contents for name in content.columns]
    sizes = sum(pc.binary_length(table[name]).to_numpy() for name in names)
    return np.asarray(sizes, np.int64)
