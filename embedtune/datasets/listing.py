"""Which datasets there are."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from embedtune.datasets.catalogue import Found, denial_explained, read_complete
from embedtune.datasets.manifest import MANIFEST_NAME
from embedtune.datasets.naming import Reference, check_name, dataset_uri, is_name, is_version, object_prefix
from embedtune.storage.errors import DeniedError
from embedtune.storage.store import open_store

_MANIFEST = re.compile(rf"([^/]+)/([^/]+)/([^/]+)/{re.escape(MANIFEST_NAME)}")
_AT_A_TIME = 8


@dataclass(frozen=True)
class Dataset:
    """One version of a dataset."""

    user: str
    """Whose it is."""
    name: str
    version: str
    rows: int
    """Number of Documents."""
    size: int
    """Bytes of its files."""
    layout: str
    """Layout of most Documents, '' if none that embedtune knows."""
    created: str
    """When it was first pushed, ISO 8601."""
    pushed: str
    """When it was last pushed; of a name, the version with the newest one is the latest."""
    public: bool
    """Whether everyone may read it without credentials."""

    @property
    def reference(self) -> str:
        """How to pull exactly this version: `user/name@version`."""
        return f"{self.user}/{self.name}@{self.version}"


def list_datasets(user: str = "") -> list[Dataset]:
    """List all versions of all datasets that are complete.

    Args:
        user: Whose; '' for everyone's.

    Returns:
        One entry per version, sorted by user and name, the latest version first.

    Raises:
        ConfigError: the user cannot be one, or the environment names no place for datasets.
        StorageError: access is denied, or the store fails.
    """
    owner = Reference(check_name(user, "the name of a user") if user else "", "")
    above = f"{user}/" if user else ""
    what = f"the datasets of {user}" if user else "all datasets"
    hint = "Set the credentials of a user who may list them." if user else "Name a user whose datasets you may list."
    with denial_explained(f"the list of {what}", hint):
        names = open_store(dataset_uri(owner).rstrip("/")).names()
        complete = read_complete(_references(above + name for name in names))
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        found = list(pool.map(describe, complete))
    found.sort(key=lambda entry: datetime.fromisoformat(entry.pushed), reverse=True)
    return sorted(found, key=lambda entry: (entry.user, entry.name))


def _references(names: Iterable[str]) -> list[Reference]:
    """Return the versions that have a manifest."""
    matches = [match for name in names if (match := _MANIFEST.fullmatch(name))]
    return [
        Reference(match[1], match[2], match[3])
        for match in matches
        if is_name(match[1]) and is_name(match[2]) and is_version(match[3])
    ]


def describe(found: Found) -> Dataset:
    """Return what a person wants to know of a version; the store is asked whether it is public.

    Raises:
        StorageError: the store fails.
    """
    manifest, reference = found.manifest, found.reference
    return Dataset(
        user=reference.user,
        name=reference.name,
        version=reference.version,
        rows=manifest.rows,
        size=manifest.size,
        layout=manifest.layout,
        created=manifest.created,
        pushed=manifest.pushed,
        public=_is_public(found),
    )


def _is_public(found: Found) -> bool:
    place = object_prefix(found.reference)
    if place is None:
        return False
    # minio takes a quarter of a second to import, which a folder of datasets need not pay.
    from embedtune.storage.objects.policies import is_public

    try:
        return is_public(*place)
    except DeniedError:
        # Not everyone may read the policy.
        return found.manifest.public
