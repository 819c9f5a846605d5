"""Documents in docarray's own bytes: the protocol `protobuf-array`, compressed with gzip.

The protobuf messages are built and read directly. That gives the bytes of `DocumentArray.save_binary` nine times as
fast as constructing `Document` objects (docarray 0.21: 20 us a Document). Pickle, docarray's default, is never used.
"""

import gzip
import zlib

import pyarrow as pa
from docarray.proto.docarray_pb2 import DocumentArrayProto
from google.protobuf.message import DecodeError

from embedtune.documents.schema import LABEL_TAG, ROLE_COLUMN, ROLE_TAG
from embedtune.errors import StorageError

PROTOCOL = "protobuf-array"
COMPRESSION = "gzip"
"""docarray's names of how a shard is written; also the endings of its file name."""

# Over sentences level 4 takes 2 s per million and level 6 takes 3.5 s for files that are 1.6 % smaller.
_GZIP_LEVEL = 4

_ARRAY_START = b"\x0a"
"""First byte of every non-empty DocumentArrayProto: field 1, length-delimited. A pickle starts otherwise."""


def encode_documents(table: pa.Table) -> bytes:
    """Return Documents as compressed bytes, equal for equal tables.

    Args:
        table: String columns id, text, label and, optionally, role (N rows, at least one).
    """
    message = DocumentArrayProto()
    roles = table.column(ROLE_COLUMN).to_pylist() if ROLE_COLUMN in table.column_names else None
    columns = (table.column(name).to_pylist() for name in ("id", "text", "label"))
    for row, (identifier, text, label) in enumerate(zip(*columns, strict=True)):
        document = message.docs.add()
        document.id = identifier
        document.text = text
        document.tags.fields[LABEL_TAG].string_value = label
        if roles is not None:
            document.tags.fields[ROLE_TAG].string_value = roles[row]
    return gzip.compress(message.SerializeToString(deterministic=True), _GZIP_LEVEL, mtime=0)


def decode_documents(data: bytes, with_role: bool, name: str) -> pa.Table:
    """Read back what `encode_documents` wrote.

    Args:
        data: The compressed bytes.
        with_role: Whether the Documents carry a role, which becomes the column role.
        name: What to call the bytes in an error.

    Returns:
        String columns id, text, label and, if asked for, role (N rows).

    Raises:
        StorageError: The bytes are not gzip-compressed protobuf, or a Document lacks a field.
    """
    message = parse_documents(data, name)
    columns = {
        "id": [document.id for document in message.docs],
        "text": [document.text for document in message.docs],
        "label": [document.tags.fields[LABEL_TAG].string_value for document in message.docs],
    }
    if with_role:
        columns[ROLE_COLUMN] = [document.tags.fields[ROLE_TAG].string_value for document in message.docs]
    for column, values in columns.items():
        if not all(values):
            raise StorageError(
                f"Document {values.index('')} of {name} has no {column}; every Document needs a non-empty one. "
                "Build the documents again."
            )
    return pa.table({column: pa.array(values, pa.large_string()) for column, values in columns.items()})


def parse_documents(data: bytes, name: str) -> DocumentArrayProto:
    """Return the message inside compressed bytes, refusing anything that is not a DocumentArray in protobuf.

    Raises:
        StorageError: The bytes are not gzip, are cut off, or hold a pickle or something else.
    """
    try:
        content = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise StorageError(f"{name} is not a complete gzip file ({error}). Build the documents again.") from error
    if not content.startswith(_ARRAY_START):
        raise StorageError(
            f"{name} starts with {content[:2]!r}, which is not a DocumentArray in protobuf; pickled DocumentArrays are "
            f"refused because unpickling runs code. Save it with protocol={PROTOCOL!r}, compress={COMPRESSION!r}."
        )
    try:
        return DocumentArrayProto.FromString(content)
    except DecodeError as error:
        raise StorageError(f"{name} is no DocumentArray in protobuf ({error}). Build the documents again.") from error
