"""Which files a location stands for, and their versions: one, those of a folder, or those that a pattern matches."""

import fnmatch
import glob
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from embedtune.errors import StorageError
from embedtune.progress import note, progress
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import reading
from embedtune.storage.locations import Location
from embedtune.storage.ownership import is_run_folder

_JUNK_FOLDERS = frozenset({"_temporary", "__MACOSX"})
_JUNK_FILES = frozenset({"thumbs.db", "desktop.ini"})
_UNSAFE = frozenset({"", ".", ".."})


@dataclass(frozen=True)
class SourceFile:
    """One file of a source."""

    name: str
    """Path relative to the source's folder, with '/' between its parts."""
    uri: str
    """Its own address."""
    size: int
    """Bytes."""
    etag: str = ""
    """What its server calls this content; '' for a local file."""
    path: Path = Path()
    """Where it is, if it is local."""
    version: str = ""
    """Version of this file alone, such as `opening.resolve_source(uri)` gives; '' before `resolve_listing`."""


@dataclass(frozen=True)
class Listing:
    """The files of a source."""

    uri: str
    """As it was given."""
    root: Path
    """The local folder that names are relative to; the present folder for what is not local."""
    files: tuple[SourceFile, ...]
    """At least one, sorted by name. An archive counts as one file; `opening.local_copy` unpacks it."""
    is_folder: bool
    """Whether a folder, a prefix or a pattern was given, not the address of one file."""
    passed_over: tuple[str, ...] = ()
    """Output folders of runs that lie in the folder, whose files do not count."""
    broken: tuple[str, ...] = ()
    """Names in the folder that are broken links or no regular files, which do not count either."""
    version: str = ""
    """`sha256:<hexadecimal>` of a local file, of a folder, prefix or pattern; `etag:<etag>-<bytes>` of one object; ''
    before `resolve_listing`."""

    def tell_passed_over(self) -> None:
        """Say which folders are left out because embedtune wrote them."""
        if self.passed_over:
            note(f"{self.uri}: not read, because a run of embedtune wrote it: {', '.join(self.passed_over)}")


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


def sorted_files(uri: str, files: Iterable[SourceFile]) -> tuple[SourceFile, ...]:
    """Return the files of a folder in the order of their names, or raise StorageError if one cannot be a file."""
    found = sorted(files, key=lambda file: file.name)
    if not found:
        raise StorageError(
            f"{uri}: no file is there. Hidden files and markers such as _SUCCESS do not count, nor does what a run has "
            "written. Check the address; a pattern's * matches within one part of a path only."
        )
    names = {file.name for file in found}
    for file in found:
        parts = file.name.split("/")
        above = {"/".join(parts[:count]) for count in range(1, len(parts))}
        if not _UNSAFE.isdisjoint(parts) or "\\" in file.name or "\0" in file.name or above & names:
            raise StorageError(
                f"{uri} holds {file.name!r}, which cannot be a file in a folder: a part of it is empty, '.' or '..', "
                "it holds a backslash, or it lies below the name of another file. Rename it."
            )
    return tuple(found)


def resolve_listing(listing: Listing) -> Listing:
    """Return a listing with the versions of its files and its own; local ones are read."""
    versions = _versions(listing.files)
    files = tuple(replace(file, version=version) for file, version in zip(listing.files, versions, strict=True))
    version = versions[0]
    if listing.is_folder:
        content = json.dumps([[file.name, file.version] for file in files])
        version = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
    return replace(listing, files=files, version=version)


def _versions(files: Sequence[SourceFile]) -> list[str]:
    local = [file for file in files if not file.etag]
    if not local:
        return [f"etag:{file.etag}-{file.size}" for file in files]
    title, versions = local[0].path.name if len(local) == 1 else f"{len(local)} files", []
    with progress(f"Hashing {title}", sum(file.size for file in local), "bytes") as advance:
        for file in local:
            with reading(file.path):
                versions.append(f"sha256:{file_sha256(file.path, advance)}")
    return versions


def list_local(location: Location) -> Listing:
    """Find the files of a local location; see `opening.list_files`."""
    path, start = location.path, location.pattern_start
    passed_over, broken = set[str](), set[str]()
    with reading(path):
        try:
            is_pattern = start is not None and not path.exists()
            if path.is_dir() or is_pattern:
                root = Path(*path.parts[:start]) if is_pattern else path
                found = _match(root, path, passed_over, broken) if is_pattern else _walk(path, passed_over, broken)
                files = sorted_files(location.uri, found)
                return Listing(location.uri, root, files, True, tuple(sorted(passed_over)), tuple(sorted(broken)))
            size = path.stat().st_size
        except FileNotFoundError as error:
            raise StorageError(f"{path} does not exist. Check the path; in a pod, give an s3:// address.") from error
    if location.is_folder and path.is_file():
        raise StorageError(f"{location.uri} is a file, not a folder. Write it without the slash at its end.")
    if not path.is_file():
        raise StorageError(f"{location.uri} is not a file or folder that can be read twice. Copy the data to a file.")
    return Listing(location.uri, path.parent, (SourceFile(path.name, location.uri, size, path=path),), is_folder=False)


def _walk(root: Path, passed_over: set[str], broken: set[str]) -> Iterator[SourceFile]:
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
        yield from _data_files(root, (Path(folder, name) for name in names), broken)


def _match(root: Path, pattern: Path, passed_over: set[str], broken: set[str]) -> Iterator[SourceFile]:
    is_output = cache(is_run_folder)
    found = (path for path in map(Path, glob.iglob(str(pattern))) if not path.is_dir())
    for file in _data_files(root, found, broken):
        above = [root / folder for folder in list(Path(file.name).parents)[:-1]]
        outputs = [str(folder.relative_to(root)) for folder in above if is_output(folder)]
        passed_over.update(outputs)
        if not outputs:
            yield file


def _data_files(root: Path, paths: Iterable[Path], broken: set[str]) -> Iterator[SourceFile]:
    for path in paths:
        name = path.relative_to(root).as_posix()
        if not is_data(name):
            continue
        if path.is_file():
            yield SourceFile(name, str(path), path.stat().st_size, path=path)
        else:
            broken.add(name)


def _raise(error: OSError) -> None:
    raise error
