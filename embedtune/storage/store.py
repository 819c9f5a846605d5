"""A place for named files: a prefix of the object store, or a local folder."""

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance, silent
from embedtune.storage.atomic import atomic_path, is_part
from embedtune.storage.digests import CHUNK_BYTES, SMALL_BYTES, changed, check_small, file_sha256
from embedtune.storage.errors import DamagedError, reading
from embedtune.storage.locations import Location

ABANDONED_S = 24 * 3600.0
"""Age in seconds of its newest file from which on nobody is taken to go on with what is incomplete."""


@dataclass(frozen=True, order=True)
class StoredFile:
    """One file of a store."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """When it was stored, in seconds since 1970 by the store's clock."""


class Store(Protocol):
    """Named files; a name has parts separated by '/'. Every method raises StorageError where the place fails."""

    def put_file(self, name: str, source: Path, sha256: str = "", advance: Advance = silent) -> str:
        """Store a file, whole or not at all, in place of an older one.

        Args:
            name: Where.
            source: A local file.
            sha256: What its content must have, remembered for `holds`; '' if that is not known.
            advance: Told the bytes that were stored.

        Returns:
            The SHA-256 of what was stored, in hexadecimal.
        """

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content, whole or not at all, in place of an older one."""

    def get_file(self, name: str, target: Path, sha256: str = "", advance: Advance = silent) -> bool:
        """Fetch a file.

        Args:
            name: Which.
            target: File to write. With a SHA-256 given, what it holds already is taken for the beginning, which need
                not come again. After an error it may hold a part.
            sha256: What the content must have; DamagedError is raised and `target` removed where it has another. ''
                takes what comes.
            advance: Told the bytes that came or were there.

        Returns:
            False if there is none of that name.
        """

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a content of up to SMALL_BYTES; None if there is none of that name."""

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Tell whether a file of that name has that size in bytes and was stored with that SHA-256 given."""

    def entries(self, prefix: str = "") -> list[StoredFile]:
        """Return all files whose names begin so, sorted by name; those that are being written may be among them."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all whole files that begin so, sorted."""

    def children(self) -> list[str]:
        """Return the names of the folders directly below, sorted, not their files."""

    def remove(self, names: list[str]) -> None:
        """Remove files, those that are gone already included."""


class FolderStore:
    """The files below a local folder; see `Store`."""

    def __init__(self, location: Location) -> None:
        """Remember the folder; it is made when something is stored."""
        self._root = location.path

    def put_file(self, name: str, source: Path, sha256: str = "", advance: Advance = silent) -> str:
        """Store a file; its SHA-256 comes back."""
        with atomic_path(self._path(name)) as part:
            with _open(source) as reader:
                found = _copy(reader, part, advance)
            if sha256 not in ("", found):
                raise changed(source)
        return found

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content."""
        with atomic_path(self._path(name)) as part:
            part.write_bytes(content)

    def get_file(self, name: str, target: Path, sha256: str = "", advance: Advance = silent) -> bool:
        """Fetch a file; False if there is none of that name."""
        source = self._path(name)
        if not source.is_file():
            return False
        try:
            with _open(source) as reader:
                found = _copy(reader, target, advance)
        except OSError as error:
            raise StorageError(
                f"{source} cannot be copied to {target}: {reason(error)}. Check space and permissions."
            ) from error
        if sha256 not in ("", found):
            target.unlink()
            raise DamagedError(f"{source} is damaged: its content has not the SHA-256 {sha256}. Store it again.")
        return True

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a small content; None if there is none of that name."""
        path = self._path(name)
        with reading(path), suppress(FileNotFoundError, NotADirectoryError), path.open("rb") as file:
            return check_small(file.read(SMALL_BYTES + 1), str(path))
        return None

    def holds(self, name: str, size: int, sha256: str) -> bool:
        """Tell whether a file of that name has that content, which is read for it."""
        path = self._path(name)
        with reading(path):
            return path.is_file() and path.stat().st_size == size and file_sha256(path, silent) == sha256

    def entries(self, prefix: str = "") -> list[StoredFile]:
        """Return all files whose names begin so, sorted by name."""
        found = []
        for path in self._root.rglob("*"):
            name = path.relative_to(self._root).as_posix()
            # One that goes away meanwhile is not there.
            if name.startswith(prefix) and path.is_file() and (facts := _facts(path)):
                found.append(StoredFile(name, *facts))
        return sorted(found)

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all whole files that begin so, sorted."""
        return [entry.name for entry in self.entries(prefix) if not is_part(PurePosixPath(entry.name).name)]

    def children(self) -> list[str]:
        """Return the names of the folders directly below."""
        with reading(self._root), suppress(FileNotFoundError, NotADirectoryError):
            return sorted(path.name for path in self._root.iterdir() if path.is_dir())
        return []

    def remove(self, names: list[str]) -> None:
        """Remove files, and folders that this leaves empty."""
        try:
            for name in names:
                path = self._path(name)
                path.unlink(missing_ok=True)
                for folder in path.parents:
                    if folder == self._root.parent or not _removed_empty(folder):
                        break
        except OSError as error:
            raise StorageError(f"{self._root} cannot be cleared: {reason(error)}. Check its permissions.") from error

    def _path(self, name: str) -> Path:
        if name.startswith("/") or ".." in PurePosixPath(name).parts:
            raise StorageError(f"{name!r} would lie outside the folder {self._root}. Give a name without '..'.")
        return self._root / name


def _removed_empty(folder: Path) -> bool:
    # It may not be empty, or become so just now.
    with suppress(OSError):
        folder.rmdir()
        return True
    return False


def _facts(path: Path) -> tuple[int, float] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_size, found.st_mtime
    return None


def _open(source: Path) -> BinaryIO:
    with reading(source, "Check the path and its permissions."):
        return source.open("rb")


def _copy(reader: BinaryIO, target: Path, advance: Advance) -> str:
    """Copy a file, and return its SHA-256."""
    digest = hashlib.sha256()
    with target.open("wb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
