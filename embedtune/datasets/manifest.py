"""The manifest of a dataset: written last, so that a version without one is not there."""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from embedtune.datasets.naming import VERSION_LENGTH
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout
from embedtune.text import shortened

MANIFEST_NAME = "manifest.json"

FORMAT = "embedtune.dataset"
FORMAT_VERSION = 1

FOLDER_LENGTH = 12
"""Characters of the name of the folder with a version's files: the first ones of a SHA-256 over these."""

_FILE_NAME = re.compile(r"\w[\w.-]*", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FOLDER = re.compile(rf"[0-9a-f]{{{FOLDER_LENGTH}}}")
# Numbers that can be added up and written, and times that exist in every zone.
_MOST = 1 << 53
_YEARS = (1970, 9000)
_MOST_SHOWN = 60


@dataclass(frozen=True)
class DatasetFile:
    """One file of a dataset."""

    name: str
    """Plain file name, different for each file."""
    size: int
    """Bytes."""
    rows: int
    """Documents in it; 0 for what only lies beside the Documents."""
    sha256: str
    """Hexadecimal."""


@dataclass(frozen=True)
class DatasetSchema:
    """What the Documents of a dataset hold."""

    fields: tuple[str, ...]
    """Fields that at least one Document has, sorted; those of chunks and matches as 'chunks.text'."""
    tags: tuple[str, ...]
    """The first names in `tags` of the Documents, sorted."""
    modalities: tuple[str, ...]
    """Of each content of a row that most Documents become; empty where they become none."""


@dataclass(frozen=True)
class DatasetManifest:
    """What one version of a dataset is."""

    content: str
    """SHA-256 over the Documents in hexadecimal, however they are cut into files; its beginning is the version."""
    created: str
    """When this version was first pushed, ISO 8601 with the zone, by the pusher's clock."""
    pushed: str
    """When it was last pushed; the version with the newest one is the latest."""
    public: bool
    """Whether it was made readable for everyone."""
    layout: str
    """Layout that most Documents have, '' if none that embedtune knows."""
    schema: DatasetSchema
    counts: Mapping[str, int]
    """Numbers of chunks, matches and different labels."""
    folder: str
    """Folder with the files, beside the manifest."""
    files: tuple[DatasetFile, ...]
    """In the order in which the Documents are read."""

    @property
    def version(self) -> str:
        """How this version is called."""
        return self.content[:VERSION_LENGTH]

    @property
    def rows(self) -> int:
        """Number of Documents."""
        return sum(file.rows for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def names(self) -> set[str]:
        """The files with their folder."""
        return {f"{self.folder}/{file.name}" for file in self.files}

    def to_json(self) -> bytes:
        """Return what `parse_manifest` reads."""
        head = {"format": FORMAT, "version": FORMAT_VERSION, "rows": self.rows}
        return (json.dumps({**head, **dataclasses.asdict(self)}, indent=2) + "\n").encode()


def parse_manifest(content: bytes, version: str, uri: str) -> DatasetManifest:
    """Read a manifest.

    Args:
        content: The file.
        version: Version in whose folder it was found.
        uri: Address of that folder, for messages.

    Raises:
        StorageError: it is damaged, of a newer format, of another version, or names files outside its folder.
    """
    try:
        data = json.loads(content)
        _check_format(data, uri)
        manifest = _parse(data)
    except (KeyError, RecursionError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise StorageError(f"{uri}/{MANIFEST_NAME} is damaged. Delete this version and push it again.") from error
    except (TypeError, ValueError) as error:  # nearly all in our own words, see `_parse`
        raise StorageError(
            f"{uri}/{MANIFEST_NAME} is damaged ({error}). Delete this version and push it again."
        ) from error
    if manifest.version != version:
        raise StorageError(
            f"{uri}/{MANIFEST_NAME} is of the version {manifest.version}. Delete this version and push it again."
        )
    return manifest


def pushed_at(manifest: DatasetManifest) -> datetime:
    """Return when a version was last pushed."""
    return datetime.fromisoformat(manifest.pushed)


def _check_format(data: object, uri: str) -> None:
    found = (data.get("format"), data.get("version")) if isinstance(data, Mapping) else (None, None)
    if found != (FORMAT, FORMAT_VERSION):
        raise StorageError(
            f"{uri}/{MANIFEST_NAME} is of format {_shown(found[0])} version {_shown(found[1])}; this embedtune reads "
            f"{FORMAT!r} version {FORMAT_VERSION}. Use the version of embedtune that pushed it, or a newer one."
        )


def _parse(data: Mapping[str, object]) -> DatasetManifest:
    schema = _object(data["schema"])
    manifest = DatasetManifest(
        content=_matching(_SHA256, data["content"]),
        created=_time(data["created"]),
        pushed=_time(data["pushed"]),
        public=data["public"] is True,
        layout=_layout(data["layout"]),
        schema=DatasetSchema(_texts(schema["fields"]), _texts(schema["tags"]), _texts(schema["modalities"])),
        counts={name: _count(number) for name, number in _object(data["counts"]).items()},
        folder=_matching(_FOLDER, data["folder"]),
        files=tuple(_parse_file(_object(entry)) for entry in _list(data["files"])),
    )
    if len(manifest.names) < len(manifest.files) or manifest.rows == 0:
        raise ValueError("it names a file twice, or no Documents")
    return manifest


def _parse_file(entry: Mapping[str, object]) -> DatasetFile:
    return DatasetFile(
        _matching(_FILE_NAME, entry["name"]),
        _count(entry["size"]),
        _count(entry["rows"]),
        _matching(_SHA256, entry["sha256"]),
    )


def _matching(pattern: re.Pattern[str], value: object) -> str:
    text = _text(value)
    if not pattern.fullmatch(text):
        raise ValueError(f"{_shown(text)} is not of the form {pattern.pattern!r}")
    return text


def _time(value: object) -> str:
    text = _text(value)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {_shown(text)} has no zone")
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError(f"the time {_shown(text)} lies outside the years {_YEARS[0]} to {_YEARS[1]}")
    # A separator of any kind is accepted above.
    return moment.isoformat(timespec="microseconds")


def _count(value: object) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise TypeError(f"{_shown(value)} is no number of something")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected a text, got {_shown(value)}")
    return value


def _layout(value: object) -> str:
    text = _text(value)
    return text if text in set(Layout) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(_text(entry) for entry in _list(value))


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {_shown(value)}")
    return value


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {_shown(value)}")
    return value


def _shown(value: object) -> str:
    return shortened(repr(value), _MOST_SHOWN)
