"""The files that a manifest names, beside it or elsewhere, checked against what it says of them."""

import hashlib
from pathlib import Path

from embedtune.documents.shards.manifest import RelevanceFile, Shard
from embedtune.errors import StorageError
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.sources import local_copy


def place_of(folder: Path, entry: Shard | RelevanceFile) -> str:
    """Return the path or address of a file that the manifest in `folder` names."""
    return entry.uri if isinstance(entry, Shard) and entry.uri else str(folder / entry.name)


def read_checked(folder: Path, entry: Shard | RelevanceFile) -> bytes:
    """Read a file that the manifest in `folder` names.

    Raises:
        StorageError: it is missing, or its SHA-256 is not the manifest's.
    """
    place = place_of(folder, entry)
    data = read_file(place)
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise StorageError(
            f"{place} was changed or cut off: its SHA-256 differs from the manifest's. Build the documents again."
        )
    return data


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


def check_rows(folder: Path, entry: Shard | RelevanceFile, rows: int) -> None:
    """Check how many rows a file turned out to hold.

    Raises:
        StorageError: not as many as the manifest says.
    """
    if rows != entry.rows:
        raise StorageError(
            f"{place_of(folder, entry)} holds {rows} rows, its manifest says {entry.rows}. Build the documents again."
        )
