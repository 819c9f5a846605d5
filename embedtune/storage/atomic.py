"""Files and folders that appear whole or not at all."""

import ctypes
import errno
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedtune.storage.errors import FULL_DISK, UnreachableError, writing
from embedtune.storage.ownership import write_inventory

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)

# Of linux/fcntl.h and linux/fs.h.
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2

PART_SUFFIX = ".part"
"""What ends the names of files and folders that are being written."""


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Write a file beside its target and rename it when the block ends without an error.

    Args:
        target: Where the file shall be; missing parent folders are made, an older file is replaced.

    Yields:
        An empty file to write to. After an error it is removed, and whatever was at `target` is untouched.

    Raises:
        StorageError: the file cannot be written: no space, no permission, a folder of that name.
    """
    part = _beside(target)
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        with _full_disk_explained(target):
            yield part
        with writing(target):
            part.replace(target)
    finally:
        # Where the folder cannot be made or reached there is nothing to remove, and the error above says why.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def link_or_copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> None:
    """Give a file that nothing changes any more a second name, or a copy where the file system has no links.

    A file of that name is replaced. Where neither is possible, OSError is raised.
    """
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copyfile(source, target)


def is_part(name: str) -> bool:
    """Tell whether a file or folder is one that is being written, by its name."""
    return name.startswith(".") and name.endswith(PART_SUFFIX)


@contextmanager
def atomic_folder(target: Path, signed: bool = True) -> Iterator[Path]:
    """Write a folder beside its target and rename it when the block ends without an error.

    Args:
        target: Where the folder shall be; missing parent folders are made, an older folder or file is replaced.
        signed: Whether to leave an inventory in it, so that it may be replaced by a later one (`ownership`).

    Yields:
        An empty folder to write to. After an error it is removed, and whatever was at `target` is still there.

    Raises:
        StorageError: the folder cannot be written: no space, no permission.
    """
    part = _beside(target)
    try:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()
        with _full_disk_explained(target):
            yield part
        with writing(target):
            if signed:
                write_inventory(part)
            _set_modes(part)
            _swap_folder(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


@contextmanager
def resumable_folder(target: Path, key: str) -> Iterator[Path]:
    """Write a folder beside its target as `atomic_folder` does, but keep it where it is worth going on.

    Args:
        target: Where the folder shall be.
        key: Names the content, so that only a beginning of the same is gone on with.

    Yields:
        A folder to write to, empty or with what an earlier block of this target and key wrote before it was killed,
        interrupted, or left by the store (UnreachableError). While another process writes it, an empty one.

    Raises:
        OSError: the folder cannot be put in its place.
        StorageError: the folder cannot be made: no space, no permission.
    """
    part = target.with_name(f".{target.name}.{key[:32]}{PART_SUFFIX}")
    lock = _lock(part)
    if lock is None:
        with atomic_folder(target, signed=False) as own:
            yield own
        return
    try:
        yield part
        _swap_folder(part, target)
    except (UnreachableError, KeyboardInterrupt):
        raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def write_text_whole(target: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all; as `atomic_path`."""
    with atomic_path(target) as part:
        part.write_text(text, encoding="utf-8")


def check_writable(*targets: Path) -> None:
    """Make the parent folders of outputs, best before long work; StorageError if nothing can be written there."""
    for target in targets:
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            probe = _beside(target)
            probe.touch()
            probe.unlink()


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}{PART_SUFFIX}")


def _swap_folder(part: Path, target: Path) -> None:
    """Put a folder in the place of whatever is there; on failure the older one stays or goes back."""
    replaced = target.exists()
    if replaced and _exchanged(part, target):
        _remove(part)
        return
    earlier = _beside(target)
    if replaced:
        target.rename(earlier)
    try:
        part.rename(target)
    finally:
        if replaced and not target.exists():
            earlier.rename(target)
    _remove(earlier)


def _exchanged(one: Path, other: Path) -> bool:
    """Swap two names in one call, so that something is at both at all times; False where the system has no such call.

    Source: renameat2(2). Python has no function for it.
    """
    # A program is given the functions of its C library under no name; not all have this one.
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return call is not None and call(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _set_modes(folder: Path) -> None:
    """Give everything in a folder just made, whose own mode shows the umask, the modes of new files; links are left."""
    mode = folder.stat().st_mode & 0o777
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(mode if path.is_dir() else mode & 0o666)


@contextmanager
def _full_disk_explained(target: Path) -> Iterator[None]:
    """Explain what must come from writing; other errors of a block may come from what it reads."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL_DISK:
            raise
        with writing(target):
            raise


def _lock(part: Path) -> int | None:
    """Make the folder and take it for this process, or return None if another one has it."""
    with writing(part.parent, "Check space and permissions."):
        part.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The one who had it may have moved it away meanwhile.
        if part.exists() and part.stat().st_ino == os.fstat(descriptor).st_ino:
            return descriptor
    except OSError:
        # Taken, or a file system without locks.
        pass
    os.close(descriptor)
    return None
