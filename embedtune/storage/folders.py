"""Folders that appear whole or not at all, on the object store or a disk.

A stored folder holds its files below `<digest>/`, where the digest is that of all names and contents, and
`manifest.json`, which is written last and names them with sizes and sha256. Readers follow the manifest, so they see
the old folder until the new one is complete. What an interrupted upload leaves is named by no manifest, and the next
one removes it.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from embedtune.errors import StorageError
from embedtune.progress import Advance, progress
from embedtune.storage.atomic import atomic_folder
from embedtune.storage.digests import file_sha256
from embedtune.storage.stores import Store, open_store

MANIFEST_NAME = "manifest.json"
"""Name of the file that makes a stored folder complete."""

_CONTENT = re.compile(r"[0-9a-f]{64}/")
_READ_ATTEMPTS = 3


class _IncompleteError(Exception):
    """A file of a stored folder is missing or has another content than its manifest says."""


@dataclass(frozen=True)
class _Entry:
    """One file of a stored folder."""

    name: str
    size: int
    """Bytes."""
    sha256: str
    """Hexadecimal."""


def upload_folder(local: Path, uri: str) -> None:
    """Store a folder in place of the one that is at an address.

    Args:
        local: Folder with at least one file.
        uri: A path, `file://`, `s3://` or `minio://` address that holds nothing but this folder.

    Raises:
        StorageError: nothing to store, access denied, the store or disk fails. The older folder is untouched then.
    """
    store = open_store(uri)
    entries = _describe(local)
    digest = hashlib.sha256(json.dumps([asdict(entry) for entry in entries]).encode()).hexdigest()
    with progress(f"Storing {local.name}", sum(entry.size for entry in entries), "bytes") as advance:
        for entry in entries:
            store.put_file(f"{digest}/{entry.name}", local / entry.name)
            advance(entry.size)
    manifest = {"digest": digest, "files": [asdict(entry) for entry in entries]}
    store.put_bytes(MANIFEST_NAME, json.dumps(manifest, indent=2, ensure_ascii=False).encode())
    store.remove([name for name in store.names() if _CONTENT.match(name) and not name.startswith(f"{digest}/")])


def download_folder(uri: str, local: Path) -> bool:
    """Fetch the folder at an address.

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
        if _fetch(store, uri, content, local):
            return True
        before, content = content, store.get_bytes(MANIFEST_NAME)
        # A writer may have replaced the folder meanwhile; then the new manifest is worth a try.
        if content == before:
            return False
    return False


def delete_folder(uri: str) -> None:
    """Remove the folder at an address, if there is one, and what interrupted uploads left.

    Raises:
        StorageError: access denied, or the store or disk fails.
    """
    store = open_store(uri)
    store.remove([MANIFEST_NAME])
    store.remove([name for name in store.names() if _CONTENT.match(name)])


def _describe(local: Path) -> list[_Entry]:
    try:
        paths = sorted(path for path in local.rglob("*") if path.is_file())
        total = sum(path.stat().st_size for path in paths)
        with progress(f"Hashing {local.name}", total, "bytes") as advance:
            entries = [
                _Entry(path.relative_to(local).as_posix(), path.stat().st_size, file_sha256(path, advance))
                for path in paths
            ]
    except OSError as error:
        raise StorageError(f"{local} cannot be read: {error}. Check its permissions.") from error
    if not entries:
        raise StorageError(f"{local} is no folder or holds no files, so there is nothing to store. Check the path.")
    return entries


def _fetch(store: Store, uri: str, content: bytes, local: Path) -> bool:
    digest, entries = _parse_manifest(uri, content)
    try:
        with (
            atomic_folder(local) as whole,
            progress(f"Fetching {local.name}", sum(entry.size for entry in entries), "bytes") as advance,
        ):
            for entry in entries:
                _fetch_entry(store, digest, entry, whole, advance)
    except _IncompleteError:
        return False
    except OSError as error:
        raise StorageError(f"{local} cannot be written: {error}. Check space and permissions.") from error
    return True


def _fetch_entry(store: Store, digest: str, entry: _Entry, whole: Path, advance: Advance) -> None:
    target = whole / entry.name
    target.parent.mkdir(parents=True, exist_ok=True)
    if not store.get_file(f"{digest}/{entry.name}", target, advance):
        raise _IncompleteError
    if target.stat().st_size != entry.size or file_sha256(target, lambda _: None) != entry.sha256:
        raise _IncompleteError


def _parse_manifest(uri: str, content: bytes) -> tuple[str, list[_Entry]]:
    try:
        manifest = json.loads(content)
        digest = str(manifest["digest"])
        entries = [_Entry(str(file["name"]), int(file["size"]), str(file["sha256"])) for file in manifest["files"]]
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(
            f"{uri}: {MANIFEST_NAME} is damaged: {error!r}. Remove the folder and store it again."
        ) from error
    for entry in entries:
        parts = PurePosixPath(entry.name).parts
        if not parts or entry.name.startswith("/") or ".." in parts or "\\" in entry.name:
            raise StorageError(f"{uri}: {MANIFEST_NAME} names {entry.name!r}, which would lie outside the folder.")
    if not _CONTENT.fullmatch(f"{digest}/"):
        raise StorageError(
            f"{uri}: {MANIFEST_NAME} names the digest {digest!r}, which is none. Store the folder again."
        )
    return digest, entries
