"""How large the images and meshes of rows files are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from embedtune.documents.summary import MediaSummary
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.layouts import Modality
from embedtune.records.rows import DIGEST_SUFFIX, POINT_BYTES, SIZE_SUFFIX, RowsFormat, iter_rows, read_format

_BATCH_ROWS = {True: 10_000, False: 64}
"""Rows in memory at a time: of sizes, and of images and meshes."""
_SHAPES = 5

_Size = tuple[int, ...]
"""Bytes, and width and height of an image or number of points of a mesh, which lack where it cannot be read."""


def measure_media(files: Sequence[Path], rows: int) -> tuple[MediaSummary, ...]:
    """Tell of each modality that is not text how large all different contents of rows files are; they are loaded.

    Where one of the files, all of one format, does not hold the sizes, the headers of its images are read. The number
    of rows is for the display of progress.
    """
    rows_format = read_format(files[0])
    sizes: dict[Modality, list[_Size]] = {modality: [] for modality in rows_format.media.values()}
    with progress("Measuring contents", rows * len(rows_format.modalities), "contents") as advance:
        for modality, size in _distinct_sizes(files, rows_format):
            sizes[modality].append(size)
            advance(1)
    return tuple(_summarise(modality, found) for modality, found in sizes.items())


def _distinct_sizes(files: Sequence[Path], rows_format: RowsFormat) -> Iterator[tuple[Modality, _Size]]:
    columns = rows_format.media
    seen: set[bytes] = set()
    for path in files:
        measured = read_format(path).measured
        suffix = SIZE_SUFFIX if measured else ""
        names = [part for name in columns for part in (name + suffix, name + DIGEST_SUFFIX)]
        for batch in iter_rows(path, names, _BATCH_ROWS[measured]):
            for name, modality in columns.items():
                digests = batch.column(name + DIGEST_SUFFIX).to_pylist()
                for digest, found in zip(map(bytes.fromhex, digests), batch.column(name + suffix), strict=True):
                    if digest not in seen:
                        seen.add(digest)
                        yield modality, tuple(found.as_py()) if measured else _size(modality, found.as_py())


def _size(modality: Modality, content: bytes) -> _Size:
    if modality is Modality.MESH:
        return len(content), len(content) // POINT_BYTES
    # Pillow takes time to import, and data without images do not need it.
    from embedtune.media.images import open_image
    from embedtune.media.limits import DEFAULT_IMAGE_LIMITS

    try:
        return len(content), *open_image(content, DEFAULT_IMAGE_LIMITS).size
    except InputError:
        return (len(content),)


def _summarise(modality: Modality, sizes: Sequence[_Size]) -> MediaSummary:
    shapes = [shape for _, *shape in sizes if shape]
    most = sorted(Counter(map(tuple, shapes)).items(), key=lambda entry: (-entry[1], entry[0]))[:_SHAPES]
    return MediaSummary(
        modality=modality.value,
        contents=len(sizes),
        unreadable=len(sizes) - len(shapes),
        bytes_histogram=power_histogram([size[0] for size in sizes]),
        size_histogram=power_histogram([max(shape) for shape in shapes]),
        shapes=tuple((" × ".join(f"{side:,}" for side in shape), count) for shape, count in most),
    )


def power_histogram(values: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Return (power of two, how many values have at most that, but more than half of it), without empty ends."""
    if not values:
        return ()
    exponents = np.ceil(np.log2(np.maximum(np.asarray(values), 1))).astype(np.int64)
    first = int(exponents.min())
    return tuple((2 ** (first + place), count) for place, count in enumerate(np.bincount(exponents - first).tolist()))
