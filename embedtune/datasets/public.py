"""Which versions everyone may read, without credentials.

A public version is a copy below `_public/` at the root of all datasets, which one statement in the bucket's policy
opens. A store takes some 20 KB of policy, so a statement for each version would end after a hundred of them. The copy
has the same layout as the version; its manifest is written last and removed first.

It is a copy, which costs its bytes twice, and no move: a pull that is under way goes on where it began, who finds the
version where it always was still does, and a crash leaves it whole there. What a crash leaves of a copy has no
manifest, so no version is public by it; the next push of the version with --public goes on with it, and a deletion
removes it, as does a push of the same name a day later.

Nothing else becomes readable. No user can be called `_public`, so only this module writes there. Where its statement is
missing, somebody may have taken it away to close what lies there: it is not put back for the sake of one version.

Once each version had a statement of its own. Those that are there count, and go with their version.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from os.path import commonpath

from embedtune.datasets.manifest import MANIFEST_NAME, DatasetFile, DatasetManifest
from embedtune.datasets.naming import PUBLIC_FOLDER, Reference, copy_uri, datasets_root, object_prefix, root_uri
from embedtune.errors import StorageError
from embedtune.progress import Advance, progress
from embedtune.storage.errors import DeniedError
from embedtune.storage.folders import is_complete
from embedtune.storage.locations import ObjectStore
from embedtune.storage.opening import open_store
from embedtune.storage.parallel import transfer_all
from embedtune.storage.store import StoredFile


def publish(reference: Reference, manifest: DatasetManifest, tell: Callable[[], None]) -> None:
    """Let everyone read a version that is whole; refuse where something else would become readable.

    `tell` is called before anybody can find it, and has the version's own manifest say that it is public, so that who
    deletes it looks for what made it so, wherever this is interrupted.
    """
    place, public = object_prefix(reference.folder), object_prefix(PUBLIC_FOLDER)
    if place is None or public is None:
        tell()
        return
    # minio takes a quarter of a second to import, which a folder of datasets need not pay.
    from embedtune.storage.objects.policies import read_policy

    policy = read_policy(*place[:2])
    if policy.has(place[2]):
        tell()
        return
    if not policy.has(public[2]):
        _open(reference, *public)
    store = open_store(copy_uri(reference))
    with progress(f"Making {reference} public", manifest.size, "bytes") as advance:
        _copy(reference, manifest, advance)
    tell()
    store.put_bytes(MANIFEST_NAME, replace(manifest, public=True).to_json())
    if not is_complete(store, manifest.folder, manifest.files):
        store.remove([MANIFEST_NAME])
        raise StorageError("it was deleted meanwhile.")


def public_among(references: Collection[Reference]) -> set[Reference]:
    """Return those of several versions that everyone may read.

    A DeniedError says that these credentials may not read the bucket's policy, or not list the copies.
    """
    public = object_prefix(PUBLIC_FOLDER)
    if public is None or not references:
        return set()
    # minio takes a quarter of a second to import, which a folder of datasets need not pay.
    from embedtune.storage.objects.policies import read_policy

    store, bucket, prefix = public
    policy, above = read_policy(store, bucket), prefix.removesuffix(PUBLIC_FOLDER)
    found = {each for each in references if policy.opens(above + each.folder)}
    manifests = {f"{each.folder}/{MANIFEST_NAME}": each for each in references if each not in found}
    if manifests and policy.opens(prefix):
        there = open_store(root_uri(PUBLIC_FOLDER)).names(commonpath(manifests))
        found |= {manifests[name] for name in there if name in manifests}
    return found


def copies(reference: Reference) -> list[StoredFile]:
    """Return the files of the copies of a version or a name; none where these may not be listed."""
    if object_prefix(PUBLIC_FOLDER) is None:
        return []
    try:
        return open_store(copy_uri(reference)).entries()
    except DeniedError:
        return []


def remove_copies(reference: Reference, names: Collection[str]) -> None:
    """Remove files of `copies`, manifests first, so that no half of a version is ever there."""
    manifests = [name for name in names if name.rpartition("/")[2] == MANIFEST_NAME]
    for each in (manifests, [name for name in names if name not in manifests]):
        if each:
            open_store(copy_uri(reference)).remove(each)


def remove_statement(reference: Reference) -> None:
    """Take the statement out of the bucket's policy that is only for this version, if there is one."""
    place = object_prefix(reference.folder)
    if place is None:
        return
    # minio takes a quarter of a second to import, which a folder of datasets need not pay.
    from embedtune.storage.objects.policies import make_private, read_policy

    try:
        policy = read_policy(*place[:2])
    except DeniedError:
        # Its manifest says that it is private, see `check_closable`.
        return
    if policy.has(place[2]):
        make_private(*place)


def check_closable(reference: Reference) -> None:
    """Refuse where what makes a version public could not be found: it would make public what is pushed there later."""
    place = object_prefix(reference.folder)
    try:
        public_among([reference])
    except DeniedError as error:
        raise StorageError(
            f"it is readable for everyone by the policy of the bucket {place[1] if place else ''}, which these "
            f"credentials may not read and so not change. Give those of a user who may. ({error})"
        ) from error


def _open(reference: Reference, store: ObjectStore, bucket: str, prefix: str) -> None:
    from embedtune.storage.objects.policies import make_public, read_policy

    # Who may not list them must not open them either, so this raises where `copies` gives none.
    there = open_store(root_uri(PUBLIC_FOLDER)).entries()
    others = [entry.name for entry in there if not entry.name.startswith(f"{reference.folder}/")]
    # The one who put the first of these there has opened it meanwhile.
    if others and not read_policy(store, bucket).has(prefix):
        raise StorageError(
            f"the policy of the bucket {bucket} does not open {root_uri(PUBLIC_FOLDER)}, and if it did, {len(others)} "
            f"files that lie there would be readable as well, such as {others[0]}. Delete these datasets first, or "
            "have the statement put back that opened it."
        )
    make_public(store, bucket, prefix)


def _copy(reference: Reference, manifest: DatasetManifest, advance: Advance) -> None:
    """Copy the files of a version that are not copied yet; each must be what its digest says before and after."""
    from embedtune.storage.objects.prefix import ObjectPrefix

    store = ObjectPrefix(datasets_root())
    folder = f"{reference.folder}/{manifest.folder}"
    there = {entry.name: entry.size for entry in store.entries(f"{PUBLIC_FOLDER}/{folder}/")}

    def copy(file: DatasetFile, advance: Advance) -> None:
        source, target = f"{folder}/{file.name}", f"{PUBLIC_FOLDER}/{folder}/{file.name}"
        if there.get(target) != file.size or not store.holds(target, file.size, file.sha256):
            if store.holds(source, file.size, file.sha256):
                store.copy_file(source, target, file.sha256)
            if not store.holds(target, file.size, file.sha256):
                raise StorageError(f"{file.name} was deleted meanwhile, or is damaged.")
        advance(file.size)

    transfer_all(copy, manifest.files, advance)
