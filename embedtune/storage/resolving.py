"""Name the files of a source and their present content, so that a run can say what it was made from."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance, progress
from embedtune.storage.digests import file_sha256
from embedtune.storage.listing import Entry, Listing, list_files
from embedtune.storage.locations import parse_location


@dataclass(frozen=True)
class SourceFile:
    """One file of a source, with the content it has now."""

    name: str
    """Path relative to the source's folder, with '/' between its parts."""
    uri: str
    """Its own address."""
    version: str
    """Version of this file alone, such as `resolve_source(uri)` gives."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class ResolvedSource:
    """A source and the content it has now."""

    uri: str
    """As it was given."""
    version: str
    """`sha256:<hexadecimal>` of a local file, of a folder, prefix or pattern; `etag:<etag>-<bytes>` of one object."""
    files: tuple[SourceFile, ...]
    """At least one, sorted by name. An archive counts as one file; `sources.local_copy` unpacks it."""
    is_folder: bool
    """Whether a folder, a prefix or a pattern was given, not the address of one file."""


def resolve_source(uri: str, tells: bool = True) -> ResolvedSource:
    """Find the files at an address and the versions of their contents.

    Args:
        uri: See `locations.parse_location` and, for what is left out of a folder, `listing.list_files`.
        tells: Whether to say which output folders of runs are left out.

    Returns:
        The files. The version changes whenever a file is added, removed, renamed or gets another content.

    Raises:
        StorageError: nothing is there, or it is refused or out of reach.
    """
    listing = list_files(parse_location(uri))
    if tells:
        listing.tell_passed_over()
    return resolve_listing(listing)


def resolve_listing(listing: Listing) -> ResolvedSource:
    """Find the versions of the files in a listing; local ones are read for that.

    Raises:
        StorageError: a local file cannot be read.
    """
    versions = _versions(listing.entries)
    files = tuple(
        SourceFile(entry.name, entry.uri, version, entry.size)
        for entry, version in zip(listing.entries, versions, strict=True)
    )
    version = versions[0]
    if listing.is_folder:
        content = json.dumps([[file.name, file.version] for file in files])
        version = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    return ResolvedSource(listing.uri, version, files, listing.is_folder)


def _versions(entries: Sequence[Entry]) -> list[str]:
    local = [entry for entry in entries if not entry.etag]
    if not local:
        return [f"etag:{entry.etag}-{entry.size}" for entry in entries]
    title = local[0].path.name if len(local) == 1 else f"{len(local)} files"
    with progress(f"Hashing {title}", sum(entry.size for entry in local), "bytes") as advance:
        return [_local_version(entry.path, advance) for entry in local]


def _local_version(path: Path, advance: Advance) -> str:
    try:
        return f"sha256:{file_sha256(path, advance)}"
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {reason(error)}. Check its permissions.") from error
