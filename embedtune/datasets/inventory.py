"""What the Documents of a dataset are, seen one by one while they are stored."""

import hashlib
from dataclasses import dataclass

from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.datasets.manifest import DatasetSchema
from embedtune.errors import InputError
from embedtune.records.docarrays.limits import check_parts
from embedtune.records.docarrays.shapes import Survey
from embedtune.records.docarrays.wire import MAX_DOCUMENT_BYTES
from embedtune.records.layouts import LABEL_TAG
from embedtune.records.rows import RowsFormat

_MOST_TAGS = 100


@dataclass(frozen=True)
class Contents:
    """What Documents hold."""

    content: str
    """SHA-256 over them in hexadecimal."""
    layout: str
    """Layout of the rows that they were made from, or that most of them become; '' if none."""
    schema: DatasetSchema
    counts: dict[str, int]
    """Numbers of chunks, matches and different labels."""


class Inventory:
    """Counts and digests Documents.

    Attributes:
        rows: Documents seen.
    """

    def __init__(self, given: RowsFormat | None = None, start: str = "") -> None:
        """Begin with nothing seen; the digest is over `start`, too.

        `given` is what the rows hold that the Documents were made from; None for what most Documents become.
        """
        self.rows = 0
        self._given = given
        self._digest = hashlib.sha256(start.encode())
        self._survey = Survey()
        self._fields: set[str] = set()
        self._tags: set[str] = set()
        self._labels: set[str] = set()
        self._counts = {"chunks": 0, "matches": 0}

    def section(self, name: str) -> None:
        """Say that the Documents that follow are of another part, which makes another content."""
        self._digest.update(b"\xff" * 8 + name.encode())

    def add_document(self, document: DocumentProto | str, origin: str, live: bool = False) -> bytes:
        """Count a Document, or refuse it with an InputError; return its bytes, equal for equal Documents.

        A text says why one cannot be read. `iter_array` checked what comes from a file; `live` comes from memory.
        """
        what = f"{origin}, Document {self.rows}"
        if isinstance(document, str):
            raise InputError(f"{what}: {document}. Mend or remove it, then push again.")
        data = _encoded(document, what, live)
        self.rows += 1
        self._digest.update(len(data).to_bytes(8, "big"))
        self._digest.update(data)
        if self._given is None:
            self._survey.watch(document)
        self._look_at(document, "")
        for name, parts in (("chunks", document.chunks), ("matches", document.matches)):
            self._counts[name] += len(parts)
            for part in parts:
                self._look_at(part, f"{name}.")
        return data

    def contents(self) -> Contents:
        """Return what was seen."""
        found = self._survey.formats.most_common(1)
        best = found[0][0] if found else self._given
        return Contents(
            content=self._digest.hexdigest(),
            layout=best.layout.value if best else "",
            schema=DatasetSchema(
                tuple(sorted(self._fields)),
                tuple(sorted(self._tags)),
                tuple(modality.value for modality in best.modalities) if best else (),
            ),
            counts={**self._counts, "labels": len(self._labels)},
        )

    def _look_at(self, document: DocumentProto, above: str) -> None:
        for field, value in document.ListFields():
            self._fields.add(above + field.name)
            if field.name == "tags" and not above:
                self._look_at_tags(value)

    def _look_at_tags(self, tags: object) -> None:
        fields = tags.fields  # type: ignore[attr-defined]
        if len(self._tags) < _MOST_TAGS:
            self._tags.update(fields)
        if LABEL_TAG in fields:
            label = fields[LABEL_TAG]
            self._labels.add(label.string_value or str(label))


def _encoded(document: DocumentProto, what: str, live: bool) -> bytes:
    data: bytes = document.SerializeToString(deterministic=True)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InputError(f"{what} has {len(data)} bytes; at most {MAX_DOCUMENT_BYTES} can be read back. Cut it up.")
    try:
        if live:
            check_parts(data)
    except InputError as error:
        raise InputError(f"{what} could not be read back: {error}. Mend or remove it, then push again.") from error
    return data
