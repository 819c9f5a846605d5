"""Folders that appear whole or not at all, on the object store or a disk.

A kept folder is a manifest, written last, that names files with sizes and SHA-256, and the files below a folder that is
named after their contents. Readers follow the manifest, so they see the old folder until the new one is complete.
Writing the same folder again sends what is missing only, so an interrupted upload goes on where it stopped. What nobody
has added to for a day and no manifest names was abandoned, and is removed by the next writer.

Checkpoints are kept by `upload_folder`: below `<digest>/`, where the digest is that of all names and contents, and
`manifest.json`. Of several writers of one address the last one wins, whole. A writer removes what the manifest before
its own named, so it takes nothing away from another one who is still writing. Datasets have a manifest of their own
(`datasets/manifest.py`) and share the rest: `send_files`, `send_again`, `fetch_files`, `abandoned`.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from embedtune.errors import StorageError
from embedtune.manifests import checked_as
from embedtune.progress import Advance, progress, silent
from embedtune.storage.atomic import resumable_folder
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import DamagedError, reading, writing
from embedtune.storage.opening import open_store
from embedtune.storage.parallel import transfer_all
from embedtune.storage.store import ABANDONED_S, Store, StoredFile
from embedtune.text import excerpt

MANIFEST_NAME = "manifest.json"
"""Name of the file that makes a kept folder complete."""

_CONTENT = re.compile(r"[0-9a-f]{64}/")
_READ_ATTEMPTS = 3


class IncompleteError(Exception):
    """A file of a kept folder is not as its manifest says; the message goes on after the name of the folder."""


class KeptFile(Protocol):
    """One file of a kept folder, as its manifest tells of it."""

    @property
    def name(self) -> str:
        """Its name, with parts separated by '/'."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def sha256(self) -> str:
        """Hexadecimal."""


def send_files(store: Store, folder: str, files: Iterable[tuple[KeptFile, Path]], advance: Advance) -> None:
    """Store the files that are not there yet.

    Args:
        store: Where.
        folder: Name of the folder with the files, beside the manifest.
        files: Each file and where it is on this machine.
        advance: Told the bytes that were stored, or were there.

    Raises:
        StorageError: a file changed, access is denied, or the store fails.
    """
    there = _sizes(store, folder)

    def send(item: tuple[KeptFile, Path], advance: Advance) -> None:
        file, path = item
        name = f"{folder}/{file.name}"
        if there.get(name) == file.size and store.holds(name, file.size, file.sha256):
            advance(file.size)
        else:
            store.put_file(name, path, file.sha256, advance)

    transfer_all(send, list(files), advance)


def is_complete(store: Store, folder: str, files: Iterable[KeptFile]) -> bool:
    """Tell whether files of these names and sizes are there."""
    there = _sizes(store, folder)
    return all(there.get(f"{folder}/{file.name}") == file.size for file in files)


def send_again(store: Store, folder: str, files: Sequence[tuple[KeptFile, Path]]) -> None:
    """Store again what a rival took away who replaced or deleted the same folder meanwhile; see `send_files`."""
    there = _sizes(store, folder)
    lost = [(file, path) for file, path in files if there.get(f"{folder}/{file.name}") != file.size]
    if lost:
        send_files(store, folder, lost, silent)


def fetch_files(store: Store, folder: str, files: Sequence[KeptFile], target: Path, advance: Advance) -> None:
    """Fetch files into a local folder that may hold some of them, or beginnings; each is checked.

    Args:
        store: Where they are.
        folder: Name of the folder with the files, beside the manifest.
        files: Which.
        target: Local folder.
        advance: Told the bytes that came, or were there.

    Raises:
        IncompleteError: one is not there, or has another size than `files` says.
        DamagedError: one has another content.
        StorageError: access is denied, or the store fails.
        OSError: `target` cannot be written.
    """

    def fetch(file: KeptFile, advance: Advance) -> None:
        _fetch(store, f"{folder}/{file.name}", file, target / file.name, advance)

    transfer_all(fetch, files, advance)


def abandoned(entries: Sequence[StoredFile], part_of: Callable[[str], str], now: float) -> list[str]:
    """Return the names of the files that belong to something incomplete that nobody has added to for a day.

    Args:
        entries: What is there.
        part_of: What a file belongs to by its name; '' for what is whole, or not ours.
        now: What time it is by the store's own clock, in seconds since 1970.
    """
    newest: dict[str, float] = {}
    for entry in entries:
        part = part_of(entry.name)
        newest[part] = max(newest.get(part, 0.0), entry.modified)
    dead = {part for part, modified in newest.items() if part and now - modified > ABANDONED_S}
    return [entry.name for entry in entries if part_of(entry.name) in dead]


@dataclass(frozen=True)
class _File:
    """One file of a stored folder."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal."""

    def __post_init__(self) -> None:
        parts = PurePosixPath(self.name).parts
        if self.size < 0:
            raise ValueError(f"the size of {excerpt(self.name)} is {self.size}")
        if not parts or "\0" in self.name or self.name.startswith("/") or ".." in parts or "\\" in self.name:
            raise ValueError(f"the file {excerpt(self.name)} would lie outside the folder")


@dataclass(frozen=True)
class _Manifest:
    """All files of a stored folder."""

    digest: str
    """Of all names and contents, hexadecimal."""
    files: tuple[_File, ...]

    def __post_init__(self) -> None:
        if not _CONTENT.fullmatch(f"{self.digest}/"):
            raise ValueError(f"it names the digest {excerpt(self.digest)}, which is none")

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files)

    def to_json(self) -> bytes:
        """Return what `_parse` reads."""
        manifest = {"digest": self.digest, "files": [asdict(entry) for entry in self.files]}
        return json.dumps(manifest, indent=2, ensure_ascii=False).encode()


def upload_folder(local: Path, uri: str, quietly: bool = False) -> None:
    """Store a folder in place of the one that is at an address.

    Args:
        local: Folder with at least one file.
        uri: A path, `file://`, `s3://` or `minio://` address that holds nothing but this folder.
        quietly: Whether to show no progress, because something else does meanwhile.

    Raises:
        StorageError: nothing to store, access denied, the store or disk fails. The older folder is untouched then.
    """
    store = open_store(uri)
    shown = _unseen if quietly else progress
    manifest = _describe(local, shown)
    files = [(file, local / file.name) for file in manifest.files]
    before = _digest_at(store, uri)
    with shown(f"Storing {local.name}", manifest.size, "bytes") as advance:
        send_files(store, manifest.digest, files, advance)
    store.put_bytes(MANIFEST_NAME, manifest.to_json())
    _tidy(store, uri, manifest.digest, before)
    send_again(store, manifest.digest, files)


def download_folder(uri: str, local: Path) -> bool:
    """Fetch the folder at an address.

    Where the store goes away or the process is interrupted, what came stays in a hidden folder beside `local`, and the
    next call goes on with it.

    Args:
        uri: Where `upload_folder` put it.
        local: Folder to make; it must not exist or be empty. It appears whole or not at all.

    Returns:
        False if there is no complete folder: none at all, or a file of it is missing or has another content.

    Raises:
        StorageError: access denied, the store does not answer, `local` cannot be written, or the manifest is damaged.
    """
    if local.exists() and (not local.is_dir() or any(local.iterdir())):
        raise StorageError(f"{local} exists and is not an empty folder. Give the path of a new one.")
    store = open_store(uri)
    content = store.get_bytes(MANIFEST_NAME)
    for _ in range(_READ_ATTEMPTS):
        if content is None:
            return False
        if _fetch_folder(store, _parse(uri, content), local):
            return True
        before, content = content, store.get_bytes(MANIFEST_NAME)
        # A writer may have replaced the folder meanwhile; then the new manifest is worth a try.
        if content == before:
            return False
    return False


def kept_files(uri: str) -> dict[str, str]:
    """Return the names of the files of the folder at an address, with their SHA-256; none if there is no folder.

    Raises:
        StorageError: access denied, the store does not answer, or the manifest is damaged.
    """
    content = open_store(uri).get_bytes(MANIFEST_NAME)
    return {} if content is None else {entry.name: entry.sha256 for entry in _parse(uri, content).files}


def delete_folder(uri: str) -> None:
    """Remove the folder at an address, if there is one, and what interrupted uploads left.

    Raises:
        StorageError: access denied, or the store or disk fails.
    """
    store = open_store(uri)
    store.remove([MANIFEST_NAME])
    store.remove([entry.name for entry in store.entries() if _CONTENT.match(entry.name)])


@contextmanager
def _unseen(_description: str, _total: int | None, _unit: str) -> Iterator[Advance]:
    """Take the place of `progress` where nothing is to be shown."""
    yield silent


def _describe(local: Path, shown: Callable[..., AbstractContextManager[Advance]]) -> _Manifest:
    entries: dict[str, _File] = {}

    def describe(path: Path, advance: Advance) -> None:
        name = path.relative_to(local).as_posix()
        entries[name] = _File(name, path.stat().st_size, file_sha256(path, advance))

    with reading(local):
        paths = sorted(path for path in local.rglob("*") if path.is_file())
        with shown(f"Hashing {local.name}", sum(path.stat().st_size for path in paths), "bytes") as advance:
            transfer_all(describe, paths, advance)
    if not entries:
        raise StorageError(f"{local} is no folder or holds no files, so there is nothing to store. Check the path.")
    files = tuple(entries[path.relative_to(local).as_posix()] for path in paths)
    digest = hashlib.sha256(json.dumps([asdict(entry) for entry in files]).encode()).hexdigest()
    return _Manifest(digest, files)


def _parse(uri: str, content: bytes) -> _Manifest:
    try:
        return checked_as(_Manifest, json.loads(content))
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{uri}: {MANIFEST_NAME} is damaged ({error}). Remove the folder and store it again."
        ) from error


def _digest_at(store: Store, uri: str) -> str:
    """Return the digest of the folder that is there now; '' if there is none, or none that can be read."""
    content = store.get_bytes(MANIFEST_NAME)
    try:
        return _parse(uri, content).digest if content is not None else ""
    except StorageError:
        # A damaged folder is replaced like any other.
        return ""


def _tidy(store: Store, uri: str, digest: str, before: str) -> None:
    """Remove the folder that was replaced, and what was abandoned; nothing if another writer has come after."""
    if _digest_at(store, uri) != digest:
        return

    def part_of(name: str) -> str:
        return name[:64] if _CONTENT.match(name) and not name.startswith(digest) else ""

    entries = store.entries()
    replaced = [entry.name for entry in entries if before != digest and entry.name.startswith(f"{before}/")]
    # The store's own clock: the manifest is the newest file.
    now = max((entry.modified for entry in entries), default=0.0)
    store.remove(list({*replaced, *abandoned(entries, part_of, now)}))


def _fetch_folder(store: Store, manifest: _Manifest, local: Path) -> bool:
    try:
        with (
            writing(local, "Check space and permissions."),
            resumable_folder(local, manifest.digest) as whole,
            progress(f"Fetching {local.name}", manifest.size, "bytes") as advance,
        ):
            fetch_files(store, manifest.digest, manifest.files, whole, advance)
    except (IncompleteError, DamagedError):
        return False
    return True


def _sizes(store: Store, folder: str) -> dict[str, int]:
    return {found.name: found.size for found in store.entries(f"{folder}/")}


def _fetch(store: Store, name: str, file: KeptFile, target: Path, advance: Advance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and target.stat().st_size >= file.size:
        if file_sha256(target, silent) == file.sha256:
            advance(file.size)
            return
        target.unlink()
    # What is no beginning of the file comes once more, from the start.
    left = file.size * (2 if target.is_file() else 1)

    def advance_within(count: int) -> None:
        nonlocal left
        left -= count
        if left < 0:  # The disk may hold no more.
            raise IncompleteError(f"is damaged: {file.name} has more than the {file.size} bytes that its manifest says")
        advance(count)

    found = store.get_file(name, target, file.sha256, advance_within)
    if not found or target.stat().st_size != file.size:
        raise IncompleteError(f"has lost {file.name}: it was deleted meanwhile, or is damaged")
