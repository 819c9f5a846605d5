"""Folders of documents of our own that hold judged pairs, read back into rows.

Documents of pairs, matches and beir say in `relevance.parquet` what belongs together, not in themselves; so do the
evaluation folders of scored and text-image.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import ID_COLUMN, RELEVANCE_COLUMNS, ROLE_COLUMN, Role, Split, SplitColumns
from embedtune.documents.shards.folder import MANIFEST_NAME, BuiltFolder, Manifest, read_manifest
from embedtune.documents.shards.tables import RELEVANCE_NAME
from embedtune.errors import InputError
from embedtune.records.layouts import SPLIT_COLUMN, Modality
from embedtune.records.output import RowsOutput
from embedtune.records.rows import IngestReport

_BATCH_ROWS = {True: 10_000, False: 64}
"""Rows in memory at a time: of texts and addresses, and of images and meshes."""


def is_judged_folder(files: Sequence[Path]) -> bool:
    """Tell whether files are a folder of documents whose judged pairs are not in the Documents themselves.

    Raises:
        InputError: they are several folders of documents, such as those for training and for evaluation.
        StorageError: the manifest cannot be read.
    """
    folder = _folder(files)
    if folder is None:
        return False
    manifest = read_manifest(folder)
    has_parents = any(SplitColumns(manifest.rows_format, shard.split).is_parent for shard in manifest.shards)
    return manifest.relevance is not None and not has_parents


def ingest_judged_folder(files: Sequence[Path], origin: str, output: RowsOutput) -> IngestReport:
    """Turn a folder of documents with judged pairs into rows, one for each pair; memory holds the contents.

    The line of a row is the number of its pair, from 1. Of beir, documents that nobody judged follow.

    Args:
        files: All files of the folder.
        origin: Its URI, for messages.
        output: Takes the rows; none is set aside, since the Documents were checked when they were built. Just opened.

    Raises:
        InputError: shards are elsewhere, or a judged Document is not in the folder.
        StorageError: the folder is damaged, or an output cannot be written.
    """
    folder = _folder(files)
    manifest = read_manifest(folder) if folder is not None else None
    if folder is None or manifest is None:
        raise InputError(f"{origin} is no folder of documents. Give what the build-documents step wrote.")
    if any(shard.uri for shard in manifest.shards):
        # A manifest from elsewhere must not make us open whatever it names.
        raise InputError(
            f"{origin} names shards in other places. Give the rows that the documents were made from, or a folder that "
            "holds its shards."
        )
    output.begin(manifest.rows_format)
    for batch in _iter_batches(folder, manifest, origin):
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            output.add(row, sum(len(value) for value in row if isinstance(value, bytes | str)))
    output.finish([])
    told = f"folder of documents, layout {manifest.layout}"
    return IngestReport(output.rows, 0, manifest.layout, manifest.modalities, len(manifest.shards), told)


def _folder(files: Sequence[Path]) -> Path | None:
    folders = [path.parent for path in files if path.name == MANIFEST_NAME]
    if len(folders) > 1:
        raise InputError(f"There are {len(folders)} folders of documents ({MANIFEST_NAME} in each). Give one of them.")
    return folders[0] if folders and folders[0] / RELEVANCE_NAME in files else None


def _iter_batches(folder: Path, manifest: Manifest, origin: str) -> Iterator[pa.Table]:
    """Yield the rows, some at a time."""
    built = BuiltFolder(folder, manifest)
    is_train = bool(built.shards(Split.TRAIN))
    first, second = (built.table(Split.TRAIN if is_train else split) for split in (Split.QUERY, Split.INDEX))
    judged = built.relevance()
    if judged is None:
        raise InputError(f"{origin} has lost its judged pairs. Build it again.")
    queries, documents = _numbers(judged, first, second, origin)
    gains, splits = judged.column(RELEVANCE_COLUMNS[2]), None
    if manifest.layout.has_splits:
        others = _unjudged(documents, second)
        documents = pa.concat_arrays([documents, others])
        queries = pa.concat_arrays([queries, pa.nulls(len(others), queries.type)])
        gains = pa.chunked_array([*gains.chunks, pa.array([0.0] * len(others), pa.float32())])
        told = (
            judged.column(SPLIT_COLUMN).chunks if SPLIT_COLUMN in judged.column_names else [pa.repeat("", len(judged))]
        )
        splits = pa.chunked_array([*told, pa.repeat("", len(others))])
    sides = (Split.TRAIN, Split.TRAIN) if is_train else (Split.QUERY, Split.INDEX)
    stored = [_stored(table, manifest, split) for table, split in zip((first, second), sides, strict=True)]
    is_small = not manifest.loaded or set(manifest.modalities) == {Modality.TEXT}
    for start in range(0, len(documents), _BATCH_ROWS[is_small]):
        part = slice(start, start + _BATCH_ROWS[is_small])
        contents = [table.take(numbers[part]) for table, numbers in zip(stored, (queries, documents), strict=True)]
        columns = [pa.array(range(start + 1, start + 1 + len(contents[0]))), *contents[0].columns, *contents[1].columns]
        if manifest.layout.is_ranked or manifest.layout.has_scores:
            columns.append(gains[part])
        if splits is not None:
            columns.append(splits[part])
        yield pa.table(columns, names=manifest.rows_format.schema.names)


def _numbers(judged: pa.Table, first: pa.Table, second: pa.Table, origin: str) -> tuple[pa.Array, pa.Array]:
    """Return of each judged pair the positions of query and document in their tables."""
    found = []
    for column, table in zip(RELEVANCE_COLUMNS, (first, second), strict=False):
        ids = judged.column(column).cast(pa.large_string())
        numbers = pc.index_in(ids, value_set=table.column(ID_COLUMN).combine_chunks()).combine_chunks()
        if numbers.null_count:
            missing = ids.filter(pc.is_null(numbers))[0].as_py()
            raise InputError(f"{origin} judges the Document {missing!r}, which it does not hold. Build it again.")
        found.append(numbers)
    return found[0], found[1]


def _unjudged(documents: pa.Array, table: pa.Table) -> pa.Array:
    """Return the positions of documents that no pair judges."""
    everything = pa.array(range(len(table)), documents.type)
    wanted = pc.invert(pc.is_in(everything, value_set=documents))
    if ROLE_COLUMN in table.column_names:
        wanted = pc.and_(wanted, pc.not_equal(table.column(ROLE_COLUMN).combine_chunks(), Role.QUERY.value))
    return everything.filter(wanted)


def _stored(table: pa.Table, manifest: Manifest, split: Split) -> pa.Table:
    """Return the content of each Document as the columns of a rows file hold it."""
    content = SplitColumns(manifest.rows_format, split).contents[0]
    if content.modality is Modality.TEXT:
        return table.select([content.column])
    if not content.loaded:
        return table.select([content.uri_column])
    values = table.column(content.column)
    digests = pa.array([hashlib.sha256(value.as_buffer()).hexdigest() for value in values])
    return pa.table({"content": values, "digest": digests, "uri": table.column(content.uri_column)})
