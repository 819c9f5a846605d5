"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from embedtune.errors import StorageError


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Write a file beside its target and rename it when the block ends without an error.

    Args:
        target: Where the file shall be; missing parent folders are made, an older file is replaced.

    Yields:
        The path to write to. After an error it is removed, and whatever was at `target` is untouched.

    Raises:
        StorageError: the file cannot be written: no space, no permission, a folder of that name.
    """
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(target)
    except OSError as error:
        raise StorageError(
            f"{target} cannot be written: {error}. Give a path in a writable folder with enough free space."
        ) from error
    finally:
        # Where the folder cannot be made or reached there is nothing to remove, and the error above says why.
        with suppress(OSError):
            part.unlink(missing_ok=True)
