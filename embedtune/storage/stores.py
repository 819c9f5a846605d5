"""A place for named files: a prefix of the object store, or a local folder."""

from pathlib import Path
from typing import Protocol

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.atomic import atomic_path
from embedtune.storage.digests import CHUNK_BYTES
from embedtune.storage.locations import Location, Scheme, parse_location


class Store(Protocol):
    """Named files; a name has parts separated by '/'. Every method raises StorageError where the place fails."""

    def put_file(self, name: str, source: Path) -> None:
        """Store a file, whole or not at all, in place of an older one."""

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content, whole or not at all, in place of an older one."""

    def get_file(self, name: str, target: Path, advance: Advance) -> bool:
        """Fetch a file, telling the bytes that came; False if there is none of that name."""

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a small content; None if there is none of that name."""

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""

    def remove(self, names: list[str]) -> None:
        """Remove files, those that are gone already included."""


def open_store(uri: str) -> Store:
    """Return the store at a path, `file://`, `s3://` or `minio://` address.

    Raises:
        StorageError: another kind of address, or the environment does not describe an object store.
    """
    location = parse_location(uri)
    if location.scheme is Scheme.HTTP:
        raise StorageError(f"{uri}: folders are kept on an object store or a disk. Give s3://bucket/prefix or a path.")
    if location.scheme is Scheme.FILE:
        return FolderStore(location)
    # minio takes a quarter of a second to import, which local runs need not pay.
    from embedtune.storage.objects import ObjectPrefix

    return ObjectPrefix(location)


class FolderStore:
    """The files below a local folder; see `Store`."""

    def __init__(self, location: Location) -> None:
        """Remember the folder; it is made when something is stored."""
        self._root = location.path

    def put_file(self, name: str, source: Path) -> None:
        """Store a file."""
        with atomic_path(self._root / name) as part:
            _copy(source, part, lambda _: None)

    def put_bytes(self, name: str, content: bytes) -> None:
        """Store a small content."""
        with atomic_path(self._root / name) as part:
            part.write_bytes(content)

    def get_file(self, name: str, target: Path, advance: Advance) -> bool:
        """Fetch a file; False if there is none of that name."""
        source = self._root / name
        if not source.is_file():
            return False
        try:
            _copy(source, target, advance)
        except OSError as error:
            raise StorageError(
                f"{source} cannot be copied to {target}: {error}. Check space and permissions."
            ) from error
        return True

    def get_bytes(self, name: str) -> bytes | None:
        """Fetch a small content; None if there is none of that name."""
        try:
            return (self._root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(f"{self._root / name} cannot be read: {error}. Check its permissions.") from error

    def names(self) -> list[str]:
        """Return the names of all files, sorted."""
        return sorted(path.relative_to(self._root).as_posix() for path in self._root.rglob("*") if path.is_file())

    def remove(self, names: list[str]) -> None:
        """Remove files, and folders that this leaves empty."""
        try:
            for name in names:
                path = self._root / name
                path.unlink(missing_ok=True)
                for folder in path.parents:
                    if folder == self._root.parent or not folder.is_dir() or any(folder.iterdir()):
                        break
                    folder.rmdir()
        except OSError as error:
            raise StorageError(f"{self._root} cannot be cleared: {error}. Check its permissions.") from error


def _copy(source: Path, target: Path, advance: Advance) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)
            advance(len(chunk))
