"""Foreign DocumentArrays become validated rows. Nothing is ever unpickled."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from docarray.proto.docarray_pb2 import DocumentProto

from embedtune.errors import InputError, StorageError, reason
from embedtune.progress import progress
from embedtune.records.csv.options import CSVOptions
from embedtune.records.docarrays.shapes import (
    DEFAULT_VALUES,
    MatchValues,
    Survey,
    chosen_format,
    document_rows,
    match_values,
    rows_format,
)
from embedtune.records.docarrays.wire import iter_array
from embedtune.records.layouts import Layout, Modality
from embedtune.records.output import Part, RowsOutput
from embedtune.records.rows import POINT_BYTES, IngestReport, RowsFormat
from embedtune.records.source_kind import is_documents_name
from embedtune.text import excerpt

_MAX_ROW_BYTES = 512 << 20
"""Of one Document: a query of a few MiB stands beside each of its many matches."""


def ingest_documents(files: Sequence[Path], origin: str, output: RowsOutput, options: CSVOptions) -> IngestReport:
    """Turn saved DocumentArrays into rows.

    The files are read twice: to see what most Documents are, and to write those. A Document of another kind or without
    a usable content is set aside; of a Document with one bad match nothing is kept. The line of a row is the number of
    its Document in its file, from 1; several files are several sources. Memory holds one Document and one batch of
    rows. See `wire.iter_array` for what files are read, `shapes` for what a Document becomes, and
    `documents.judged_folder` for folders of documents that hold judged pairs.

    `files` is one file of any name, or those of a folder, of which the ones named like shards are read; `origin` their
    URI for messages. `output` was just opened. Of the options count what labels of matches mean, and how point clouds
    are drawn from mesh files in blobs.

    Raises:
        InputError: a file is no DocumentArray in protobuf, there are no Documents, or too many that cannot be used.
        StorageError: a file cannot be read, or an output cannot be written.
    """
    parts = _parts(files, origin)
    size = sum(part.size for part in parts)
    survey = Survey()
    with progress(f"Looking at {origin}", size, "bytes") as advance:
        for part in parts:
            for document in iter_array(part.path, part.origin, advance):
                survey.watch(document)
    found = chosen_format(survey, origin)
    values = DEFAULT_VALUES
    if found.layout is Layout.MATCHES:
        values = match_values(survey, options.pos_value.strip(), options.neg_value.strip(), origin)
    output.begin(replace(found, several_sources=len(parts) > 1))
    copier = _Copier(found, values, options, output)
    with progress(f"Reading {origin}", size, "bytes") as advance:
        read = [
            Part(part.name, part.origin, copier.copy(part.name, iter_array(part.path, part.origin, advance)))
            for part in parts
        ]
    output.finish(read, "Documents")
    names = f"DocumentArray, {survey.total} Documents" + ("" if found.loaded else " by address")
    if found.layout is Layout.MATCHES:
        names += f", matches {excerpt(values.positive)} relevant, {excerpt(values.negative)} not"
    return IngestReport(output.rows, output.bad_rows, found.layout, found.modalities, len(parts), names)


def array_files(files: Sequence[Path]) -> dict[str, Path]:
    """Return the files that are read, by the names that they have in the column `source` where they are several."""
    shards = sorted(path for path in files if is_documents_name(path.name)) if len(files) > 1 else list(files)
    common = os.path.commonpath([path.parent for path in shards]) if shards else ""
    return {path.relative_to(common).as_posix(): path for path in shards}


@dataclass(frozen=True)
class _Array:
    path: Path
    name: str
    origin: str
    size: int


def _parts(files: Sequence[Path], origin: str) -> list[_Array]:
    shards = array_files(files)
    if not shards:
        raise InputError(f"{origin} holds no DocumentArray. Give files named such as train.protobuf-array.gzip.")
    try:
        return [
            _Array(path, name, f"{origin.rstrip('/')}/{name}" if len(shards) > 1 else origin, path.stat().st_size)
            for name, path in shards.items()
        ]
    except OSError as error:
        raise StorageError(f"{origin} cannot be read: {reason(error)}.") from error


class _Copier:
    """Writes the rows of Documents, and sets aside the Documents that become none."""

    def __init__(self, found: RowsFormat, values: MatchValues, options: CSVOptions, output: RowsOutput) -> None:
        """Begin with nothing written; Documents that become other rows than `found` go aside."""
        self._found = found
        self._values = values
        self._options = options
        self._output = output
        self._cloud_bytes = 0

    def copy(self, name: str, documents: Iterable[DocumentProto | str]) -> int:
        """Add the rows of all Documents of a file, of which a text says why one cannot be read; return their number."""
        line = 0
        for line, document in enumerate(documents, 1):
            head = (line, name) if self._output.rows_format.several_sources else (line,)
            try:
                rows = self._rows_of(document)
            except InputError as error:
                identifier = "" if isinstance(document, str) else document.id
                self._output.reject(line, str(error), identifier, name)
                continue
            for row in rows:
                self._output.add((*head, *row), _size(row))
        return line

    def _rows_of(self, document: DocumentProto | str) -> list[tuple[object, ...]]:
        if isinstance(document, str):
            raise InputError(document)
        found = rows_format(document)
        if found != self._found:
            raise InputError(f"it is {_told(found)}, while most Documents are {_told(self._found)}")
        rows = list(document_rows(document, found, self._values, self._options))
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
