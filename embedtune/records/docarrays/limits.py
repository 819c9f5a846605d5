"""How much of a foreign Document is accepted, checked on its bytes before protobuf makes objects of them.

An empty chunk takes two bytes in protobuf and 200 in memory, so a Document of a few MiB can be made to fill a machine.
Field numbers are those of docarray 0.21's `docarray.proto`.
"""

from embedtune.errors import InputError
from embedtune.records.source_kind import read_varint

FREE_BYTES = 1 << 20
"""A Document of up to so many bytes is not checked."""

MAX_PARTS = 100_000
"""Chunks and matches of one Document, at all depths."""

MAX_OTHER_BYTES = 4 << 20
"""Of one Document with its chunks and matches: everything but blobs, texts and the numbers of tensors."""

_BLOB, _TENSOR, _TEXT, _CHUNKS, _MATCHES, _EMBEDDING = 2, 3, 4, 14, 15, 16
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_MAX_DEPTH = 16


def check_parts(data: bytes) -> None:
    """Refuse the bytes of a Document with too many chunks and matches or too much besides contents, or no protobuf."""
    if len(data) <= FREE_BYTES:
        return
    check = _Check(data)
    try:
        check.document(0, len(data), 0)
    except IndexError as error:
        raise InputError("its bytes are no Document in protobuf") from error


class _Check:
    """Walks over the fields of a Document, its chunks and its matches."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parts = 0
        self._other = 0

    def document(self, position: int, end: int, depth: int) -> None:
        """Count what the bytes from `position` to `end` hold."""
        if depth > _MAX_DEPTH:
            raise InputError(f"its chunks or matches are nested more than {_MAX_DEPTH} deep")
        while position < end:
            begin = position
            number, start, position = self._field(position, end)
            if number in (_CHUNKS, _MATCHES):
                self._parts += 1
                self.document(start, position, depth + 1)
            elif number in (_TENSOR, _EMBEDDING):
                self._array(start, position)
            elif number not in (_BLOB, _TEXT):
                self._other += position - begin
            self._judge()

    def _array(self, position: int, end: int) -> None:
        """Count everything but the numbers of a dense NdArrayProto: field 1 of its field 1."""
        while position < end:
            begin = position
            number, inner, position = self._field(position, end)
            if number != 1:
                self._other += position - begin
            while number == 1 and inner < position:
                begin = inner
                number_inside, _, inner = self._field(inner, position)
                self._other += 0 if number_inside == 1 else inner - begin
                self._judge()
            self._judge()

    def _judge(self) -> None:
        if self._parts > MAX_PARTS:
            raise InputError(f"it has more than {MAX_PARTS} chunks and matches")
        if self._other > MAX_OTHER_BYTES:
            raise InputError(f"it has more than {MAX_OTHER_BYTES >> 20} MiB besides its contents")

    def _field(self, position: int, end: int) -> tuple[int, int, int]:
        """Return the number of a field, where its value starts, and where the next field starts."""
        tag, position = read_varint(self._data, position)
        start, kind = position, tag & 7
        if kind == _VARINT:
            _, position = read_varint(self._data, position)
        elif kind == _DELIMITED:
            length, start = read_varint(self._data, position)
            position = start + length
        elif kind in (_FIXED32, _FIXED64):
            position += 4 if kind == _FIXED32 else 8
        else:
            raise IndexError(kind)
        if position > end:
            raise IndexError(position)
        return tag >> 3, start, position
