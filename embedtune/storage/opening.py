"""Open what an address leads to: its files, a place for files, one content. Only this module knows `objects` and `web`.

They are imported where they are used: minio and urllib3 take a quarter of a second, which local runs need not pay.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.listing import Listing, SourceFile, list_local, resolve_listing
from embedtune.storage.locations import Location, Scheme, parse_location
from embedtune.storage.store import FolderStore, Store


class Contents(Protocol):
    """Small contents of web servers or of an object store; may be used by many threads at once."""

    def read(self, location: Location, uri: str, max_bytes: int) -> bytes:
        """Return one content.

        Args:
            location: What to call it in messages, and where it is.
            uri: The same address, perhaps with a query.
            max_bytes: Largest accepted size.

        Raises:
            ForbiddenError: it leads to a server that is not allowed.
            UnreachableError: its server does not answer, is out of order, breaks off, is too slow or was given up.
            StorageError: it is missing, refused or too large.
        """


def list_files(location: Location) -> Listing:
    """Find the files that a location stands for.

    A path or key that exists is taken as it is written, even where it looks like a pattern. Of folders, prefixes and
    patterns, hidden names (`.x`), markers (`_SUCCESS`, any name without suffix that begins with `_`), folders named
    `_temporary` or `__MACOSX`, and the output folders of runs are left out; one of these that is named itself is not.

    Raises:
        StorageError: nothing is there, it cannot be read, or it is a data set's name, which this package cannot look
            up.
    """
    if location.scheme is Scheme.FILE:
        return list_local(location)
    if location.scheme is Scheme.DATASET:
        raise StorageError(
            f"{location.uri} is the name of a data set, not the address of a file. Pull it first with `embedtune pull`."
        )
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import stat_page

        etag, size = stat_page(location)
        return Listing(location.uri, Path(), (SourceFile(location.name, location.uri, size, etag),), is_folder=False)
    from embedtune.storage.objects.prefix import list_objects

    return list_objects(location)


def resolve_source(uri: str, tells: bool = True) -> Listing:
    """Find the files at an address and the versions of their contents, so that a run can say what it was made from.

    Args:
        uri: See `locations.parse_location` and, for what is left out of a folder, `list_files`.
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


def fetch_file(file: SourceFile, target: Path, advance: Advance) -> None:
    """Download a file that is not local, if its server still has the content that was listed.

    Raises:
        StorageError: it changed or is missing, is refused or out of reach, or the disk is full.
    """
    location = parse_location(file.uri)
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import fetch_page

        fetch_page(location, file.etag, file.size, target, advance)
    else:
        from embedtune.storage.objects.prefix import fetch_object

        fetch_object(location, file.etag, file.size, target, advance)


def open_store(uri: str) -> Store:
    """Return the store at a path, `file://`, `s3://` or `minio://` address.

    Raises:
        StorageError: another kind of address, or the environment does not describe an object store.
    """
    location = parse_location(uri)
    if location.scheme is Scheme.FILE:
        return FolderStore(location)
    if location.scheme is not Scheme.S3:
        raise StorageError(f"{uri}: folders are kept on an object store or a disk. Give s3://bucket/prefix or a path.")
    from embedtune.storage.objects.prefix import ObjectPrefix

    return ObjectPrefix(location)


def open_contents(location: Location, hosts: Sequence[str], timeout_s: float) -> Contents:
    """Return what reads contents like the one at a location, which is not local.

    Args:
        location: An address of the web or of an object store.
        hosts: Web servers that may be asked; see `access.HOSTS_VARIABLE`.
        timeout_s: Seconds after which a content that is still on its way is given up.

    Raises:
        StorageError: the environment does not describe an object store.
    """
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import Pages

        return Pages(hosts, timeout_s)
    from embedtune.storage.objects.prefix import ObjectContents

    return ObjectContents(location.store, timeout_s)
