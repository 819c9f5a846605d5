"""Digests of files."""

import hashlib
from pathlib import Path

from embedtune.progress import Advance

CHUNK_BYTES = 1 << 20


def file_sha256(path: Path, advance: Advance) -> str:
    """Return the SHA-256 of a file in hexadecimal, reading it once in pieces.

    Args:
        path: A file.
        advance: Told the number of bytes read.

    Raises:
        OSError: the file cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
            advance(len(chunk))
    return digest.hexdigest()
