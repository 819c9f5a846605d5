"""Folders of Documents: shards, judged pairs, and a manifest that vouches for both.

Plain docarray reads a shard with
`DocumentArray.load_binary(file, protocol='protobuf-array', compress='gzip')`. Give it an open file or bytes: of a path
it believes the ending, and may unpickle (docarray 0.21).
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.documents.codec import COMPRESSION, PROTOCOL, decode_documents, encode_documents
from embedtune.documents.manifest import MANIFEST_NAME, TEXT_MODALITY, Manifest, RelevanceFile, Shard, parse_manifest
from embedtune.documents.schema import RELEVANCE_COLUMNS, ROLE_COLUMN, TABLE_COLUMNS, Split
from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.records.layouts import Layout

DOCUMENTS_PER_SHARD = 50_000
"""Bounds the memory of writing and reading: some 20 MB for sentences."""

BYTES_PER_SHARD = 256 << 20
"""Bounds the memory where texts are long, and keeps a shard below the 2 GiB that a protobuf message can hold."""

RELEVANCE_NAME = "relevance.parquet"

RELEVANCE_SCHEMA = pa.schema(zip(RELEVANCE_COLUMNS, (pa.string(), pa.string(), pa.float32()), strict=True))


def write_documents(
    folder: Path,
    layout: Layout,
    splits: Mapping[Split, Iterable[pa.Table]],
    relevance: pa.Table | None,
    advance: Advance,
    train_digest: str = "",
) -> Manifest:
    """Write a folder of documents; equal tables give equal bytes.

    Args:
        folder: A folder to create, or an empty one.
        layout: The layout of the rows.
        splits: The shards of each split: string columns id, text, label and, for training pairs, role
            (1..DOCUMENTS_PER_SHARD rows each).
        relevance: The judged pairs with RELEVANCE_SCHEMA, or None for labelled.
        advance: Called with the number of Documents just written.
        train_digest: Digest of the training documents that these were held out from, '' for training documents.

    Raises:
        StorageError: A file cannot be written.
    """
    try:
        folder.mkdir(exist_ok=True)
        shards = tuple(shard for split, tables in splits.items() for shard in _write(folder, split, tables, advance))
        manifest = Manifest(layout, TEXT_MODALITY, shards, _write_relevance(folder, relevance), train_digest)
        manifest.save(folder)
    except OSError as error:
        raise StorageError(
            f"Cannot write documents to {folder}: {error}. Free space or choose another place."
        ) from error
    return manifest


def _write(folder: Path, split: Split, tables: Iterable[pa.Table], advance: Advance) -> Iterator[Shard]:
    for number, table in enumerate(tables):
        name = f"{split}-{number:05}.{PROTOCOL}.{COMPRESSION}"
        data = encode_documents(table)
        (folder / name).write_bytes(data)
        advance(len(table))
        yield Shard(name, split, len(table), hashlib.sha256(data).hexdigest())


def _write_relevance(folder: Path, relevance: pa.Table | None) -> RelevanceFile | None:
    if relevance is None:
        return None
    sink = io.BytesIO()
    pq.write_table(relevance.cast(RELEVANCE_SCHEMA), sink, compression="zstd")
    (folder / RELEVANCE_NAME).write_bytes(sink.getvalue())
    return RelevanceFile(RELEVANCE_NAME, len(relevance), hashlib.sha256(sink.getvalue()).hexdigest())


def read_manifest(folder: Path) -> Manifest:
    """Read what a folder of documents says about itself.

    Raises:
        StorageError: There is no manifest, or it is not one that this version can read.
    """
    path = folder / MANIFEST_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"Cannot read {path}: {error.strerror}. Expected a folder of documents as the build-documents step writes "
            "it; one without a manifest was not finished. Build the documents again."
        ) from error
    except UnicodeDecodeError as error:
        raise StorageError(f"{path} is damaged ({error}). Build the documents again.") from error
    return parse_manifest(text, path)


def documents_digest(folder: Path) -> str:
    """Return `sha256:<hex>` over the content of a folder of documents, independent of its place and time.

    Raises:
        StorageError: The manifest cannot be read.
    """
    return "sha256:" + hashlib.sha256(read_manifest(folder).to_json().encode()).hexdigest()


def read_table(folder: Path, split: Split) -> pa.Table:
    """Read a split as columns.

    Returns:
        TABLE_COLUMNS, and ROLE_COLUMN for training pairs, as large strings (N,); N = 0 where the folder has no such
        split.

    Raises:
        StorageError: The manifest or a shard is missing, damaged, or not what the manifest says.
    """
    manifest = read_manifest(folder)
    with_role = manifest.layout is Layout.PAIRS and split is Split.TRAIN
    names = [*TABLE_COLUMNS, ROLE_COLUMN] if with_role else [*TABLE_COLUMNS]
    tables = [pa.schema([(name, pa.large_string()) for name in names]).empty_table()]
    for shard in manifest.shards:
        if shard.split is split:
            table = decode_documents(_read_checked(folder, shard), with_role, str(folder / shard.name))
            _check_rows(folder, shard, len(table))
            tables.append(table)
    return pa.concat_tables(tables)


def read_relevance(folder: Path) -> pa.Table | None:
    """Read the judged pairs of a folder.

    Returns:
        RELEVANCE_COLUMNS (P,), or None where the layout is labelled.

    Raises:
        StorageError: The manifest or the file is missing, damaged, or not what the manifest says.
    """
    entry = read_manifest(folder).relevance
    if entry is None:
        return None
    path = folder / entry.name
    try:
        table = pq.read_table(pa.BufferReader(_read_checked(folder, entry)))
    except pa.ArrowInvalid as error:
        raise StorageError(f"{path} is not a parquet file ({error}). Build the documents again.") from error
    if not table.schema.equals(RELEVANCE_SCHEMA):
        raise StorageError(
            f"{path} has the columns {table.schema.names}, expected {list(RELEVANCE_COLUMNS)} as string, string, "
            "float. Build the documents again."
        )
    _check_rows(folder, entry, len(table))
    return table


def _read_checked(folder: Path, entry: Shard | RelevanceFile) -> bytes:
    path = folder / entry.name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"Cannot read {path}: {error.strerror}. Build the documents again.") from error
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise StorageError(
            f"{path} was changed or cut off: its SHA-256 differs from the manifest's. Build the documents again."
        )
    return data


def _check_rows(folder: Path, entry: Shard | RelevanceFile, rows: int) -> None:
    if rows != entry.rows:
        raise StorageError(
            f"{folder / entry.name} holds {rows} rows, its manifest says {entry.rows}. Build the documents again."
        )
