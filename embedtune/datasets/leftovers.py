"""What interrupted pushes left behind."""

from collections import defaultdict

from embedtune.datasets.catalogue import Found
from embedtune.datasets.manifest import MANIFEST_NAME
from embedtune.datasets.naming import dataset_uri, is_version
from embedtune.storage.store import open_store

ABANDONED_S = 24 * 3600.0
"""Age in seconds of the newest file from which on a version without a manifest is taken for one nobody goes on with."""


def remove_leftovers(found: Found) -> None:
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
