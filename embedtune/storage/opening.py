"""Open what an address leads to: its files, a place for files, one content.

Beside it, samples and models of the hub use `web`, public datasets `objects`. Both are imported where they are used:
minio and urllib3 take a quarter of a second, which local runs need not pay.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance, progress
from embedtune.storage.archives import is_archive, unpack_archive
from embedtune.storage.errors import writing
from embedtune.storage.listing import Listing, SourceFile, list_local, resolve_listing
from embedtune.storage.locations import Location, Scheme, parse_location
from embedtune.storage.parallel import transfer_all
from embedtune.storage.store import FolderStore, Store


@dataclass(frozen=True)
class LocalSource:
    """The files of a source on the local disk."""

    root: Path
    """Folder that all files lie below."""
    files: tuple[Path, ...]
    """At least one, sorted by their paths relative to `root`."""
    origins: tuple[str, ...]
    """The address that each file came from, which addresses in it are relative to. A file of an archive has none but
    its unpacked path."""
    titles: tuple[str, ...] = ()
    """What to call each file in messages: its address, or that of its archive with its path inside."""
    broken: tuple[str, ...] = ()
    """Names in a local folder that are broken links or no regular files."""

    def __post_init__(self) -> None:
        """Call files by their addresses unless they have other titles."""
        if not self.titles:
            object.__setattr__(self, "titles", self.origins)


class Contents(Protocol):
    """Small contents of web servers or of an object store; may be used by many threads at once."""

    def read(self, location: Location, uri: str, max_bytes: int) -> bytes:
        """Return one content of up to so many bytes; the uri is the location's address, perhaps with a query.

        Raises:
            ForbiddenError: it leads to a server that is not allowed.
            UnreachableError: its server does not answer, is out of order, breaks off, sends its body too slowly or was
                given up.
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


@contextmanager
def local_copy(uri: str, version: str) -> Iterator[LocalSource]:
    """Give local files with exactly this version of a source.

    Local files are given themselves; anything else is downloaded to a temporary folder that is removed afterwards. One
    archive (`archives.is_archive`) is unpacked to such a folder; if all of it lies in one folder, that is the root.

    Args:
        uri: See `locations.parse_location`.
        version: What `resolve_source` named for it, or '' for whatever is there now.

    Raises:
        StorageError: it is missing or refused, it changed since, the server is gone, or the disk is full.
    """
    location = parse_location(uri)
    listing = list_files(location)
    if not version:
        listing.tell_passed_over()  # whoever found the version has said so
    else:
        check_version(uri, version, resolve_listing(listing).version)
    with ExitStack() as stack:
        if location.scheme is Scheme.FILE:
            root, files = listing.root, tuple(file.path for file in listing.files)
        else:
            root = stack.enter_context(temporary_folder())
            files = _download(listing, location.name, root)
        if not listing.is_folder and is_archive(files[0].name):
            yield _unpack(files[0], listing.files[0].uri.partition("?")[0], stack.enter_context(temporary_folder()))
        else:
            origins = tuple(file.uri for file in listing.files)
            yield LocalSource(root, files, origins, broken=listing.broken)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Give a folder for temporary files, which is gone after the block; StorageError if there is no place for one."""
    try:
        folder = tempfile.TemporaryDirectory(prefix="embedtune-")
    except OSError as error:
        raise StorageError(
            f"There is no folder for temporary files: {reason(error)}. Set TMPDIR to a writable one."
        ) from error
    with folder as path:
        yield Path(path)


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
    """Return what reads contents like the one at a location of the web or of an object store.

    The hosts are those that may be asked (`access.HOSTS_VARIABLE`); after so many seconds a content whose body is still
    on its way is given up.
    """
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import Pages

        return Pages(hosts, timeout_s)
    from embedtune.storage.objects.prefix import ObjectContents

    return ObjectContents(location.store, timeout_s)


def _download(listing: Listing, name: str, root: Path) -> tuple[Path, ...]:
    names = [file.name for file in listing.files] if listing.is_folder else [name]
    paths = tuple(root / name for name in names)
    total = sum(file.size for file in listing.files)
    with progress(f"Downloading {name}", total, "bytes") as advance:
        transfer_all(_fetch, list(zip(listing.files, paths, strict=True)), advance)
    return paths


def _fetch(item: tuple[SourceFile, Path], advance: Advance) -> None:
    """Download a file to a path, if its server still has the content that was listed."""
    file, path = item
    location = parse_location(file.uri)
    with writing(path.parent, "Free some space there."):
        path.parent.mkdir(parents=True, exist_ok=True)
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import fetch_page

        fetch_page(location, file.etag, file.size, path, advance)
    else:
        from embedtune.storage.objects.prefix import fetch_object

        fetch_object(location, file.etag, file.size, path, advance)


def _unpack(archive: Path, title: str, folder: Path) -> LocalSource:
    root = folder / "unpacked"
    unpack_archive(archive, root, title)
    listing = list_files(parse_location(str(root)))
    replace(listing, uri=title).tell_passed_over()
    tops = {file.name.partition("/")[0] for file in listing.files if "/" in file.name}
    if len(tops) == 1 and all("/" in file.name for file in listing.files):
        root /= tops.pop()
    return LocalSource(
        root,
        tuple(file.path for file in listing.files),
        tuple(file.uri for file in listing.files),
        tuple(f"{title}/{file.name}" for file in listing.files),
        listing.broken,
    )


def check_version(uri: str, expected: str, found: str) -> None:
    """Raise StorageError if a version, '' for any, was asked for and another one is there."""
    if expected not in ("", found):
        raise StorageError(
            f"{uri.partition('?')[0]} changed: version {expected} was asked for, {found} is there. Start a new run "
            "on the new version."
        )
