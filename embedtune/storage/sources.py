"""A source's content as local files."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.progress import Advance, progress
from embedtune.storage.archives import is_archive, unpack_archive
from embedtune.storage.errors import writing
from embedtune.storage.listing import Listing, SourceFile, resolve_listing
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import fetch_file, list_files
from embedtune.storage.parallel import transfer_all


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


@contextmanager
def local_copy(uri: str, version: str) -> Iterator[LocalSource]:
    """Give local files with exactly this version of a source.

    Local files are given themselves; anything else is downloaded to a temporary folder that is removed afterwards. One
    archive (`archives.is_archive`) is unpacked to such a folder; if all of it lies in one folder, that is the root.

    Args:
        uri: See `locations.parse_location`.
        version: What `opening.resolve_source` named for it, or '' for whatever is there now.

    Raises:
        StorageError: it is missing or refused, it changed since, the server is gone, or the disk is full.
    """
    location = parse_location(uri)
    listing = list_files(location)
    if not version:
        listing.tell_passed_over()  # whoever found the version has said so
    else:
        _check_version(uri, version, resolve_listing(listing).version)
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
    """Give a folder for temporary files, which is gone after the block.

    Raises:
        StorageError: there is no place for one.
    """
    try:
        folder = tempfile.TemporaryDirectory(prefix="embedtune-")
    except OSError as error:
        raise StorageError(
            f"There is no folder for temporary files: {reason(error)}. Set TMPDIR to a writable one."
        ) from error
    with folder as path:
        yield Path(path)


def _download(listing: Listing, name: str, root: Path) -> tuple[Path, ...]:
    names = [file.name for file in listing.files] if listing.is_folder else [name]
    paths = tuple(root / name for name in names)
    total = sum(file.size for file in listing.files)
    with progress(f"Downloading {name}", total, "bytes") as advance:
        transfer_all(_fetch, list(zip(listing.files, paths, strict=True)), advance)
    return paths


def _fetch(item: tuple[SourceFile, Path], advance: Advance) -> None:
    file, path = item
    with writing(path.parent, "Free some space there."):
        path.parent.mkdir(parents=True, exist_ok=True)
    fetch_file(file, path, advance)


def _unpack(archive: Path, title: str, folder: Path) -> LocalSource:
    root = folder / "unpacked"
    unpack_archive(archive, root, title)
    listing = list_files(parse_location(str(root)))
    tops = {file.name.partition("/")[0] for file in listing.files if "/" in file.name}
    if len(tops) == 1 and all("/" in file.name for file in listing.files):
        root /= tops.pop()
    return LocalSource(
        root,
        tuple(file.path for file in listing.files),
        tuple(file.uri for file in listing.files),
        tuple(f"{title}/{file.name}" for file in listing.files),
    )


def _check_version(uri: str, expected: str, found: str) -> None:
    if expected not in ("", found):
        raise StorageError(
            f"{uri.partition('?')[0]} changed: version {expected} was asked for, {found} is there. Start a new run "
            "on the new version."
        )
