"""Remove datasets."""

from embedtune.datasets.catalogue import list_versions, read_version
from embedtune.datasets.manifest import MANIFEST_NAME
from embedtune.datasets.naming import Reference, dataset_uri, is_version, parse_reference, root_uri
from embedtune.datasets.public import check_closable, copies, remove_copies, remove_statement
from embedtune.errors import StorageError
from embedtune.storage.errors import DamagedError
from embedtune.storage.opening import open_store

_ATTEMPTS = 5


def versions_to_delete(reference: str) -> list[Reference]:
    """Return which versions `delete` would remove, what interrupted ones left included; errors as of `delete`."""
    asked = parse_reference(reference)
    copied = {entry.name.partition("/")[0] for entry in copies(asked.at(""))}
    there = sorted({*list_versions(asked), *filter(is_version, copied)})
    versions = [version for version in there if asked.version in ("", version)]
    if not versions:
        raise StorageError(
            f"There is no dataset {asked} to delete. `embedtune datasets --user {asked.user}` lists what is there."
        )
    return [asked.at(version) for version in versions]


def delete(reference: str) -> list[str]:
    """Remove one version of a dataset, or all versions of a name.

    The copy for everyone goes first, then the manifest, so that no half of a version is ever there, and what made it
    public before its files. After an interruption the same call goes on.

    Args:
        reference: `name`, `user/name`, either with `@version`, with `dataset://` before it or not. Without a version,
            all of them.

    Returns:
        What was removed, as `user/name@version`.

    Raises:
        ConfigError: it is no such name, or the environment names no place for datasets.
        StorageError: there is nothing, the store refuses, or it fails.
    """
    doomed = versions_to_delete(reference)
    for version in doomed:
        _delete(version)
    return [str(version) for version in doomed]


def _delete(version: Reference) -> None:
    try:
        if _says_public(version):
            check_closable(version)
        for _ in range(_ATTEMPTS):
            _remove_files(version)
            # A push of the same content may have found its files there just before they went, and be done.
            if not open_store(dataset_uri(version)).names(MANIFEST_NAME) and not copies(version):
                return
    except StorageError as error:
        raise StorageError(
            f"{version} is not deleted: {error} A dataset can be deleted by who may write in the folder of its user."
        ) from error
    raise StorageError(f"{version} is not deleted: somebody pushes it again and again. Delete it once they are done.")


def _remove_files(version: Reference) -> None:
    # The whole store, so that in a folder nothing empty is left above the version.
    # The user's folder, because one that becomes empty goes as well: that of all users shall stay.
    store = open_store(root_uri(version.user))
    above = f"{version.folder.removeprefix(f'{version.user}/')}/"
    remove_copies(version, [entry.name for entry in copies(version)])
    store.remove([f"{above}{MANIFEST_NAME}"])
    remove_statement(version)
    store.remove([f"{above}{entry.name}" for entry in open_store(dataset_uri(version)).entries()])


def _says_public(version: Reference) -> bool:
    try:
        manifest = read_version(version)
    except DamagedError:
        # It can be deleted although, or because, it is damaged.
        return False
    return manifest is not None and manifest.public
