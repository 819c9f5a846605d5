"""Outputs that appear whole or not at all."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedtune.errors import StorageError


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Let a file or folder be written under a temporary name beside its target and put it there on success.

    Args:
        target: Where the output shall appear; an earlier output there is replaced.

    Yields:
        A path in the same folder that does not exist yet. It is removed when the block raises.

    Raises:
        StorageError: The output cannot be written or put in its place.
    """
    temporary = _beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _replace(temporary, target)
    except OSError as error:
        raise StorageError(f"Cannot write {target}: {error.strerror}. Free space or choose another place.") from error
    finally:
        _remove(temporary)


def _beside(target: Path) -> Path:
    return target.with_name(f".{target.name}.{uuid.uuid4().hex}.partial")


def _replace(temporary: Path, target: Path) -> None:
    if not target.is_dir():
        temporary.replace(target)
        return
    # A folder with content cannot be replaced in one call.
    earlier = _beside(target)
    target.rename(earlier)
    temporary.rename(target)
    _remove(earlier)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()
