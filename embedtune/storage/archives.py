"""Archives, unpacked so that nothing in them can do harm."""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Never, Self

from embedtune.errors import StorageError
from embedtune.progress import progress
from embedtune.storage.atomic import atomic_folder
from embedtune.storage.digests import CHUNK_BYTES
from embedtune.text import excerpt

_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_UNSAFE = frozenset({"", ".", ".."})
# A few bytes that unpack to a few hundred are no bomb.
_HARMLESS_BYTES = 1 << 20
# What tarfile reads into memory: before one entry, and for all entries. In memory it takes thirty times as much.
_HEADER_BYTES = 1 << 20
_GLOBAL_BYTES = 16 << 10
_HEADER_TYPES = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)
# What the libraries raise on damaged archives; OSError is gzip's, RuntimeError that of endless chains of headers.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)


class _RefusedError(Exception):
    """What is wrong with an archive."""


@dataclass(frozen=True)
class _Member:
    """One entry of an archive."""

    name: str
    """As the archive has it."""
    content: IO[bytes] | None
    """None: a folder."""


def is_archive(name: str) -> bool:
    """Return whether a file's name says that it is an archive that `unpack_archive` reads."""
    return name.lower().endswith(_SUFFIXES)


def unpack_archive(
    archive: Path,
    target: Path,
    title: str = "",
    max_files: int = 100_000,
    max_bytes: int = 20 << 30,
    max_ratio: int = 200,
) -> None:
    """Unpack a zip (its name ends in .zip) or tar file (plain, gzip, bzip2 or xz) to a folder, whole or not at all.

    Folders count as entries. All files together may have up to `max_bytes`, and up to `max_ratio` times the size of the
    archive; 1 MiB is always accepted.
    """
    title = title or str(archive)
    with _explained(title):
        size = archive.stat().st_size
    limit = min(max_bytes, max(size * max_ratio, _HARMLESS_BYTES))
    left, too_much = limit, _refused(title, f"of {size} bytes unpacks to more than {limit}")
    with (
        _explained(title),
        atomic_folder(target, signed=False) as folder,
        progress(f"Unpacking {archive.name}", None, "files") as advance,
    ):
        for count, member in enumerate(_members(archive, title, limit, too_much), start=1):
            if count > max_files:
                raise _refused(title, f"has more than {max_files} entries")
            left -= _write(member, folder.joinpath(*_safe_parts(title, member.name)), left)
            if left < 0:
                raise too_much
            advance(1)


@contextmanager
def _explained(title: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StorageError(f"{title} does not exist. Check the path.") from error
    except _RefusedError as error:
        raise _refused(title, str(error)) from None
    except FileExistsError as error:
        raise _refused(title, f"has two entries for one file: {Path(error.filename).name}") from error
    except _DAMAGE as error:
        # The message of an OSError names the temporary folder.
        why = error.strerror if isinstance(error, OSError) and error.filename else error
        raise StorageError(
            f"{title} is damaged, or not the kind of archive that its name says: {why}. Fetch or make it again."
        ) from error


def _members(archive: Path, title: str, limit: int, too_much: StorageError) -> Iterator[_Member]:
    if archive.name.lower().endswith(".zip"):
        return _zip_members(archive, title)
    # What lies around the contents may take as much again.
    return _tar_members(archive, title, 2 * limit + _HARMLESS_BYTES, too_much)


def _zip_members(archive: Path, title: str) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for entry in opened.infolist():
            kind = stat.S_IFMT(entry.external_attr >> 16)
            # zipfile ends a name at a zero byte, and cannot tell whether an empty one is a folder's.
            if not entry.filename or "\0" in entry.orig_filename:
                raise _refused(title, f"holds {excerpt(entry.orig_filename)}, which is no plain path")
            if entry.flag_bits & 1:
                raise _refused(title, f"is encrypted: {excerpt(entry.filename)}")
            if entry.is_dir():
                yield _Member(entry.filename, None)
            elif kind in (0, stat.S_IFREG):
                with opened.open(entry) as content:
                    yield _Member(entry.filename, content)
            else:
                raise _refused(title, f"holds a link or device: {excerpt(entry.filename)}")


def _tar_members(archive: Path, title: str, limit: int, too_much: StorageError) -> Iterator[_Member]:
    """Yield the entries of a tar file, of which up to `limit` bytes are read, headers included."""
    with _Tar.open(archive, "r:*") as opened:
        for entry in opened:
            if entry.offset_data > limit:
                raise too_much
            content = opened.extractfile(entry) if entry.isreg() else None
            if content is None and not entry.isdir():
                raise _refused(title, f"holds a link or device: {excerpt(entry.name)}")
            yield _Member(entry.name, content)
            # tarfile keeps all entries that it saw.
            opened.members.clear()  # type: ignore[attr-defined]
            opened.header_bytes = 0
        # Only at its end does a compressed stream tell that it is whole.
        while opened.fileobj is not None and opened.fileobj.read(CHUNK_BYTES):
            if opened.fileobj.tell() > limit:
                raise too_much


class _TarEntry(tarfile.TarInfo):
    """An entry that tells of damage, where tarfile would take a cut archive for one that ends there."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read the block of a header; its size is checked, for tarfile reads some contents into memory at once."""
        entry = super().frombuf(buf, encoding, errors)
        if entry.size < 0 or (entry.type in _HEADER_TYPES and entry.size > _HEADER_BYTES):
            raise tarfile.ReadError(f"a header says that {entry.size} bytes follow")
        return entry

    def _proc_member(self, opened: "_Tar") -> Self:
        """Read what follows the block of a header, which tarfile lets subclasses do in their way."""
        if self.type in _HEADER_TYPES:
            opened.header_bytes += self.size
            opened.global_bytes += self.size if self.type == tarfile.XGLTYPE else 0
        if opened.header_bytes > _HEADER_BYTES or opened.global_bytes > _GLOBAL_BYTES:
            raise _RefusedError("has more headers than any archive needs")
        entry: Self = super()._proc_member(opened)  # type: ignore[misc]
        return entry

    def _refuse_sparse(self, *_: object) -> Never:
        # tarfile reads the map of a sparse file into memory, however long it is.
        raise _RefusedError("holds a sparse file")

    _proc_sparse = _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse

    @classmethod
    def fromtarfile(cls, tarfile_: tarfile.TarFile) -> Self:
        """Read the next entry."""
        try:
            return super().fromtarfile(tarfile_)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"it ends early or a header is unreadable: {error}") from error


class _Tar(tarfile.TarFile):
    """A tar file that counts what its headers bring into memory."""

    tarinfo = _TarEntry
    header_bytes = 0
    """Of extended headers since the last entry."""
    global_bytes = 0
    """Of extended headers that are for all entries."""


def _write(member: _Member, path: Path, limit: int) -> int:
    """Write an entry, and return its size in bytes; one beyond the limit is not written to its end."""
    if member.content is None:
        path.mkdir(parents=True, exist_ok=True)
        return 0
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        while file.tell() <= limit and (chunk := member.content.read(CHUNK_BYTES)):
            file.write(chunk)
        return file.tell()


def _safe_parts(title: str, name: str) -> list[str]:
    """Return the parts of an entry's path below the folder; none for the folder itself."""
    parts = name.removeprefix("./").removesuffix("/").split("/")
    if parts in ([""], ["."]) and not name.startswith("/"):
        return []
    if not _UNSAFE.isdisjoint(parts) or "\\" in name or "\0" in name:
        raise _refused(title, f"holds {excerpt(name)}, which is no plain path below the folder")
    return parts


def _refused(title: str, why: str) -> StorageError:
    return StorageError(
        f"{title} {why}, and is not unpacked. Unpack it with a tool that you trust, and give the folder."
    )
