"""The IDX format of MNIST and the data sets that follow it, compressed with gzip."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from embedtune.errors import InputError

SIZE_LIMIT = 256 << 20
"""Most values read from one file; the largest file of MNIST and Fashion-MNIST has 47 million."""

_BYTES_TYPE = 8
_CHUNK_BYTES = 1 << 20


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Read a file of unsigned bytes.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of axes, the length of each axis as a 32-bit
    big-endian number, the values in C order (http://yann.lecun.com/exdb/mnist/). What the header says is never
    allocated before that many values have come.

    Args:
        path: A file compressed with gzip.
        axes: Number of axes it must have: 1 for labels, 3 for images.

    Returns:
        uint8, (N,) or (N, rows, columns), N at least 1.

    Raises:
        InputError: the file cannot be read, is cut off or damaged, or is not of this format, type or number of axes.
    """
    try:
        with gzip.open(path, "rb") as file:
            shape = _read_shape(file, path, axes)
            values = _read_values(file, path, math.prod(shape))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a complete gzip file. Remove it and fetch it again.") from error
    return np.frombuffer(values, np.uint8).reshape(shape)


def _read_shape(file: gzip.GzipFile, path: Path, axes: int) -> tuple[int, ...]:
    magic, expected = file.read(4), bytes((0, 0, _BYTES_TYPE, axes))
    if magic != expected:
        raise InputError(
            f"{path} starts with the bytes {magic.hex(' ')!r}; an IDX file of unsigned bytes with {axes} "
            f"{'axis' if axes == 1 else 'axes'} starts with {expected.hex(' ')!r}. Check which file this is."
        )
    header = file.read(4 * axes)
    if len(header) < 4 * axes:
        raise InputError(f"{path} ends within its header. Fetch it again.")
    shape = tuple(int(length) for length in np.frombuffer(header, ">u4"))
    if not 0 < math.prod(shape) <= SIZE_LIMIT:
        raise InputError(
            f"{path} says that it holds {' x '.join(map(str, shape))} values; 1 to {SIZE_LIMIT} are accepted. "
            "Check which file this is."
        )
    return shape


def _read_values(file: gzip.GzipFile, path: Path, count: int) -> bytearray:
    values = bytearray()
    while len(values) <= count and (chunk := file.read(min(_CHUNK_BYTES, count + 1 - len(values)))):
        values += chunk
    if len(values) != count:
        found = "more" if len(values) > count else f"only {len(values)}"
        raise InputError(f"{path} says that it holds {count} values, but there are {found}. Fetch it again.")
    return values
