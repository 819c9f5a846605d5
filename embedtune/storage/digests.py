"""Digests of files."""

import hashlib
from pathlib import Path
from typing import Protocol

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.errors import DamagedError

CHUNK_BYTES = 1 << 20

SMALL_BYTES = 16 << 20
"""Largest content that is read into memory."""


class Digest(Protocol):
    """A digest that grows with its content, as hashlib makes them."""

    def update(self, data: bytes, /) -> None:
        """Take more content."""


def file_sha256(path: Path, advance: Advance) -> str:
    """Return the SHA-256 of a file in hexadecimal, reading it once in pieces.

    Args:
        path: A file.
        advance: Told the number of bytes read.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    feed_file(digest, path, advance)
    return digest.hexdigest()


def feed_file(digest: Digest, path: Path, advance: Advance) -> None:
    """Tell a digest the content of a file; arguments and errors as of `file_sha256`."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))


def changed(source: Path) -> StorageError:
    """Return the error of a file that is not any more what it was when its SHA-256 was taken."""
    return StorageError(f"{source} changed while it was being stored. Start again when nothing writes to it.")


def check_small(content: bytes, what: str) -> bytes:
    """Return a content of which up to SMALL_BYTES + 1 bytes were read; DamagedError if it has more than SMALL_BYTES."""
    if len(content) > SMALL_BYTES:
        raise DamagedError(
            f"{what} has more than the {SMALL_BYTES} bytes that are accepted for such a file, so nothing of ours wrote "
            "it. Remove it, and store again what it was part of."
        )
    return content
