"""Folders that appear whole or not at all, and whose interrupted beginnings are gone on with."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.storage.atomic import PART_SUFFIX, atomic_folder, swap_folder
from embedtune.storage.errors import UnreachableError


@contextmanager
def resumable_folder(target: Path, key: str) -> Iterator[Path]:
    """Write a folder beside its target as `atomic.atomic_folder` does, but keep it where it is worth going on.

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
        swap_folder(part, target)
    except (UnreachableError, KeyboardInterrupt):
        raise
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        os.close(lock)


def _lock(part: Path) -> int | None:
    """Make the folder and take it for this process, or return None if another one has it."""
    try:
        part.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(part, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise StorageError(f"{part.parent} cannot be written: {reason(error)}. Check space and permissions.") from error
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
