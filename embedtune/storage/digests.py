"""Digests of files."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Protocol

from embedtune.errors import StorageError
from embedtune.progress import Advance
from embedtune.storage.errors import DamagedError

CHUNK_BYTES = 1 << 20

SMALL_BYTES = 16 << 20
"""Largest content that is read into memory."""

_WAITING_CHUNKS = 8


class Digest(Protocol):
    """A digest that grows with its content, as hashlib makes them."""

    def update(self, data: bytes, /) -> None:
        """Take more content."""

    def hexdigest(self) -> str:
        """Return the digest of the content so far in hexadecimal."""


class _BesideDigest:
    """Passes chunks to a thread that digests them."""

    def __init__(self, digest: Digest) -> None:
        self._digest = digest
        self._chunks: Queue[bytes] = Queue(_WAITING_CHUNKS)
        self._thread = threading.Thread(target=self._work)
        self._thread.start()

    def update(self, data: bytes, /) -> None:
        """Take more content."""
        if data:
            self._chunks.put(data)

    def hexdigest(self) -> str:
        """Return the digest of all content; there may come no more."""
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """End the thread, if it has not ended."""
        if self._thread.is_alive():
            self._chunks.put(b"")
            self._thread.join()

    def _work(self) -> None:
        while chunk := self._chunks.get():
            self._digest.update(chunk)


@contextmanager
def sha256_beside() -> Iterator[Digest]:
    """Give a SHA-256 that is computed beside the work that feeds it, which hashlib lets another core do."""
    digest = _BesideDigest(hashlib.sha256())
    try:
        yield digest
    finally:
        digest.close()


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
    """Return a content of which up to SMALL_BYTES + 1 bytes were read.

    Raises:
        DamagedError: it is longer than SMALL_BYTES.
    """
    if len(content) > SMALL_BYTES:
        raise DamagedError(
            f"{what} has more than the {SMALL_BYTES} bytes that are accepted for such a file, so nothing of ours wrote "
            "it. Remove it, and store again what it was part of."
        )
    return content
