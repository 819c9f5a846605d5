"""The manifest of a dataset: written last, so that a version without one is not there."""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from embedtune.datasets.naming import VERSION_LENGTH
from embedtune.manifests import OtherFormatError, parse_as
from embedtune.records.layouts import Layout
from embedtune.storage.errors import DamagedError
from embedtune.text import excerpt

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

    def __post_init__(self) -> None:
        """Check each field, with a ValueError where it is none that we write."""
        _check_matching(_FILE_NAME, self.name)
        _check_matching(_SHA256, self.sha256)
        _check_count(self.size)
        _check_count(self.rows)


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

    rows: int
    """Number of Documents."""
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

    def __post_init__(self) -> None:
        """Check each field, with a ValueError where it is none that we write."""
        _check_matching(_SHA256, self.content)
        _check_matching(_FOLDER, self.folder)
        for number in self.counts.values():
            _check_count(number)
        if len(self.names) < len(self.files) or not self.rows:
            raise ValueError("it names a file twice, or no Documents")
        if self.rows != sum(file.rows for file in self.files):
            raise ValueError(f"{self.rows} rows are not those of its files")

    @property
    def version(self) -> str:
        """How this version is called."""
        return self.content[:VERSION_LENGTH]

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
        head = {"format": FORMAT, "version": FORMAT_VERSION}
        return (json.dumps({**head, **dataclasses.asdict(self)}, indent=2) + "\n").encode()


def parse_manifest(content: bytes, version: str, uri: str) -> DatasetManifest:
    """Read a manifest, found in the folder of a version with this address; DamagedError if it is none of that one."""
    name = f"{uri}/{MANIFEST_NAME}"
    try:
        manifest = _in_our_words(parse_as(DatasetManifest, content, FORMAT, FORMAT_VERSION))
    except OtherFormatError as error:
        raise DamagedError(f"{name} {error}. Use the version of embedtune that pushed it, or a newer one.") from error
    except ValueError as error:
        raise DamagedError(f"{name} is damaged ({error}). Delete this version and push it again.") from error
    if manifest.version != version:
        raise DamagedError(f"{name} is of the version {manifest.version}. Delete this version and push it again.")
    return manifest


def pushed_at(manifest: DatasetManifest) -> datetime:
    """Return when a version was last pushed."""
    return datetime.fromisoformat(manifest.pushed)


def _in_our_words(manifest: DatasetManifest) -> DatasetManifest:
    """Return it without what a terminal should not be sent: layouts that there are not, and separators of any kind."""
    return dataclasses.replace(
        manifest,
        created=_time(manifest.created),
        pushed=_time(manifest.pushed),
        layout=manifest.layout if manifest.layout in set(Layout) else "",
    )


def _time(text: str) -> str:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {excerpt(text)} has no zone")
    if not _YEARS[0] <= moment.year <= _YEARS[1]:
        raise ValueError(f"the time {excerpt(text)} lies outside the years {_YEARS[0]} to {_YEARS[1]}")
    return moment.isoformat(timespec="microseconds")


def _check_matching(pattern: re.Pattern[str], text: str) -> None:
    if not pattern.fullmatch(text):
        raise ValueError(f"{excerpt(text)} is not of the form {pattern.pattern!r}")


def _check_count(number: int) -> None:
    if not 0 <= number <= _MOST:
        raise ValueError(f"{excerpt(str(number))} is no number of something")
