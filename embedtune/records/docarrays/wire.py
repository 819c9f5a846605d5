"""A saved DocumentArray as a stream of Documents in protobuf, whatever its file is called and without unpickling.

docarray 0.21 saves in two forms that hold protobuf. `protobuf-array` is one message of Documents, each with its length
ahead, and may be compressed as a whole. `protobuf` is a version byte, the number of Documents in 8 bytes, and each
Document with its length in 4 bytes ahead, alone compressed. Both are read one Document at a time here.
"""

import bz2
import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from docarray.proto.docarray_pb2 import DocumentProto
from google.protobuf.message import DecodeError

from embedtune.errors import InputError, StorageError, reason
from embedtune.progress import Advance
from embedtune.records.docarrays.limits import check_parts
from embedtune.records.source_kind import BZ2_START, GZIP_START, starts_pickle
from embedtune.storage.digests import Digest

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_DOCUMENT_BYTES = 128 << 20
"""Of one Document once unpacked; bounds the memory."""

FREE_BYTES = 2 << 30
MAX_RATIO = 200
"""An array may unpack to FREE_BYTES, which is what a protobuf message can hold, or to MAX_RATIO times its file."""

_OTHER_COMPRESSIONS = {
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ": "lzma",
    b"\x5d\x00\x00": "lzma",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
}
_ARRAY_START = 0x0A
"""Every Document of a DocumentArrayProto is its field 1, length-delimited."""
_STREAM_VERSION = 1
_STREAM_HEADER_BYTES = 9
_HOW_TO_SAVE = "Save the array with save_binary(file, protocol='protobuf-array', compress='gzip')"
_BUFFER_BYTES = 1 << 20


def iter_array(path: Path, name: str, advance: Advance, digest: Digest | None = None) -> Iterator[DocumentProto | str]:
    """Yield the Documents of a saved DocumentArray.

    Memory holds one Document of at most MAX_DOCUMENT_BYTES. What the array is, its bytes say, not its name, which is
    for messages. An array of the first form that is not compressed and was cut off between two Documents cannot be told
    from a whole one. `digest` is given all bytes of the file, in the same reading.

    Yields:
        A Document, or why it cannot be read while those behind it can.

    Raises:
        InputError: the file holds pickles or no DocumentArray, is cut off, or unpacks to more than is accepted.
        StorageError: the file cannot be read.
    """
    try:
        with io.BufferedReader(_DigestedFile(path, digest)) as file:
            yield from _Reader(name, path.stat().st_size, file, advance).documents()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{name} is damaged or cut off. Save or copy it again.") from error
    except OSError as error:
        if error.errno is None:  # bz2 says so that data are no bz2
            raise InputError(f"{name} is damaged. Save or copy it again.") from error
        raise StorageError(f"{name} cannot be read: {reason(error)}.") from error


class _DigestedFile(io.FileIO):
    """A file whose bytes are digested as they are read, which is from the beginning to the end."""

    def __init__(self, path: Path, digest: Digest | None) -> None:
        super().__init__(path)
        self._digest = digest

    def readinto(self, buffer: "WriteableBuffer", /) -> int | None:
        count = super().readinto(buffer)
        if self._digest is not None and count:
            self._digest.update(bytes(memoryview(buffer)[:count]))
        return count


class _Reader:
    """Reads one file, never more of it at once than one Document."""

    def __init__(self, name: str, size: int, file: "io.BufferedReader[_DigestedFile]", advance: Advance) -> None:
        self._name = name
        self._file = file
        self._advance = advance
        self._told = self._untold = 0
        start = file.peek(16)
        self._stream: BinaryIO = file
        if start.startswith(GZIP_START):
            self._stream = io.BufferedReader(gzip.GzipFile(fileobj=file), _BUFFER_BYTES)
        elif BZ2_START.match(start):
            self._stream = io.BufferedReader(bz2.BZ2File(file), _BUFFER_BYTES)
        self._left = max(FREE_BYTES, MAX_RATIO * size)

    def documents(self) -> Iterator[DocumentProto | str]:
        first = self._stream.read(1)
        if not first:
            raise InputError(f"{self._name} holds no Documents. Give an array with at least two.")
        if first[0] == _ARRAY_START:
            yield from self._message()
        elif first[0] == _STREAM_VERSION:
            yield from self._frames()
        else:
            raise self._refusal(first + self._stream.read(15))

    def _message(self) -> Iterator[DocumentProto | str]:
        """Yield the Documents of a DocumentArrayProto whose first tag was read."""
        tag = b"\x0a"
        while tag:
            if tag[0] != _ARRAY_START:
                raise InputError(f"{self._name} is damaged or no DocumentArray in protobuf. {_HOW_TO_SAVE}.")
            yield self._document(self._length(), compressed=False)
            tag = self._stream.read(1)

    def _length(self) -> int:
        value = 0
        for shift in range(0, 64, 7):
            byte = self._exactly(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        return value

    def _frames(self) -> Iterator[DocumentProto | str]:
        """Yield the Documents of the streaming form whose version was read."""
        count = int.from_bytes(self._exactly(_STREAM_HEADER_BYTES - 1), "big")
        for _ in range(count):
            yield self._document(int.from_bytes(self._exactly(4), "big"), compressed=True)
        if self._stream.read(1):
            raise InputError(f"{self._name} is damaged: it goes on after the {count} Documents of its header.")
        if not count:
            raise InputError(f"{self._name} holds no Documents. Give an array with at least two.")

    def _document(self, length: int, compressed: bool) -> DocumentProto | str:
        if length > MAX_DOCUMENT_BYTES:
            raise InputError(
                f"{self._name} is no DocumentArray in protobuf, or holds a Document of {length} bytes; at most "
                f"{MAX_DOCUMENT_BYTES} are accepted. {_HOW_TO_SAVE}."
            )
        data = self._exactly(length)
        if compressed:
            data = self._unpacked(data)
        self._count(len(data))
        try:
            check_parts(data)
            return DocumentProto.FromString(data)
        except InputError as error:
            return str(error)
        except DecodeError:
            return "its bytes are no Document in protobuf"

    def _unpacked(self, data: bytes) -> bytes:
        """Return the bytes of a Document of the streaming form, each of which may be compressed by itself."""
        if data.startswith(GZIP_START):
            gzip_unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            unpacked, whole = gzip_unpacker.decompress(data, MAX_DOCUMENT_BYTES), gzip_unpacker.eof
        elif BZ2_START.match(data):
            bz2_unpacker = bz2.BZ2Decompressor()
            unpacked, whole = bz2_unpacker.decompress(data, MAX_DOCUMENT_BYTES), bz2_unpacker.eof
        elif data and data[0] != _ARRAY_START and (starts_pickle(data) or data.startswith(tuple(_OTHER_COMPRESSIONS))):
            raise self._refusal(data[:16])
        else:
            return data
        if not whole:
            raise InputError(
                f"{self._name} holds a Document that is cut off or unpacks to more than {MAX_DOCUMENT_BYTES} bytes. "
                f"{_HOW_TO_SAVE}."
            )
        if starts_pickle(unpacked):
            raise self._refusal(unpacked[:16])
        return unpacked

    def _refusal(self, start: bytes) -> InputError:
        if starts_pickle(start):
            problem = "holds pickles, which are never loaded because unpickling runs code"
        else:
            found = (other for magic, other in _OTHER_COMPRESSIONS.items() if start.startswith(magic))
            compression = next(found, "")
            problem = (
                f"is compressed with {compression}, only gzip and bz2 are read"
                if compression
                else f"starts with {start[:4]!r}, which is not a DocumentArray in protobuf"
            )
        return InputError(f"{self._name} {problem}. {_HOW_TO_SAVE}.")

    def _exactly(self, count: int) -> bytes:
        data = self._stream.read(count)
        if len(data) < count:
            raise EOFError(f"{count - len(data)} more bytes were announced")
        return data

    def _count(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise InputError(
                f"{self._name} unpacks to more than {FREE_BYTES >> 30} GiB and {MAX_RATIO} times its size, as an "
                "attack does. Save it in several files, or uncompressed."
            )
        self._untold += count
        if self._untold >= _BUFFER_BYTES:
            position = self._file.tell()
            self._advance(position - self._told)
            self._told, self._untold = position, 0
