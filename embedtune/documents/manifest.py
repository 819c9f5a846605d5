"""The manifest of a folder of documents: written last, so that a folder without one is not finished."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath

from embedtune.documents.schema import Split
from embedtune.errors import StorageError
from embedtune.records.layouts import Layout

MANIFEST_NAME = "manifest.json"

FORMAT = "embedtune.documents"
FORMAT_VERSION = 1

TEXT_MODALITY = "text"
"""The modality of Documents whose content is `text`."""


@dataclass(frozen=True)
class Shard:
    """One file of Documents."""

    name: str
    """File name inside the folder."""
    split: Split
    rows: int
    """Number of Documents, at least 1."""
    sha256: str
    """Checksum of the file in hexadecimal."""


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
    modality: str
    """TEXT_MODALITY."""
    shards: tuple[Shard, ...]
    """In the order in which the Documents are read."""
    relevance: RelevanceFile | None
    """The judged pairs (pairs), or None (labelled)."""
    train_digest: str = ""
    """Evaluation folders: digest of the training documents that these were held out from; '' otherwise."""

    def save(self, folder: Path) -> None:
        """Write the manifest into its folder."""
        (folder / MANIFEST_NAME).write_text(self.to_json(), encoding="utf-8")

    def to_json(self) -> str:
        """Return the manifest as JSON that is equal for equal content."""
        head = {"format": FORMAT, "version": FORMAT_VERSION}
        return json.dumps({**head, **dataclasses.asdict(self)}, indent=2, sort_keys=True) + "\n"


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
        _check_format(data, path)
        return _parse(data)
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(f"{path} is damaged ({error!r}). Build the documents again.") from error


def _check_format(data: object, path: Path) -> None:
    found = (data.get("format"), data.get("version")) if isinstance(data, Mapping) else (None, None)
    if found != (FORMAT, FORMAT_VERSION):
        raise StorageError(
            f"{path} is of format {found[0]!r} version {found[1]!r}; this version of embedtune reads {FORMAT!r} "
            f"version {FORMAT_VERSION}. Build the documents again with the version that reads them."
        )


def _parse(data: Mapping[str, object]) -> Manifest:
    """Rebuild the manifest from JSON.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, unknown or of a wrong kind.
    """
    if data["modality"] != TEXT_MODALITY:
        raise ValueError(f"modality {data['modality']!r} is not {TEXT_MODALITY!r}")
    return Manifest(
        layout=Layout(str(data["layout"])),
        modality=TEXT_MODALITY,
        shards=tuple(_parse_shard(entry) for entry in _list_of_objects(data["shards"])),
        relevance=None if data["relevance"] is None else RelevanceFile(*_parse_file(_object(data["relevance"]))),
        train_digest=_parse_digest(data["train_digest"]),
    )


def _parse_digest(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"train_digest {value!r} is no text")
    return value


def _parse_shard(entry: Mapping[str, object]) -> Shard:
    name, rows, sha256 = _parse_file(entry)
    return Shard(name, Split(str(entry["split"])), rows, sha256)


def _parse_file(entry: Mapping[str, object]) -> tuple[str, int, str]:
    name, rows, sha256 = entry["name"], entry["rows"], entry["sha256"]
    if not isinstance(name, str) or not isinstance(rows, int) or not isinstance(sha256, str):
        raise TypeError(f"entry {dict(entry)!r} needs name, rows and sha256")
    if name in ("", "..") or PurePath(name).name != name:
        raise ValueError(f"name {name!r} is not a plain file name")
    return name, rows, sha256


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, got {value!r}")
    return value


def _list_of_objects(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, got {value!r}")
    return [_object(entry) for entry in value]
