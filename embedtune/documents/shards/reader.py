"""Reading folders of Documents: shards, judged pairs, and a manifest that vouches for both.

Plain docarray reads a shard with
`DocumentArray.load_binary(file, protocol='protobuf-array', compress='gzip')`. Give it an open file or bytes: of a path
it believes the ending, and may unpickle (docarray 0.21).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.documents.schema import RELEVANCE_COLUMNS, Split
from embedtune.documents.shards.codec import decode_documents
from embedtune.documents.shards.manifest import (
    MANIFEST_NAME,
    PART_NAME,
    Manifest,
    RelevanceFile,
    Shard,
    parse_manifest,
    parse_part,
)
from embedtune.documents.split_columns import DIVIDED_SCHEMA, RELEVANCE_SCHEMA, SplitColumns
from embedtune.errors import StorageError
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import local_copy


@dataclass(frozen=True)
class BuiltFolder:
    """A folder of documents whose manifest was read; all that is read of it is checked against that."""

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> "BuiltFolder":
        """Read the manifest of a folder.

        Raises:
            StorageError: There is no manifest, or it is not one that this version can read.
        """
        return cls(path, read_manifest(path))

    def columns(self, split: Split) -> SplitColumns:
        """Return what the Documents of a split hold."""
        return SplitColumns(self.manifest.rows_format, split)

    def table(self, split: Split) -> pa.Table:
        """Read a whole split: the columns of `SplitColumns.schema` (N,); N = 0 where the folder has no such split.

        Raises:
            StorageError: A shard is missing, damaged, or not what the manifest says.
        """
        return pa.concat_tables([self.columns(split).schema.empty_table(), *self.tables(split)])

    def tables(self, split: Split) -> Iterator[pa.Table]:
        """Read a split one shard at a time: images and meshes need not be in memory all at once.

        Yields:
            The columns of `SplitColumns.schema` of one shard (1..DOCUMENTS_PER_SHARD,).

        Raises:
            StorageError: A shard is missing, damaged, or not what the manifest says.
        """
        return map(self.shard, self.shards(split))

    def shards(self, split: Split) -> list[Shard]:
        """Return the shards of a split, in their order."""
        return [shard for shard in self.manifest.shards if shard.split is split]

    def shard(self, shard: Shard) -> pa.Table:
        """Read one shard: the columns of `SplitColumns.schema` (1..DOCUMENTS_PER_SHARD,).

        Raises:
            StorageError: It is missing, damaged, or not what the manifest says.
        """
        table = decode_documents(self._read(shard), self.columns(shard.split), place_of(self.path, shard))
        self._check_rows(shard, len(table))
        return table

    def relevance(self) -> pa.Table | None:
        """Read the judged pairs: RELEVANCE_COLUMNS and perhaps the split (P,), or None where the rows judge none.

        Raises:
            StorageError: The file is missing, damaged, or not what the manifest says.
        """
        entry = self.manifest.relevance
        if entry is None:
            return None
        path = place_of(self.path, entry)
        try:
            table = pq.read_table(pa.BufferReader(self._read(entry)))
        except pa.ArrowInvalid as error:
            raise StorageError(f"{path} is not a parquet file. Build the documents again.") from error
        if not any(map(table.schema.equals, (RELEVANCE_SCHEMA, DIVIDED_SCHEMA))):
            raise StorageError(
                f"{path} has the columns {table.schema.names}, expected {list(RELEVANCE_COLUMNS)} as string, string, "
                "float. Build the documents again."
            )
        self._check_rows(entry, len(table))
        return table

    def _read(self, entry: Shard | RelevanceFile) -> bytes:
        place = place_of(self.path, entry)
        data = read_file(place)
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise StorageError(
                f"{place} was changed or cut off: its SHA-256 differs from the manifest's. Build the documents again."
            )
        return data

    def _check_rows(self, entry: Shard | RelevanceFile, rows: int) -> None:
        if rows != entry.rows:
            raise StorageError(
                f"{place_of(self.path, entry)} holds {rows} rows, its manifest says {entry.rows}. Build the documents "
                "again."
            )


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
    """Read which shards a part holds, with the address of each; `tables.write_part` completed the folder."""
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
    """Read a whole split of a folder; see `BuiltFolder.table`."""
    return BuiltFolder.open(folder).table(split)


def read_relevance(folder: Path) -> pa.Table | None:
    """Read the judged pairs of a folder; see `BuiltFolder.relevance`."""
    return BuiltFolder.open(folder).relevance()


def place_of(folder: Path, entry: Shard | RelevanceFile) -> str:
    """Return the path or address of a file that the manifest in `folder` names."""
    return entry.uri if isinstance(entry, Shard) and entry.uri else str(folder / entry.name)


def read_file(place: str) -> bytes:
    """Read a file of a build.

    Args:
        place: Its path or its address on the object store.

    Raises:
        StorageError: it cannot be read.
    """
    location = parse_location(place)
    if location.scheme is Scheme.FILE:
        return _read_local(location.path, place)
    with local_copy(place, "") as source:
        return _read_local(source.files[0], place)


def _read_local(path: Path, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"Cannot read {place}: {error.strerror}. Build the documents again.") from error
