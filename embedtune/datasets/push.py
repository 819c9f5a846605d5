"""Store Documents under a name."""

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.datasets.catalogue import Dataset, Found, describe, read_version
from embedtune.datasets.manifest import MANIFEST_NAME, DatasetFile, DatasetManifest
from embedtune.datasets.naming import (
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
from embedtune.errors import ConfigError, StorageError
from embedtune.progress import Advance, note, progress
from embedtune.storage.parallel import transfer_all
from embedtune.storage.store import Store, open_store

if TYPE_CHECKING:
    from docarray import DocumentArray

ABANDONED_S = 24 * 3600.0
"""Age in seconds of the newest file from which on a version without a manifest is taken for one nobody goes on with."""


def push(documents: "DocumentArray | Path | str", name: str, public: bool, user: str, read_rows: ReadRows) -> Dataset:
    """Store Documents as a version of a dataset; it appears whole or not at all.

    The version is made of the Documents, ids included, whatever files they came from: what is there already is not
    stored again, but becomes the latest version. After an interruption the same push goes on where it stopped.

    Args:
        documents: A DocumentArray; the path or address of a saved one in a protobuf form, or of a folder of these; a
            folder of documents as the build-documents step writes it, which is stored as it is; or another source of
            rows, for `read_rows`. Nothing is unpickled.
        name: Name of the dataset.
        public: Whether everyone may read exactly this version, without credentials. False leaves a version that is
            public already as it is; only `delete` takes that back.
        user: Whose dataset it is; '' for EMBEDTUNE_USER or the login name.
        read_rows: What makes a folder of documents of a CSV and the like.

    Returns:
        The version. Where `created` is not `pushed`, it was there before.

    Raises:
        ConfigError: a name is not accepted, or a public dataset is asked for where the datasets are in a folder.
        InputError: these are no Documents, or one of them cannot be stored.
        StorageError: something cannot be read, access is denied, or the store fails; no other version is touched.
    """
    reference = Reference(own_user(user), check_name(name, "the name of a dataset"))
    if public and object_prefix(reference) is None:
        raise ConfigError(
            f"{reference} cannot be public: datasets are kept in a folder of this machine, {dataset_uri(reference)}. "
            f"Set {ROOT_VARIABLE} to a prefix of an object store, such as s3://bucket/datasets."
        )
    with packed(documents, read_rows) as ready:
        found = _store(reference.at(ready.contents.content[:VERSION_LENGTH]), ready, public)
    try:
        _remove_leftovers(found)
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
        if _is_complete(store, manifest):
            return Found(reference, manifest)
    manifest = _manifest(ready, now if before is None else before.created, now, before is not None and before.public)
    with progress(f"Pushing {reference}", manifest.size, "bytes") as advance:
        _send(store, ready, advance)
    manifest = _announce(store, reference, manifest, public)
    if not _is_complete(store, manifest):
        with progress(f"Pushing {reference}", manifest.size, "bytes") as advance:
            _send(store, ready, advance)
    return Found(reference, manifest)


def _announce(store: Store, reference: Reference, manifest: DatasetManifest, public: bool) -> DatasetManifest:
    """Write the manifest, which says that a version is public only once it is; what it says is returned."""
    store.put_bytes(MANIFEST_NAME, manifest.to_json())
    if not public:
        return manifest
    _make_public(reference)
    manifest = replace(manifest, public=True)
    store.put_bytes(MANIFEST_NAME, manifest.to_json())
    return manifest


def _manifest(ready: Packed, created: str, pushed: str, public: bool) -> DatasetManifest:
    contents = ready.contents
    return DatasetManifest(
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


def _is_complete(store: Store, manifest: DatasetManifest) -> bool:
    there = {entry.name: entry.size for entry in store.entries()}
    return all(there.get(f"{manifest.folder}/{file.name}") == file.size for file in manifest.files)


def _send(store: Store, ready: Packed, advance: Advance) -> None:
    """Store the files that are not there yet."""
    there = {entry.name: entry.size for entry in store.entries(f"{ready.folder}/")}

    def send(item: tuple[DatasetFile, Path], advance: Advance) -> None:
        file, path = item
        name = f"{ready.folder}/{file.name}"
        if there.get(name) == file.size and store.holds(name, file.size, file.sha256):
            advance(file.size)
        else:
            store.put_file(name, path, file.sha256, advance)

    transfer_all(send, list(zip(ready.files, ready.paths, strict=True)), advance)


def _make_public(reference: Reference) -> None:
    place = object_prefix(reference)
    if place is None:
        return
    # minio takes a quarter of a second to import, which a folder of datasets need not pay.
    from embedtune.storage.objects.policies import make_public

    try:
        make_public(*place)
    except StorageError as error:
        raise StorageError(
            f"{reference} is stored, but not public: {error} Then push it again with --public, or delete it."
        ) from error


def _remove_leftovers(found: Found) -> None:
    """Remove the files of a name that belong to no complete version and that nobody has added to for a day.

    Args:
        found: The version that was just stored; its manifest says what time it is by the store's clock.

    Raises:
        StorageError: the store fails.
    """
    reference = found.reference
    store = open_store(dataset_uri(reference.at("")))
    entries = store.entries()
    now = max((entry.modified for entry in entries), default=0.0)
    folders = defaultdict(list)
    for entry in entries:
        version, slash, rest = entry.name.partition("/")
        if slash and is_version(version):
            folders[version].append((rest, entry))
    doomed = []
    for version, files in folders.items():
        names = {rest for rest, _ in files}
        if version == reference.version:
            files = [(rest, entry) for rest, entry in files if rest not in {MANIFEST_NAME, *found.manifest.names}]
        elif MANIFEST_NAME in names:
            continue
        if files and now - max(entry.modified for _, entry in files) > ABANDONED_S:
            doomed += [entry.name for _, entry in files]
    if doomed:
        store.remove(doomed)
