"""The manifest of a folder of documents: written last, so that a folder without one is not finished."""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedtune.documents.schema import Split
from embedtune.errors import StorageError
from embedtune.records.layouts import CONTENT_COLUMNS, Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.storage.locations import Scheme, parse_location

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


@dataclass(frozen=True)
class RelevanceFile:
    """The file of judged pairs."""

    name: str
    """File name inside the folder."""
    rows: int
    """Number of judged pairs."""
    sha256: str
    """Checksum of the file in hexadecimal."""


@dataclass(frozen=True)
class Manifest:
    """What a folder of documents holds."""

    layout: Layout
    modalities: tuple[Modality, ...]
    """Of each content of a row, in the order of CONTENT_COLUMNS."""
    loaded: bool
    """False: Documents of images and meshes hold only the address of their content."""
    shards: tuple[Shard, ...]
    """In the order in which the Documents are read."""
    relevance: RelevanceFile | None
    """The judged pairs, or None where the rows judge none."""
    train_digest: str = ""
    """Evaluation folders: digest of the training documents that these were held out from; '' otherwise."""

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


def part_to_json(shards: Sequence[Shard]) -> str:
    """Return the list of a part's shards as JSON; `parse_part` reads it."""
    head = {"format": PART_FORMAT, "version": FORMAT_VERSION}
    return json.dumps({**head, "shards": [dataclasses.asdict(shard) for shard in shards]}, indent=2) + "\n"


def parse_manifest(text: str, path: Path) -> Manifest:
    """Read the JSON of a manifest.

    Args:
        text: The JSON.
        path: Where it was found, for the error message.

    Raises:
        StorageError: It is not a manifest that this version can read.
    """
    try:
        data = json.loads(text)
        _check_format(data, FORMAT, str(path))
        return _parse(data)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged. Build the documents again.") from error


def parse_part(text: str, uri: str) -> tuple[Shard, ...]:
    """Read the JSON that lists the shards of a part.

    Args:
        text: The JSON.
        uri: Address of the part's folder without a slash at its end; the shards' own addresses begin with it.

    Raises:
        StorageError: It is not a list that this version can read.
    """
    name = f"{uri}/{PART_NAME}"
    try:
        data = json.loads(text)
        _check_format(data, PART_FORMAT, name)
        shards = _parse_shards(data["shards"])
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{name} is damaged. Build the documents again.") from error
    return tuple(dataclasses.replace(shard, uri=f"{uri}/{shard.name}") for shard in shards)


def _check_format(data: object, expected: str, name: str) -> None:
    found = (data.get("format"), data.get("version")) if isinstance(data, Mapping) else (None, None)
    if found != (expected, FORMAT_VERSION):
        raise StorageError(
            f"{name} is of format {found[0]!r} version {found[1]!r}; this version of embedtune reads {expected!r} "
            f"version {FORMAT_VERSION}. Build the documents again with the version that reads them."
        )


def _parse(data: Mapping[str, object]) -> Manifest:
    """Rebuild the manifest from JSON.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, unknown or of a wrong kind.
    """
    layout = Layout(str(data["layout"]))
    modalities = tuple(Modality(str(entry)) for entry in _list(data["modalities"]))
    if len(modalities) != len(CONTENT_COLUMNS[layout]):
        raise ValueError(f"{layout} has {len(CONTENT_COLUMNS[layout])} contents, not {len(modalities)}")
    if not isinstance(data["loaded"], bool):
        raise TypeError(f"loaded {data['loaded']!r} is neither true nor false")
    return Manifest(
        layout=layout,
        modalities=modalities,
        loaded=data["loaded"],
        shards=_parse_shards(data["shards"]),
        relevance=None if data["relevance"] is None else RelevanceFile(*_parse_file(_object(data["relevance"]))),
        train_digest=_text(data["train_digest"]),
    )


def _parse_shards(value: object) -> tuple[Shard, ...]:
    shards = tuple(_parse_shard(_object(entry)) for entry in _list(value))
    _check_different(shard.name for shard in shards)
    return shards


def _check_different(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"the shard {name!r} is named twice")
        seen.add(name)


def _parse_shard(entry: Mapping[str, object]) -> Shard:
    name, rows, sha256 = _parse_file(entry)
    uri = _text(entry["uri"])
    if uri:
        location = parse_location(uri)
        if location.scheme not in (Scheme.FILE, Scheme.S3) or not uri.endswith(f"/{name}"):
            raise ValueError(f"uri {uri!r} is not the address of a file {name!r} on a disk or the object store")
    return Shard(name, Split(str(entry["split"])), rows, sha256, uri)


def _parse_file(entry: Mapping[str, object]) -> tuple[str, int, str]:
    name, rows, sha256 = _text(entry["name"]), entry["rows"], _text(entry["sha256"])
    if not isinstance(rows, int):
        raise TypeError(f"rows {rows!r} is no number")
    if not _FILE_NAME.fullmatch(name):
        raise ValueError(f"name {name!r} is not a plain file name")
    return name, rows, sha256


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {value!r}")
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r}")
    return value


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return value
