"""A folder of Documents: what its manifest says, and reading what that vouches for.

The manifest is written last, so a folder without one is not finished. Plain docarray reads a shard with
`DocumentArray.load_binary(file, protocol='protobuf-array', compress='gzip')`. Give it an open file or bytes: of a path
it believes the ending, and may unpickle (docarray 0.21).
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from embedtune.documents.schema import DIVIDED_SCHEMA, RELEVANCE_COLUMNS, RELEVANCE_SCHEMA, Split, SplitColumns
from embedtune.documents.shards.codec import decode_documents
from embedtune.errors import StorageError
from embedtune.manifests import OtherFormatError, parse_as
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import local_copy

T = TypeVar("T")

MANIFEST_NAME = "manifest.json"

FORMAT = "embedtune.documents"
FORMAT_VERSION = 2

PART_NAME = "part.json"
"""List of the shards in a folder that a manifest elsewhere may name; alone it makes no folder of documents."""

PART_FORMAT = "embedtune.documents.part"

_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Shard:
    """One file of Documents."""

    name: str
    """File name, different for each shard of a folder."""
    split: Split
    rows: int
    """Number of Documents, at least 1."""
    sha256: str
    """Checksum of the file in hexadecimal."""
    uri: str = ""
    """Where the file is, a path or an address on the object store that ends with `name`; '' beside the manifest."""

    def __post_init__(self) -> None:
        """Check name, rows and address, with a ValueError where they are none that we write."""
        _check_plain(self.name)
        if self.rows < 1:
            raise ValueError(f"the shard {self.name!r} has {self.rows} rows; at least 1 is expected")
        # Not told with its address, which may hold a secret.
        if self.uri and not (
            self.uri.endswith(f"/{self.name}") and parse_location(self.uri).scheme in (Scheme.FILE, Scheme.S3)
        ):
            raise ValueError(f"uri is not the address of a file {self.name!r} on a disk or the object store")


@dataclass(frozen=True)
class RelevanceFile:
    """The file of judged pairs."""

    name: str
    """File name inside the folder."""
    rows: int
    """Number of judged pairs."""
    sha256: str
    """Checksum of the file in hexadecimal."""

    def __post_init__(self) -> None:
        """Check the name, with a ValueError where it is none that we write."""
        _check_plain(self.name)


@dataclass(frozen=True)
class Manifest:
    """What a folder of documents holds."""

    layout: Layout
    modalities: tuple[Modality, ...]
    """Of each content of a row, in the order of `Layout.contents`."""
    loaded: bool
    """False: Documents of images and meshes hold only the address of their content."""
    shards: tuple[Shard, ...]
    """In the order in which the Documents are read."""
    relevance: RelevanceFile | None
    """The judged pairs, or None where the rows judge none."""
    train_digest: str = ""
    """Evaluation folders: digest of the training documents that these were held out from; '' otherwise."""

    def __post_init__(self) -> None:
        """Check what the fields say together, with a ValueError where it is nothing that we write."""
        contents = len(self.layout.contents)
        if len(self.modalities) != contents:
            raise ValueError(f"{self.layout} has {contents} contents, not {len(self.modalities)}")
        _check_different(shard.name for shard in self.shards)

    @property
    def rows_format(self) -> RowsFormat:
        """What the rows held that the documents were made from."""
        return RowsFormat(self.layout, self.modalities, self.loaded)

    @property
    def digest(self) -> str:
        """`sha256:<hex>` over the content of the folder, wherever its shards are and when it was built."""
        return "sha256:" + hashlib.sha256(self.without_places().to_json().encode()).hexdigest()

    def without_places(self) -> "Manifest":
        """Return what does not change when shards are moved."""
        return dataclasses.replace(self, shards=tuple(dataclasses.replace(shard, uri="") for shard in self.shards))

    def save(self, folder: Path) -> None:
        """Write the manifest into its folder."""
        (folder / MANIFEST_NAME).write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """Return the manifest as JSON that is equal for equal content."""
        head = {"format": FORMAT, "version": FORMAT_VERSION}
        return json.dumps({**head, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True)
class _Part:
    """What the list of a part's shards says."""

    shards: tuple[Shard, ...]

    def __post_init__(self) -> None:
        _check_different(shard.name for shard in self.shards)


def part_to_json(shards: Sequence[Shard]) -> str:
    """Return the list of a part's shards as JSON; `read_part` reads it."""
    head = {"format": PART_FORMAT, "version": FORMAT_VERSION}
    return json.dumps({**head, "shards": [dataclasses.asdict(shard) for shard in shards]}, indent=2) + "\n"


def parse_manifest(text: str | bytes, path: str) -> Manifest:
    """Read the JSON of a manifest.

    Args:
        text: The JSON.
        path: Where it was found, for the error message.

    Raises:
        StorageError: It is not a manifest that this version can read.
    """
    return _parse(Manifest, text, FORMAT, path)


def _parse(kind: type[T], text: str | bytes, file_format: str, path: str) -> T:
    try:
        return parse_as(kind, text, file_format, FORMAT_VERSION)
    except OtherFormatError as error:
        raise StorageError(f"{path} {error}. Build the documents again with the version that reads them.") from error
    except ValueError as error:
        raise StorageError(f"{path} is damaged ({error}). Build the documents again.") from error


def _check_plain(name: str) -> None:
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"name {name!r} is not a plain file name")


def _check_different(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the shard {name!r} is named twice")
        seen.add(name)


@dataclass(frozen=True)
class BuiltFolder:
    """A folder of documents whose manifest was read; all that is read of it is checked against that.

    Whatever reads raises StorageError where a file is missing, damaged, or not what the manifest says.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def open(cls, path: Path) -> "BuiltFolder":
        """Read the manifest of a folder."""
        return cls(path, read_manifest(path))

    def columns(self, split: Split) -> SplitColumns:
        """Return what the Documents of a split hold."""
        return SplitColumns(self.manifest.rows_format, split)

    def table(self, split: Split) -> pa.Table:
        """Read a whole split: the columns of `SplitColumns.schema` (N,); N = 0 where the folder has no such split."""
        return pa.concat_tables([self.columns(split).schema.empty_table(), *self.tables(split)])

    def tables(self, split: Split) -> Iterator[pa.Table]:
        """Read a split one shard at a time: images and meshes need not be in memory all at once.

        Yields:
            The columns of `SplitColumns.schema` of one shard (1..DOCUMENTS_PER_SHARD,).
        """
        return map(self.shard, self.shards(split))

    def shards(self, split: Split) -> list[Shard]:
        """Return the shards of a split, in their order."""
        return [shard for shard in self.manifest.shards if shard.split is split]

    def shard(self, shard: Shard) -> pa.Table:
        """Read one shard: the columns of `SplitColumns.schema` (1..DOCUMENTS_PER_SHARD,)."""
        table = decode_documents(self._read(shard), self.columns(shard.split), place_of(self.path, shard))
        self._check_rows(shard, len(table))
        return table

    def relevance(self) -> pa.Table | None:
        """Read the judged pairs: RELEVANCE_COLUMNS and perhaps the split (P,), or None where the rows judge none."""
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
    path = f"{folder}/{PART_NAME}"
    part = _parse(_Part, read_file(path), PART_FORMAT, path)
    try:
        return tuple(dataclasses.replace(shard, uri=f"{folder}/{shard.name}") for shard in part.shards)
    except ValueError as error:
        raise StorageError(f"{folder} is no place for shards: {error}.") from error


def place_of(folder: Path, entry: Shard | RelevanceFile) -> str:
    """Return the path or address of a file that the manifest in `folder` names."""
    return entry.uri if isinstance(entry, Shard) and entry.uri else str(folder / entry.name)


def read_file(place: str) -> bytes:
    """Read a file of a build, given its path or its address on the object store; StorageError if it cannot be."""
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
