"""Files and folders that appear whole or not at all."""

import errno
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedtune.errors import StorageError

_FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.touch()
        with _full_disk_explained(target):
            yield part
        with _explained(target):
            part.replace(target)
    finally:
        # Where the folder cannot be made or reached there is nothing to remove, and the error above says why.
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Write a folder beside its target and rename it when the block ends without an error.

    Args:
        target: Where the folder shall be; missing parent folders are made, an older folder or file is replaced.

    Yields:
        An empty folder to write to. After an error it is removed, and whatever was at `target` is still there.

    Raises:
        StorageError: the folder cannot be written: no space, no permission.
    """
    part = _beside(target)
    try:
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            part.mkdir()
        with _full_disk_explained(target):
            yield part
        with _explained(target):
            _swap(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text_whole(target: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all.

    Args:
        target: Where the file shall be; missing parent folders are made, an older file is replaced.
        text: Its content.

    Raises:
        StorageError: the file cannot be written.
    """
    with atomic_path(target) as part:
        part.write_text(text, encoding="utf-8")


def check_writable(*targets: Path) -> None:
    """Make the parent folders of outputs and check that something can be written there, best before long work.

    Raises:
        StorageError: nothing can be written there.
    """
    for target in targets:
        with _explained(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            probe = _beside(target)
            probe.touch()
            probe.unlink()


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")


def _swap(part: Path, target: Path) -> None:
    """Put a folder in the place of whatever is there, which one call cannot do; on failure the older one goes back."""
    earlier = _beside(target)
    replaced = target.exists()
    if replaced:
        target.rename(earlier)
    try:
        part.rename(target)
    finally:
        if replaced and not target.exists():
            earlier.rename(target)
    if earlier.is_dir():
        shutil.rmtree(earlier, ignore_errors=True)
    else:
        earlier.unlink(missing_ok=True)


@contextmanager
def _explained(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error}. Give a path in a writable folder with enough free space."
        ) from error


@contextmanager
def _full_disk_explained(target: Path) -> Iterator[None]:
    """Explain what must come from writing; other errors of a block may come from what it reads."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL_DISK:
            raise
        with _explained(target):
            raise
