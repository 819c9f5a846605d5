"""Folders that appear whole or not at all, on the object store or a disk.

A stored folder holds its files below `<digest>/`, where the digest is that of all names and contents, and
`manifest.json`, which is written last and names them with sizes and sha256. Readers follow the manifest, so they see
the old folder until the new one is complete. Writing the same folder again sends what is missing only, so an
interrupted upload goes on where it stopped.

Of several writers of one address the last one wins, whole. A writer removes what the manifest before its own named, and
what has lain there for a day and is named by none, so it takes nothing away from another one who is still writing.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance, progress, silent
from embedtune.storage.atomic import resumable_folder
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import DamagedError
from embedtune.storage.folder_manifest import CONTENT, MANIFEST_NAME, FolderManifest, ManifestEntry, parse_manifest
from embedtune.storage.parallel import transfer_all
from embedtune.storage.store import Store, open_store

_READ_ATTEMPTS = 3
_ABANDONED_S = 24 * 3600.0


class _IncompleteError(Exception):
    """A file of a stored folder is missing or has another content than its manifest says."""


def upload_folder(local: Path, uri: str) -> None:
    """Store a folder in place of the one that is at an address.

    Args:
        local: Folder with at least one file.
        uri: A path, `file://`, `s3://` or `minio://` address that holds nothing but this folder.

    Raises:
        StorageError: nothing to store, access denied, the store or disk fails. The older folder is untouched then.
    """
    store = open_store(uri)
    manifest = _describe(local)
    before = _digest_at(store, uri)
    with progress(f"Storing {local.name}", manifest.size, "bytes") as advance:
        _send(store, manifest, local, advance)
    store.put_bytes(MANIFEST_NAME, manifest.to_json())
    _tidy(store, uri, manifest.digest, before)
    _restore(store, manifest, local)


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
        if _fetch(store, parse_manifest(uri, content), local):
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
    store.remove([entry.name for entry in store.entries() if CONTENT.match(entry.name)])


def _describe(local: Path) -> FolderManifest:
    entries: dict[str, ManifestEntry] = {}

    def describe(path: Path, advance: Advance) -> None:
        name = path.relative_to(local).as_posix()
        entries[name] = ManifestEntry(name, path.stat().st_size, file_sha256(path, advance))

    try:
        paths = sorted(path for path in local.rglob("*") if path.is_file())
        with progress(f"Hashing {local.name}", sum(path.stat().st_size for path in paths), "bytes") as advance:
            transfer_all(describe, paths, advance)
    except OSError as error:
        raise StorageError(
            f"{error.filename or local} cannot be read: {reason(error)}. Check its permissions."
        ) from error
    if not entries:
        raise StorageError(f"{local} is no folder or holds no files, so there is nothing to store. Check the path.")
    files = tuple(entries[path.relative_to(local).as_posix()] for path in paths)
    digest = hashlib.sha256(json.dumps([asdict(entry) for entry in files]).encode()).hexdigest()
    return FolderManifest(digest, files)


def _digest_at(store: Store, uri: str) -> str:
    """Return the digest of the folder that is there now; '' if there is none, or none that can be read."""
    content = store.get_bytes(MANIFEST_NAME)
    try:
        return parse_manifest(uri, content).digest if content is not None else ""
    except StorageError:
        # A damaged folder is replaced like any other.
        return ""


def _send(store: Store, manifest: FolderManifest, local: Path, advance: Advance) -> None:
    """Store the files that are not there yet."""
    there = {found.name: found.size for found in store.entries(f"{manifest.digest}/")}

    def send(entry: ManifestEntry, advance: Advance) -> None:
        name = f"{manifest.digest}/{entry.name}"
        if there.get(name) == entry.size and store.holds(name, entry.size, entry.sha256):
            advance(entry.size)
        else:
            store.put_file(name, local / entry.name, entry.sha256, advance)

    transfer_all(send, manifest.files, advance)


def _restore(store: Store, manifest: FolderManifest, local: Path) -> None:
    """Store again what a writer took away who replaced the same folder meanwhile."""
    there = set(store.names(f"{manifest.digest}/"))
    for entry in manifest.files:
        name = f"{manifest.digest}/{entry.name}"
        if name not in there:
            store.put_file(name, local / entry.name, entry.sha256)


def _tidy(store: Store, uri: str, digest: str, before: str) -> None:
    """Remove the folder that was replaced, and what was abandoned; nothing if another writer has come after."""
    if _digest_at(store, uri) != digest:
        return
    entries = store.entries()
    # The store's own clock: the manifest is the newest file.
    now = max((entry.modified for entry in entries), default=0.0)
    store.remove(
        [
            entry.name
            for entry in entries
            if CONTENT.match(entry.name)
            and not entry.name.startswith(f"{digest}/")
            and (entry.name.startswith(f"{before}/") or now - entry.modified > _ABANDONED_S)
        ]
    )


def _fetch(store: Store, manifest: FolderManifest, local: Path) -> bool:
    def fetch(entry: ManifestEntry, advance: Advance) -> None:
        _fetch_entry(store, f"{manifest.digest}/{entry.name}", entry, whole / entry.name, advance)

    try:
        with (
            resumable_folder(local, manifest.digest) as whole,
            progress(f"Fetching {local.name}", manifest.size, "bytes") as advance,
        ):
            transfer_all(fetch, manifest.files, advance)
    except (_IncompleteError, DamagedError):
        return False
    except OSError as error:
        raise StorageError(f"{local} cannot be written: {reason(error)}. Check space and permissions.") from error
    return True


def _fetch_entry(store: Store, name: str, entry: ManifestEntry, target: Path, advance: Advance) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_file() and target.stat().st_size >= entry.size:
        if file_sha256(target, silent) == entry.sha256:
            advance(entry.size)
            return
        target.unlink()
    if not store.get_file(name, target, entry.sha256, advance):
        raise _IncompleteError
    if target.stat().st_size != entry.size:
        raise _IncompleteError
