"""Store Documents under a name."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.datasets.catalogue import Dataset, Found, describe, read_version
from embedtune.datasets.manifest import MANIFEST_NAME, DatasetManifest
from embedtune.datasets.naming import (
    PUBLIC_FOLDER,
    ROOT_VARIABLE,
    VERSION_LENGTH,
    Reference,
    check_name,
    dataset_uri,
    is_version,
    object_prefix,
    own_user,
)
from embedtune.datasets.packing import Packed, ReadRows, packed
from embedtune.datasets.public import copies, publish, remove_copies
from embedtune.errors import ConfigError, StorageError
from embedtune.progress import note, progress
from embedtune.storage.folders import abandoned, is_complete, send_again, send_files
from embedtune.storage.opening import open_store
from embedtune.storage.store import Store, StoredFile

if TYPE_CHECKING:
    from docarray import DocumentArray


def push(documents: "DocumentArray | Path | str", name: str, public: bool, user: str, read_rows: ReadRows) -> Dataset:
    """Store Documents as a version of a dataset; it appears whole or not at all.

    The version is made of the Documents, ids included, whatever files they came from: what is there already is not
    stored again, but becomes the latest version. After an interruption the same push goes on where it stopped.

    Args:
        documents: A DocumentArray; the path or address of a saved one in a protobuf form, or of a folder of these; a
            folder of documents as the build-documents step writes it, which is stored as it is; or another source of
            rows, for `read_rows`. Nothing is unpickled.
        name: Name of the dataset.
        public: Whether everyone may read exactly this version. False leaves a version that is public already as it is.
        user: Whose dataset it is; '' for `own_user`.
        read_rows: What makes a folder of documents of a CSV and the like.

    Raises:
        ConfigError: a name is not accepted, or a public dataset is asked for where the datasets are in a folder.
        InputError: these are no Documents, or one of them cannot be stored.
        StorageError: something cannot be read, access is denied, or the store fails; no other version is touched.
    """
    reference = Reference(own_user(user), check_name(name, "the name of a dataset"))
    if public and object_prefix(PUBLIC_FOLDER) is None:
        raise ConfigError(
            f"{reference} cannot be public: datasets are kept in a folder of this machine, {dataset_uri(reference)}. "
            f"Set {ROOT_VARIABLE} to a prefix of an object store, such as s3://bucket/datasets."
        )
    with packed(documents, read_rows) as ready:
        found = _store(reference.at(ready.contents.content[:VERSION_LENGTH]), ready, public)
    try:
        _remove_leftovers(found, public)
    except StorageError as error:
        # What was pushed is there all the same.
        note(f"What interrupted pushes of {reference} left cannot be removed: {error}")
    return describe(found)


def _store(reference: Reference, ready: Packed, public: bool) -> Found:
    store = open_store(dataset_uri(reference))
    before = read_version(reference)
    now = datetime.now(UTC).isoformat(timespec="microseconds")
    if before is not None and _is_whole(store, before):
        manifest = _announce(store, reference, replace(before, pushed=now), public)
        # Somebody may have deleted it meanwhile.
        if is_complete(store, manifest.folder, manifest.files):
            return Found(reference, manifest, dataset_uri(reference))
    manifest = _manifest(ready, now if before is None else before.created, now, before is not None and before.public)
    files = list(zip(ready.files, ready.paths, strict=True))
    with progress(f"Pushing {reference}", manifest.size, "bytes") as advance:
        send_files(store, ready.folder, files, advance)
    manifest = _announce(store, reference, manifest, public)
    send_again(store, ready.folder, files)
    return Found(reference, manifest, dataset_uri(reference))


def _announce(store: Store, reference: Reference, manifest: DatasetManifest, public: bool) -> DatasetManifest:
    """Write the manifest, and return it as it is in the end; when it says that it is public, see `public.publish`."""
    store.put_bytes(MANIFEST_NAME, manifest.to_json())
    if not public:
        return manifest
    told = replace(manifest, public=True)
    try:
        publish(reference, manifest, lambda: store.put_bytes(MANIFEST_NAME, told.to_json()))
    except StorageError as error:
        raise StorageError(
            f"{reference} is stored, but not public: {error} Then push it again with --public, or delete it."
        ) from error
    return told


def _manifest(ready: Packed, created: str, pushed: str, public: bool) -> DatasetManifest:
    contents = ready.contents
    return DatasetManifest(
        rows=sum(file.rows for file in ready.files),
        content=contents.content,
        created=created,
        pushed=pushed,
        public=public,
        layout=contents.layout,
        schema=contents.schema,
        counts=contents.counts,
        folder=ready.folder,
        files=ready.files,
    )


def _is_whole(store: Store, manifest: DatasetManifest) -> bool:
    """Tell whether all files are there with their content, as far as the store can tell without sending it."""
    return all(store.holds(f"{manifest.folder}/{file.name}", file.size, file.sha256) for file in manifest.files)


def _remove_leftovers(found: Found, public: bool) -> None:
    """Remove the files of a name that belong to no complete version and that nobody has added to for a day."""
    name, version = found.reference.at(""), found.reference.version
    store = open_store(dataset_uri(name))
    entries, copied = store.entries(), copies(name)
    # The store's own clock: the manifest is among the newest files.
    now = max((entry.modified for entry in entries), default=0.0)
    whole = _with_manifest(entries)
    store.remove(abandoned(entries, partial(_leftover_of, whole, {version: found.manifest.names}), now))
    # A copy of a version that is no more is public no longer.
    whole &= _with_manifest(copied)
    named = {version: found.manifest.names} if public else {}
    remove_copies(name, abandoned(copied, partial(_leftover_of, whole, named), now))


def _with_manifest(entries: Iterable[StoredFile]) -> set[str]:
    parts = [entry.name.partition("/") for entry in entries]
    return {version for version, _, rest in parts if rest == MANIFEST_NAME}


def _leftover_of(whole: Collection[str], named: Mapping[str, Collection[str]], name: str) -> str:
    """Return the version to which a file belonged, '' where it does; of some it is known which files they name."""
    version, _, rest = name.partition("/")
    if not rest or not is_version(version):
        return ""
    if version in named:
        return "" if rest == MANIFEST_NAME or rest in named[version] else version
    return "" if version in whole else version
