"""Digests of what a model was trained on, and the files in its folder that keep them. Imports no torch."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Digests = npt.NDArray[np.uint64]
"""Digests of 8 bytes each. Of a million two are equal by chance once in 37 million such sets, and one of a million is
taken for one of another million once in 18 million."""

_BYTES = 8
_STORED = "<u8"


def digests_of(keys: Iterable[bytes]) -> Digests:
    """Return the digest of each of N keys (N,)."""
    joined = b"".join(hashlib.blake2b(key, digest_size=_BYTES).digest() for key in keys)
    return np.frombuffer(joined, _STORED)


def save_digests(path: Path, digests: Digests) -> None:
    """Write digests, ascending and each once, as a NumPy array that any reader of that format reads."""
    np.save(path, np.unique(digests).astype(_STORED), allow_pickle=False)


def load_digests(path: Path) -> Digests:
    """Read what `save_digests` wrote, and no other array that the format can hold.

    Raises:
        ValueError: the file holds something else, or is cut.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        form = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0(file) if form == (1, 0) else None
        content = file.read()
    if header != ((len(content) // _BYTES,), False, np.dtype(_STORED)) or len(content) % _BYTES:
        raise ValueError("it is no row of 8-byte numbers, or cut")
    digests = np.frombuffer(content, _STORED)
    if (digests[1:] <= digests[:-1]).any():
        raise ValueError("its numbers do not ascend")
    return digests
