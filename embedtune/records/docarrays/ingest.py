"""Foreign DocumentArrays become validated rows. Nothing is ever unpickled."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from embedtune.errors import InputError, StorageError, reason
from embedtune.progress import progress
from embedtune.records.docarrays.copying import DocumentCopier
from embedtune.records.docarrays.request import DocumentsRequest
from embedtune.records.docarrays.survey import DEFAULT_VALUES, Survey, chosen_format, match_values
from embedtune.records.docarrays.wire import iter_array
from embedtune.records.layouts import Layout
from embedtune.records.quarantine import Part, QuarantineWriter
from embedtune.records.report import IngestReport
from embedtune.records.rows import open_rows
from embedtune.records.source_kind import is_documents_name
from embedtune.storage.atomic import atomic_path
from embedtune.text import excerpt


def ingest_documents(
    files: Sequence[Path], origin: str, rows: Path, quarantine: Path, request: DocumentsRequest
) -> IngestReport:
    """Turn saved DocumentArrays into rows.

    The files are read twice: to see what most Documents are, and to write those. A Document of another kind or without
    a usable content is set aside; of a Document with one bad match nothing is kept. The line of a row is the number of
    its Document in its file, from 1; several files are several sources. Memory holds one Document and one batch of
    rows. See `wire.iter_array` for what files are read, `shapes` for what a Document becomes, and
    `documents.built_folder` for folders of documents that hold judged pairs.

    Args:
        files: One file of any name, or the files of a folder, of which those named like shards are read.
        origin: URI of the source, for messages.
        rows: Rows file to write. It appears only if nothing is raised. Contents are loaded, or all of them addresses.
        quarantine: Quarantine file to write. It appears as soon as everything was read, even if it is then refused.
        request: How to read them.

    Raises:
        InputError: a file is no DocumentArray in protobuf, there are no Documents, or too many that cannot be used.
        StorageError: a file cannot be read, or an output cannot be written.
    """
    shards = array_files(files)
    if not shards:
        raise InputError(f"{origin} holds no DocumentArray. Give files named such as train.protobuf-array.gzip.")
    try:
        parts = [
            _Array(path, name, f"{origin.rstrip('/')}/{name}" if len(shards) > 1 else origin, path.stat().st_size)
            for name, path in shards.items()
        ]
    except OSError as error:
        raise StorageError(f"{origin} cannot be read: {reason(error)}.") from error
    return _ingest(parts, origin, rows, quarantine, request)


def array_files(files: Sequence[Path]) -> dict[str, Path]:
    """Return the files that are read, by the names that they have in the column `source` where they are several.

    Args:
        files: See `ingest_documents`.
    """
    shards = sorted(path for path in files if is_documents_name(path.name)) if len(files) > 1 else list(files)
    common = os.path.commonpath([path.parent for path in shards]) if shards else ""
    return {path.relative_to(common).as_posix(): path for path in shards}


@dataclass(frozen=True)
class _Array:
    path: Path
    name: str
    origin: str
    size: int


def _ingest(
    parts: Sequence[_Array], origin: str, rows: Path, quarantine: Path, request: DocumentsRequest
) -> IngestReport:
    size = sum(part.size for part in parts)
    survey = Survey()
    with progress(f"Looking at {origin}", size, "bytes") as advance:
        for part in parts:
            for document in iter_array(part.path, part.origin, advance):
                survey.watch(document)
    found = chosen_format(survey, origin)
    values = (
        match_values(survey, request.positive, request.negative, origin)
        if found.layout is Layout.MATCHES
        else DEFAULT_VALUES
    )
    with atomic_path(rows) as rows_part:
        with atomic_path(quarantine) as quarantine_part, ExitStack() as stack:
            several = len(parts) > 1
            file = stack.enter_context(quarantine_part.open("w", encoding="utf-8", newline=""))
            rejected = QuarantineWriter(file, several)
            writer = stack.enter_context(open_rows(rows_part, replace(found, several_sources=several)))
            advance = stack.enter_context(progress(f"Reading {origin}", size, "bytes"))
            copier = DocumentCopier(found, values, request.meshes, writer, rejected, several)
            read = [
                Part(part.name, part.origin, copier.copy(part.name, iter_array(part.path, part.origin, advance)))
                for part in parts
            ]
            copier.flush()
        rejected.check_shares(read, request.max_bad_share, quarantine, "Documents")
    names = f"DocumentArray, {survey.total} Documents" + ("" if found.loaded else " by address")
    if found.layout is Layout.MATCHES:
        names += f", matches {excerpt(values.positive)} relevant, {excerpt(values.negative)} not"
    return IngestReport(writer.count, rejected.count, found.layout, found.modalities, len(parts), names)
