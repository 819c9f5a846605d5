"""The manifest of a folder of documents: written last, so that a folder without one is not finished."""

import dataclasses
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from embedtune.documents.schema import Split
from embedtune.errors import StorageError
from embedtune.manifests import OtherFormatError, parse_as
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.storage.locations import Scheme, parse_location

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
        """Check the name and the address.

        Raises:
            ValueError: It is no plain file name, or no address of it on a disk or the object store.
        """
        _check_plain(self.name)
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
        """Check the name.

        Raises:
            ValueError: It is no plain file name.
        """
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
        """Check what the fields say together.

        Raises:
            ValueError: There are not as many modalities as contents of the layout, or a shard is named twice.
        """
        contents = len(self.layout.contents)
        if len(self.modalities) != contents:
            raise ValueError(f"{self.layout} has {contents} contents, not {len(self.modalities)}")
        _check_different(shard.name for shard in self.shards)

    @property
    def rows_format(self) -> RowsFormat:
        """What the rows held that the documents were made from."""
        return RowsFormat(self.layout, self.modalities, self.loaded)

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
    """Return the list of a part's shards as JSON; `parse_part` reads it."""
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


def parse_part(text: str | bytes, uri: str) -> tuple[Shard, ...]:
    """Read which shards a part holds: their addresses begin with its own, a folder's without a slash at the end."""
    part = _parse(_Part, text, PART_FORMAT, f"{uri}/{PART_NAME}")
    try:
        return tuple(dataclasses.replace(shard, uri=f"{uri}/{shard.name}") for shard in part.shards)
    except ValueError as error:
        raise StorageError(f"{uri} is no place for shards: {error}.") from error


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
