"""Documents that were looked at become rows of a file."""

from collections.abc import Iterable, Sequence

from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.errors import InputError
from embedtune.records.docarrays.request import MeshOptions
from embedtune.records.docarrays.shapes import MatchValues, document_rows, rows_format
from embedtune.records.layouts import Modality
from embedtune.records.quarantine import QuarantineWriter
from embedtune.records.rows import POINT_BYTES, RowsFormat, RowsWriter

_BATCH_ROWS = 10_000
_BATCH_BYTES = 16 << 20
_MAX_ROW_BYTES = 512 << 20
"""Of one Document: a query of a few MiB stands beside each of its many matches."""


class DocumentCopier:
    """Writes the rows of Documents, and sets aside the Documents that become none."""

    def __init__(
        self,
        found: RowsFormat,
        values: MatchValues,
        meshes: MeshOptions,
        writer: RowsWriter,
        rejected: QuarantineWriter,
        with_source: bool,
    ) -> None:
        """Begin with nothing written.

        Args:
            found: What the rows hold; Documents that become other ones are set aside.
            values: What the labels of matches mean.
            meshes: How point clouds are drawn from mesh files.
            writer: Of the rows file.
            rejected: Of the quarantine file.
            with_source: Whether the rows have the column `source`.
        """
        self._found = found
        self._values = values
        self._meshes = meshes
        self._writer = writer
        self._rejected = rejected
        self._with_source = with_source
        self._rows: list[tuple[object, ...]] = []
        self._bytes = 0
        self._cloud_bytes = 0

    def copy(self, name: str, documents: Iterable[DocumentProto | str]) -> int:
        """Add the rows of all Documents of a file.

        Args:
            name: The name of the file.
            documents: Its Documents; a text says why one cannot be read.

        Returns:
            How many Documents there were, good and bad.
        """
        line = 0
        for line, document in enumerate(documents, 1):
            head = (line, name) if self._with_source else (line,)
            try:
                rows = self._rows_of(document)
            except InputError as error:
                identifier = "" if isinstance(document, str) else document.id
                self._rejected.add(line, str(error), identifier, name)
                continue
            for row in rows:
                self._rows.append((*head, *row))
                self._bytes += _size(row)
                if len(self._rows) >= _BATCH_ROWS or self._bytes >= _BATCH_BYTES:
                    self.flush()
        return line

    def flush(self) -> None:
        """Write what was collected."""
        if self._rows:
            self._writer.write(list(zip(*self._rows, strict=True)))
            self._rows, self._bytes = [], 0

    def _rows_of(self, document: DocumentProto | str) -> list[tuple[object, ...]]:
        if isinstance(document, str):
            raise InputError(document)
        found = rows_format(document)
        if found != self._found:
            raise InputError(f"it is {_told(found)}, while most Documents are {_told(self._found)}")
        rows = list(document_rows(document, found, self._values, self._meshes))
        if len(rows) > 1 and sum(map(_size, rows)) > _MAX_ROW_BYTES:
            raise InputError(f"its {len(rows)} rows, each with the query, take more than {_MAX_ROW_BYTES >> 20} MiB")
        if Modality.MESH in found.modalities:
            self._check_clouds([value for row in rows for value in row if isinstance(value, bytes)])
        return rows

    def _check_clouds(self, clouds: Sequence[bytes]) -> None:
        """Check that all point clouds have as many points as the first one, as a batch of them must."""
        for cloud in clouds:
            self._cloud_bytes = self._cloud_bytes or len(cloud)
            if len(cloud) != self._cloud_bytes:
                raise InputError(
                    f"a point cloud has {len(cloud) // POINT_BYTES} points, the first one "
                    f"{self._cloud_bytes // POINT_BYTES}"
                )


def _size(row: tuple[object, ...]) -> int:
    return sum(len(value) for value in row if isinstance(value, bytes | str))


def _told(found: RowsFormat) -> str:
    address = "" if found.loaded else " by address"
    return f"{found.layout} ({' and '.join(found.modalities)}{address})"
