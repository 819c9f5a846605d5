"""Documents become the files of a dataset: shards of bounded size, equal for equal Documents."""

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.datasets.inventory import Contents, Inventory
from embedtune.datasets.manifest import FOLDER_LENGTH, DatasetFile
from embedtune.documents.shards.codec import ARRAY_SUFFIX
from embedtune.errors import InputError, StorageError, reason
from embedtune.progress import Advance, silent
from embedtune.records.docarrays.wire import iter_array
from embedtune.storage.digests import file_sha256

SHARD_BYTES = 64 << 20
"""Of one shard before it is compressed; several of them travel at a time."""


ARRAY_START = b"\x0a"
"""What every Document of a DocumentArrayProto begins with: field 1, length-delimited."""

_GZIP_BITS = 31
_BUFFER_BYTES = 1 << 20
# Images are compressed already and points are noise; that costs ten times the time and saves nothing.
_LEVEL, _STORED = 4, 0
_WORTH_IT = 0.9


@dataclass(frozen=True)
class Packed:
    """Files on this machine that shall become a dataset."""

    contents: Contents
    files: tuple[DatasetFile, ...]
    """In the order in which the Documents are read."""
    paths: tuple[Path, ...]
    """Where each file is now."""

    @property
    def folder(self) -> str:
        """Name for the folder of these files and no others."""
        told = "\n".join(f"{file.name} {file.sha256}" for file in self.files)
        return hashlib.sha256(told.encode()).hexdigest()[:FOLDER_LENGTH]


def pack(documents: Iterable[DocumentProto | str], folder: Path, origin: str) -> Packed:
    """Write Documents into shards; memory holds one Document and a few MiB.

    Args:
        documents: The Documents; a text says why one cannot be read.
        folder: Existing folder for the shards.
        origin: What to call the Documents in messages.

    Raises:
        InputError: there are none, or one cannot be stored so that it could be read again.
        StorageError: the folder is full.
    """
    inventory = Inventory()
    with disk_explained(folder):
        shards = _Shards(folder)
        try:
            for document in documents:
                shards.add(inventory.add_document(document, origin))
            files = shards.finish()
        finally:
            shards.close()
    if not files:
        raise InputError(f"{origin} holds no Documents. Push an array with at least one.")
    return Packed(inventory.contents(), files, tuple(folder / file.name for file in files))


def take(path: Path, origin: str, advance: Advance) -> Packed:
    """Take a file that is a shard already, as it is.

    Args:
        path: A DocumentArrayProto compressed with gzip.
        origin: What to call it in messages.
        advance: Told the bytes that were read.

    Raises:
        InputError: there are no Documents in it, or one could not be read again.
        StorageError: it cannot be read.
    """
    inventory = Inventory()
    try:
        # First: if it changes while the Documents are read, storing it will tell.
        size, sha256 = path.stat().st_size, file_sha256(path, silent)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {reason(error)}. Check its permissions.") from error
    for document in iter_array(path, origin, advance):
        inventory.add_document(document, origin)
    file = DatasetFile(_shard_name(0), size, inventory.rows, sha256)
    return Packed(inventory.contents(), (file,), (path,))


@contextmanager
def disk_explained(folder: Path) -> Iterator[None]:
    """Turn the errors of writing into StorageError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder} cannot be written: {reason(error)}. Free some space there, or set TMPDIR to a folder with more."
        ) from error


def _shard_name(number: int) -> str:
    return f"documents-{number:05}{ARRAY_SUFFIX}"


class _Shards:
    """Writes messages with a Document in each field 1, which is a DocumentArrayProto."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._done: list[DatasetFile] = []
        self._shard: _Shard | None = None

    def add(self, data: bytes) -> None:
        if self._shard is not None and self._shard.bytes + len(data) > SHARD_BYTES:
            self.finish()
        if self._shard is None:
            self._shard = _Shard(self._folder / _shard_name(len(self._done)))
        self._shard.add(data)

    def finish(self) -> tuple[DatasetFile, ...]:
        if self._shard is not None:
            self._done.append(self._shard.finish())
            self._shard = None
        return tuple(self._done)

    def close(self) -> None:
        if self._shard is not None:
            self._shard.close()


class _Shard:
    """One shard that is being written.

    Attributes:
        bytes: Of its Documents so far.
    """

    def __init__(self, path: Path) -> None:
        self.bytes = 0
        self._path = path
        self._file = path.open("wb")
        self._compressor: zlib._Compress | None = None
        self._waiting = bytearray()
        self._sha256 = hashlib.sha256()
        self._rows = 0

    def add(self, data: bytes) -> None:
        self._waiting += ARRAY_START + _varint(len(data)) + data
        self.bytes += len(data)
        self._rows += 1
        if len(self._waiting) >= _BUFFER_BYTES:
            self._compress()

    def finish(self) -> DatasetFile:
        self._put(self._compress().flush())
        size = self._file.tell()
        self.close()
        return DatasetFile(self._path.name, size, self._rows, self._sha256.hexdigest())

    def close(self) -> None:
        self._file.close()

    def _compress(self) -> "zlib._Compress":
        """Write what waits; the beginning of a shard tells whether it is worth compressing."""
        if self._compressor is None:
            sample = bytes(self._waiting[:_BUFFER_BYTES])
            is_worth_it = len(zlib.compress(sample, 1)) < _WORTH_IT * len(sample)
            self._compressor = zlib.compressobj(_LEVEL if is_worth_it else _STORED, wbits=_GZIP_BITS)
        self._put(self._compressor.compress(self._waiting))
        self._waiting.clear()
        return self._compressor

    def _put(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(data)


def _varint(number: int) -> bytes:
    """Return a number as protobuf writes it."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
