"""Which datasets there are, and where one lies that is given by name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from embedtune.datasets.manifest import MANIFEST_NAME, DatasetManifest, parse_manifest, pushed_at
from embedtune.datasets.naming import (
    ROOT_VARIABLE,
    Reference,
    check_name,
    copy_uri,
    dataset_uri,
    is_name,
    is_version,
    parse_reference,
    root_uri,
)
from embedtune.datasets.public import public_among
from embedtune.errors import StorageError
from embedtune.progress import note
from embedtune.storage.errors import DamagedError, DeniedError
from embedtune.storage.opening import open_store

_AT_A_TIME = 8
_MANIFEST = re.compile(rf"([^/]+)/([^/]+)/([^/]+)/{re.escape(MANIFEST_NAME)}")


@dataclass(frozen=True)
class Found:
    """A complete version of a dataset."""

    reference: Reference
    """With its version."""
    manifest: DatasetManifest
    place: str
    """The folder or prefix with its manifest: where it was pushed to, or its copy for everyone."""

    @property
    def uri(self) -> str:
        """The folder or prefix with its files, and nothing else."""
        return f"{self.place}/{self.manifest.folder}"


def locate(name: str) -> Found:
    """Find one version of a dataset, or its latest.

    Args:
        name: `name`, `user/name`, either with `@version`, with `dataset://` before it or not.

    Raises:
        ConfigError: it is no such name, or the environment names no place for datasets.
        StorageError: there is no such dataset, it is private, its manifest cannot be read, or the store fails.
    """
    reference = parse_reference(name)
    with _privacy_explained(reference):
        if reference.version:
            found = _read(reference)
            complete = [] if found is None else [found]
        else:
            complete = _read_complete([reference.at(version) for version in list_versions(reference)])
    if not complete:
        raise StorageError(
            f"There is no dataset {reference} in {root_uri()}. `embedtune datasets --user {reference.user}` lists "
            f"those that are there; {ROOT_VARIABLE} names the place."
        )
    return max(complete, key=lambda found: (pushed_at(found.manifest), found.reference.version))


def list_versions(reference: Reference) -> list[str]:
    """Return all versions of a name, those that are not complete included."""
    return [name for name in open_store(dataset_uri(reference.at(""))).children() if is_version(name)]


def read_version(reference: Reference) -> DatasetManifest | None:
    """Return the manifest of a version that was pushed; None if there is none, DamagedError if it cannot be read."""
    uri = dataset_uri(reference)
    content = open_store(uri).get_bytes(MANIFEST_NAME)
    return None if content is None else parse_manifest(content, reference.version, uri)


def _read(reference: Reference) -> Found | None:
    """Read a version where it was pushed to or, for who may not read there, in its copy for everyone."""
    try:
        manifest, uri = read_version(reference), dataset_uri(reference)
    except DeniedError:
        uri, content = copy_uri(reference), None
        with suppress(DeniedError):
            content = open_store(uri).get_bytes(MANIFEST_NAME)
        if content is None:
            raise
        manifest = parse_manifest(content, reference.version, uri)
    return None if manifest is None else Found(reference, manifest, uri)


def _read_complete(references: Sequence[Reference]) -> list[Found]:
    """Return those that are complete; what cannot be read is told of and left out, unless it is all that is there."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        results = list(pool.map(_read_or_tell, references))
    found = [result for result in results if isinstance(result, Found)]
    denied = [result for result in results if isinstance(result, DeniedError)]
    if denied and not found:
        raise denied[0]
    if denied:
        note(f"Left out: {len(denied)} private version{'' if len(denied) == 1 else 's'}, such as: {denied[0]}")
    return found


def _read_or_tell(reference: Reference) -> Found | DeniedError | None:
    try:
        return _read(reference)
    except DeniedError as error:
        return error
    except DamagedError as error:
        note(f"Left out: {error}")
        return None


def _privacy_explained(reference: Reference) -> AbstractContextManager[None]:
    hint = (
        f"Ask {reference.user} to push it with --public, or set the credentials of a user who may read it."
        if reference.version
        else f"Without the right to list, a public one is found by its version only: {reference}@version."
    )
    return _denial_explained(f"the dataset {reference}", hint)


@contextmanager
def _denial_explained(what: str, hint: str) -> Iterator[None]:
    """Say that what was asked for is private or missing, and what to do, where the store only says access is denied."""
    try:
        yield
    except DeniedError as error:
        raise StorageError(f"{what[0].upper()}{what[1:]} is private or missing. {hint} ({error})") from error


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
    if user:
        check_name(user, "the name of a user")
    above = f"{user}/" if user else ""
    what = f"the datasets of {user}" if user else "all datasets"
    hint = "Set the credentials of a user who may list them." if user else "Name a user whose datasets you may list."
    with _denial_explained(f"the list of {what}", hint):
        names = open_store(root_uri(user)).names()
        complete = _read_complete(_references(above + name for name in names))
    public = _public_among(complete)
    found = [_described(each, each.reference in public) for each in complete]
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
    """Return what a person wants to know of a version; the store is asked whether it is public."""
    return _described(found, bool(_public_among([found])))


def _described(found: Found, public: bool) -> Dataset:
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
        public=public,
    )


def _public_among(found: Sequence[Found]) -> set[Reference]:
    try:
        return public_among([each.reference for each in found])
    except DeniedError:
        # Not everyone may read the policy.
        return {each.reference for each in found if each.manifest.public}
