"""Which files a location stands for: one, those of a folder or prefix, or those that a pattern matches."""

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.progress import note
from embedtune.storage.locations import Location, Scheme
from embedtune.storage.ownership import is_run_folder

_JUNK_FOLDERS = frozenset({"_temporary", "__MACOSX"})
_JUNK_FILES = frozenset({"thumbs.db", "desktop.ini"})
_UNSAFE = frozenset({"", ".", ".."})


@dataclass(frozen=True)
class Entry:
    """One file of a source."""

    name: str
    """Path relative to the listing's folder, with '/' between its parts."""
    uri: str
    """Its own address."""
    size: int
    """Bytes."""
    etag: str = ""
    """What its server calls this content; '' for a local file."""
    path: Path = Path()
    """Where it is, if it is local."""


@dataclass(frozen=True)
class Listing:
    """The files of a source."""

    uri: str
    """As it was given."""
    root: Path
    """The local folder that names are relative to; the present folder for what is not local."""
    entries: tuple[Entry, ...]
    """At least one, sorted by name."""
    is_folder: bool
    """False: the address of one file was given."""
    passed_over: tuple[str, ...] = ()
    """Output folders of runs that lie in the folder, whose files do not count."""
    broken: tuple[str, ...] = ()
    """Names in the folder that are broken links or no regular files, which do not count either."""

    def tell_passed_over(self) -> None:
        """Say which folders are left out because embedtune wrote them."""
        if self.passed_over:
            note(f"{self.uri}: not read, because a run of embedtune wrote it: {', '.join(self.passed_over)}")


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
        return _list_local(location)
    if location.scheme is Scheme.DATASET:
        raise StorageError(
            f"{location.uri} is the name of a data set, not the address of a file. Pull it first with `embedtune pull`."
        )
    # minio takes a quarter of a second to import, which local runs need not pay.
    if location.scheme is Scheme.HTTP:
        from embedtune.storage.web.files import stat_page

        etag, size = stat_page(location)
        return Listing(location.uri, Path(), (Entry(location.name, location.uri, size, etag),), is_folder=False)
    from embedtune.storage.objects.listing import list_objects

    return list_objects(location)


def is_data(name: str) -> bool:
    """Whether a file of a folder is data: not hidden, no marker or lock, not in a folder that tools leave behind."""
    *folders, last = name.split("/")
    if any(part.startswith(".") for part in (*folders, last)) or not _JUNK_FOLDERS.isdisjoint(folders):
        return False
    is_marker = last.startswith("~$") or (last.startswith("_") and "." not in last)
    return not (is_marker or last.endswith("_$folder$") or last.lower() in _JUNK_FILES)


def matches(name: str, pattern: str) -> bool:
    """Return whether every part of a name matches the same part of a pattern."""
    names, patterns = name.split("/"), pattern.split("/")
    return len(names) == len(patterns) and all(map(fnmatch.fnmatchcase, names, patterns))


def sorted_entries(uri: str, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries of a folder in the order of their names.

    Raises:
        StorageError: there are none, or a name cannot be that of a file below a folder.
    """
    found = sorted(entries, key=lambda entry: entry.name)
    if not found:
        raise StorageError(
            f"{uri}: no file is there. Hidden files and markers such as _SUCCESS do not count, nor does what a run has "
            "written. Check the address; a pattern's * matches within one part of a path only."
        )
    names = {entry.name for entry in found}
    for entry in found:
        parts = entry.name.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if not _UNSAFE.isdisjoint(parts) or "\\" in entry.name or "\0" in entry.name or above & names:
            raise StorageError(
                f"{uri} holds {entry.name!r}, which cannot be a file in a folder: a part of it is empty, '.' or '..', "
                "it holds a backslash, or it lies below the name of another file. Rename it."
            )
    return tuple(found)


def _list_local(location: Location) -> Listing:
    path, start = location.path, location.pattern_start
    passed_over, broken = set[str](), set[str]()
    try:
        if path.is_dir():
            entries = sorted_entries(location.uri, _walk(path, passed_over, broken))
            return Listing(location.uri, path, entries, True, tuple(sorted(passed_over)), tuple(sorted(broken)))
        if start is not None and not path.exists():
            root = Path(*path.parts[:start])
            entries = sorted_entries(location.uri, _match(root, path, passed_over, broken))
            return Listing(location.uri, root, entries, True, tuple(sorted(passed_over)), tuple(sorted(broken)))
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise StorageError(f"{path} does not exist. Check the path; in a pod, give an s3:// address.") from error
    except OSError as error:
        raise StorageError(
            f"{error.filename or path} cannot be read: {reason(error)}. Check its permissions."
        ) from error
    if location.is_folder and path.is_file():
        raise StorageError(f"{location.uri} is a file, not a folder. Write it without the slash at its end.")
    if not path.is_file():
        raise StorageError(f"{location.uri} is not a file or folder that can be read twice. Copy the data to a file.")
    return Listing(location.uri, path.parent, (Entry(path.name, location.uri, size, path=path),), is_folder=False)


def _walk(root: Path, passed_over: set[str], broken: set[str]) -> Iterator[Entry]:
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        if real in seen:
            raise StorageError(f"{folder} is a link to a folder that {root} holds already. Remove the link.")
        seen.add(real)
        if Path(folder) != root and is_run_folder(Path(folder)):
            passed_over.add(os.path.relpath(folder, root))
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _JUNK_FOLDERS]
        yield from _entries(root, (Path(folder, name) for name in names), broken)


def _match(root: Path, pattern: Path, passed_over: set[str], broken: set[str]) -> Iterator[Entry]:
    is_output = cache(is_run_folder)
    found = (path for path in map(Path, glob.iglob(str(pattern))) if not path.is_dir())
    for entry in _entries(root, found, broken):
        above = [root / folder for folder in list(Path(entry.name).parents)[:-1]]
        outputs = [str(folder.relative_to(root)) for folder in above if is_output(folder)]
        passed_over.update(outputs)
        if not outputs:
            yield entry


def _entries(root: Path, paths: Iterable[Path], broken: set[str]) -> Iterator[Entry]:
    for path in paths:
        name = path.relative_to(root).as_posix()
        if not is_data(name):
            continue
        if path.is_file():
            yield Entry(name, str(path), path.stat().st_size, path=path)
        else:
            broken.add(name)


def _raise(error: OSError) -> None:
    raise error
