"""Reading folders of Documents: shards, judged pairs, and a manifest that vouches for both.

Plain docarray reads a shard with
`DocumentArray.load_binary(file, protocol='protobuf-array', compress='gzip')`. Give it an open file or bytes: of a path
it believes the ending, and may unpickle (docarray 0.21).
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.documents.schema import RELEVANCE_COLUMNS, Split
from embedtune.documents.shards.codec import decode_documents
from embedtune.documents.shards.manifest import MANIFEST_NAME, PART_NAME, Manifest, Shard, parse_manifest, parse_part
from embedtune.documents.shards.reading import check_rows, place_of, read_checked, read_file
from embedtune.documents.split_columns import DIVIDED_SCHEMA, RELEVANCE_SCHEMA, SplitColumns
from embedtune.errors import StorageError
from embedtune.storage.locations import Scheme, parse_location


def read_manifest(folder: Path) -> Manifest:
    """Read what a folder of documents says about itself.

    Raises:
        StorageError: There is no manifest, or it is not one that this version can read.
    """
    path = folder / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StorageError(
            f"Cannot read {path}: {error.strerror}. Expected a folder of documents as the build-documents step writes "
            "it; one without a manifest was not finished. Build the documents again."
        ) from error
    return parse_manifest(content, str(path))


def read_part(uri: str) -> tuple[Shard, ...]:
    """Read which shards a part holds, with the address of each.

    Args:
        uri: Path or address on the object store of a folder that `writing.write_part` completed.

    Raises:
        StorageError: There is no list of shards, or it is not one that this version can read.
    """
    location = parse_location(uri)
    # A manifest is read in other working folders than the one it was written in.
    folder = str(location.path.absolute()) if location.scheme is Scheme.FILE else uri.rstrip("/")
    return parse_part(read_file(f"{folder}/{PART_NAME}"), folder)


def documents_digest(folder: Path) -> str:
    """Return `sha256:<hex>` over the content of a folder of documents, wherever its shards are and when it was built.

    Raises:
        StorageError: The manifest cannot be read.
    """
    return "sha256:" + hashlib.sha256(read_manifest(folder).without_places().to_json().encode()).hexdigest()


def read_table(folder: Path, split: Split) -> pa.Table:
    """Read a whole split as columns.

    Returns:
        The columns of `SplitColumns.schema` (N,); N = 0 where the folder has no such split.

    Raises:
        StorageError: The manifest or a shard is missing, damaged, or not what the manifest says.
    """
    empty = SplitColumns(read_manifest(folder).rows_format, split).schema.empty_table()
    return pa.concat_tables([empty, *iter_tables(folder, split)])


def iter_tables(folder: Path, split: Split) -> Iterator[pa.Table]:
    """Read a split as columns, one shard at a time: images and meshes need not be in memory all at once.

    Yields:
        The columns of `SplitColumns.schema` of one shard (1..DOCUMENTS_PER_SHARD,).

    Raises:
        StorageError: The manifest or a shard is missing, damaged, or not what the manifest says.
    """
    manifest = read_manifest(folder)
    form = SplitColumns(manifest.rows_format, split)
    for shard in manifest.shards:
        if shard.split is split:
            yield read_shard(folder, shard, form)


def read_shard(folder: Path, shard: Shard, form: SplitColumns) -> pa.Table:
    """Read one shard that the manifest in `folder` names.

    Args:
        folder: The folder of documents.
        shard: One of its manifest's shards.
        form: What the Documents of its split hold.

    Returns:
        The columns of `form.schema` (1..DOCUMENTS_PER_SHARD,).

    Raises:
        StorageError: It is missing, damaged, or not what the manifest says.
    """
    table = decode_documents(read_checked(folder, shard), form, place_of(folder, shard))
    check_rows(folder, shard, len(table))
    return table


def read_relevance(folder: Path) -> pa.Table | None:
    """Read the judged pairs of a folder.

    Returns:
        RELEVANCE_COLUMNS and perhaps the split (P,), or None where the rows judge none.

    Raises:
        StorageError: The manifest or the file is missing, damaged, or not what the manifest says.
    """
    entry = read_manifest(folder).relevance
    if entry is None:
        return None
    path = place_of(folder, entry)
    try:
        table = pq.read_table(pa.BufferReader(read_checked(folder, entry)))
    except pa.ArrowInvalid as error:
        raise StorageError(f"{path} is not a parquet file. Build the documents again.") from error
    if not any(map(table.schema.equals, (RELEVANCE_SCHEMA, DIVIDED_SCHEMA))):
        raise StorageError(
            f"{path} has the columns {table.schema.names}, expected {list(RELEVANCE_COLUMNS)} as string, string, "
            "float. Build the documents again."
        )
    check_rows(folder, entry, len(table))
    return table
