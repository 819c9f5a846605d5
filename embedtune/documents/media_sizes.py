"""How large the images and meshes of rows files are."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedtune.documents.summary import MediaSummary
from embedtune.errors import InputError
from embedtune.progress import progress
from embedtune.records.layouts import Modality
from embedtune.records.rows import DIGEST_SUFFIX, POINT_BYTES, RowsFormat, iter_rows, read_format

_BATCH_ROWS = 64
_SHAPES = 5


@dataclass(frozen=True)
class _Size:
    data_bytes: int
    shape: tuple[int, ...]
    """Width and height of an image, number of points of a mesh; empty where the content cannot be read."""


def measure_media(files: Sequence[Path], rows: int) -> tuple[MediaSummary, ...]:
    """Measure every different image and mesh of rows files; of an image only the header is decoded.

    Args:
        files: Rows files of the same format.
        rows: Their number of rows, for the display of progress.

    Returns:
        One summary for each modality that is not text; none where contents are not loaded.

    Raises:
        StorageError: a file is missing or damaged.
    """
    rows_format = read_format(files[0])
    modalities = dict.fromkeys(rows_format.modalities)
    modalities.pop(Modality.TEXT, None)
    if not rows_format.loaded or not modalities:
        return ()
    sizes: dict[Modality, list[_Size]] = {modality: [] for modality in modalities}
    with progress("Measuring contents", rows * len(rows_format.modalities), "contents") as advance:
        for modality, content in _distinct_contents(files, rows_format):
            sizes[modality].append(_Size(len(content), _shape(modality, content)))
            advance(1)
    return tuple(_summarise(modality, found) for modality, found in sizes.items())


def _distinct_contents(files: Sequence[Path], rows_format: RowsFormat) -> Iterator[tuple[Modality, bytes]]:
    columns = {
        name: modality
        for name, modality in zip(rows_format.layout.contents, rows_format.modalities, strict=True)
        if modality is not Modality.TEXT
    }
    seen: set[bytes] = set()
    for path in files:
        for batch in iter_rows(path, [part for name in columns for part in (name, name + DIGEST_SUFFIX)], _BATCH_ROWS):
            for name, modality in columns.items():
                digests = batch.column(name + DIGEST_SUFFIX).to_pylist()
                for digest, content in zip(map(bytes.fromhex, digests), batch.column(name), strict=True):
                    if digest not in seen:
                        seen.add(digest)
                        yield modality, content.as_py()


def _shape(modality: Modality, content: bytes) -> tuple[int, ...]:
    if modality is Modality.MESH:
        return (len(content) // POINT_BYTES,)
    # Pillow takes time to import, and data without images do not need it.
    from embedtune.media.images import open_image
    from embedtune.media.limits import DEFAULT_IMAGE_LIMITS

    try:
        return open_image(content, DEFAULT_IMAGE_LIMITS).size
    except InputError:
        return ()


def _summarise(modality: Modality, sizes: Sequence[_Size]) -> MediaSummary:
    shapes = Counter(size.shape for size in sizes if size.shape)
    most = sorted(shapes.items(), key=lambda entry: (-entry[1], entry[0]))[:_SHAPES]
    return MediaSummary(
        modality=modality.value,
        contents=len(sizes),
        unreadable=sum(not size.shape for size in sizes),
        bytes_histogram=power_histogram([size.data_bytes for size in sizes]),
        size_histogram=power_histogram([max(size.shape) for size in sizes if size.shape]),
        shapes=tuple((" × ".join(f"{side:,}" for side in shape), count) for shape, count in most),
    )


def power_histogram(values: Sequence[int]) -> tuple[tuple[int, int], ...]:
    """Count values by the power of two that they reach at most.

    Returns:
        (power, how many values have at most that, but more than half of it), from the smallest that occurs to the
        largest; without those at both ends that are empty.
    """
    if not values:
        return ()
    exponents = np.ceil(np.log2(np.maximum(np.asarray(values), 1))).astype(np.int64)
    first = int(exponents.min())
    return tuple((2 ** (first + place), count) for place, count in enumerate(np.bincount(exponents - first).tolist()))
