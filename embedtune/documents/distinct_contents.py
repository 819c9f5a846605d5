"""Rows become numbers of distinct contents, and of contents it is told which are the same up to spelling."""

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.schema import content_id
from embedtune.errors import InputError
from embedtune.progress import Advance
from embedtune.records import layouts
from embedtune.records.layouts import LABEL_COLUMN, Layout, Modality
from embedtune.records.rows import DIGEST_SUFFIX, URI_SUFFIX, RowsFormat, read_format, read_rows

Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int8]
"""Members of an IntEnum."""

_DIGEST_BYTES = 16
_BATCH = 20_000

NO_CONTENT = -1
"""Number of the query that a document without judgment does not have."""


@dataclass(frozen=True, eq=False)
class DistinctContents:
    """R rows of F rows files over T distinct contents; two rows with the same numbers and values are duplicates."""

    rows_format: RowsFormat
    starts: Numbers
    """Number of the first row of each rows file, and R (F + 1,)."""
    lines: Numbers
    """1-based line of the source on which each row starts (R,)."""
    sources: pa.ChunkedArray | None
    """Name of each row's source (R,), or None where there is one source only."""
    values: pa.Array
    """Distinct contents (T,), texts before others: a text itself, of others the SHA-256, or the address."""
    texts: int
    """How many of them are texts, 0..T."""
    first: Numbers
    """Number of each row's first content, 0..T-1, or NO_CONTENT (R,)."""
    second: Numbers
    """Number of each row's second content, 0..T-1, or label, 0..L-1 (labelled, plain) (R,)."""
    labels: pa.Array
    """Distinct labels (L,); a null one where rows have none."""
    uris: tuple[pa.ChunkedArray | None, ...]
    """For each content column the address of each row's content (R,), or None where `values` tells it."""
    row_values: dict[str, pa.ChunkedArray]
    """The columns of `Layout.values` (R,), the label excepted."""

    @property
    def layout(self) -> Layout:
        """What a row means."""
        return self.rows_format.layout

    @property
    def has_pairs(self) -> bool:
        """Whether a row has two contents."""
        return len(self.rows_format.modalities) > 1

    def gains(self) -> npt.NDArray[np.float32]:
        """Return how relevant the second content of each row is for the first, 0 or more (R,)."""
        for name in layouts.NUMBER_COLUMNS & self.row_values.keys():
            numbers: npt.NDArray[np.float32] = self.row_values[name].to_numpy().astype(np.float32)
            return numbers
        return np.ones(len(self.lines), np.float32)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that the source names, sorted; none but for beir."""
        column = self.row_values.get(layouts.SPLIT_COLUMN)
        return () if column is None else tuple(sorted(filter(None, pc.unique(column).to_pylist())))

    @property
    def plural(self) -> str:
        """What the contents of the first column are called: 'texts', 'images' or 'meshes'."""
        return self.rows_format.modalities[0].plural

    def cell(self, row: int, side: int) -> str:
        """Return the content of a row in words: a text, or the address of another content."""
        uris = self.uris[side]
        if uris is not None:
            return str(uris[row].as_py()) or f"SHA-256 {self._digest(row, side)[:12]}"
        number = int((self.first, self.second)[side][row])
        return "" if number == NO_CONTENT else str(self.values[number].as_py())

    def _digest(self, row: int, side: int) -> str:
        return str(self.values[int((self.first, self.second)[side][row])].as_py())

    def row(self, row: int) -> tuple[str, ...]:
        """Return all cells of a row in words."""
        if not self.layout.is_trainable:
            return (self.cell(row, 0),)
        if self.layout.has_labels:
            return self.cell(row, 0), str(self.labels[int(self.second[row])].as_py())
        values = (column[row].as_py() for column in self.row_values.values())
        return self.cell(row, 0), self.cell(row, 1), *(str(value) for value in values)

    def source(self, row: int) -> str:
        """Return the name of a row's source, '' where there is one source only."""
        return "" if self.sources is None else str(self.sources[row].as_py())


def read_contents(files: Sequence[Path]) -> DistinctContents:
    """Number the distinct contents of rows files of one format, however the rows are divided into files.

    Loaded images and meshes are known by their digests; they themselves are not read.
    """
    rows_format = _common_format(files)
    tables = [read_rows(path, _columns(path))[1] for path in files]
    starts = np.cumsum([0, *(len(table) for table in tables)])
    if starts[-1] == 0:
        raise InputError(f"{files[0]} holds no rows; give a source with at least a few dozen.")
    names = rows_format.layout.contents
    told_by = [
        _telling_column(*column, rows_format.loaded) for column in zip(names, rows_format.modalities, strict=True)
    ]
    values, texts, numbers = number_contents([_taken(tables, name) for name in told_by], rows_format.modalities)
    labels, label_numbers = _labels(tables, rows_format.layout)
    return DistinctContents(
        rows_format=rows_format,
        starts=starts,
        lines=_column(tables, layouts.LINE_COLUMN).to_numpy().astype(np.int64),
        sources=_sources(tables, files),
        values=values,
        texts=texts,
        first=numbers[0],
        second=numbers[1] if len(numbers) > 1 else label_numbers,
        labels=labels,
        uris=tuple(
            None if telling == name else _column(tables, name + URI_SUFFIX)
            for name, telling in zip(names, told_by, strict=True)
        ),
        row_values={name: _column(tables, name) for name in rows_format.layout.values if name != LABEL_COLUMN},
    )


def _common_format(files: Sequence[Path]) -> RowsFormat:
    formats = [read_format(path) for path in files]
    expected = _kind(formats[0])
    for path, found in zip(files, map(_kind, formats), strict=True):
        if found != expected:
            raise InputError(
                f"{path} holds rows of another kind than {files[0]}: {found} instead of {expected}. Set the layout, or "
                "leave out the sources that are of another kind."
            )
    return formats[0]


def _kind(rows_format: RowsFormat) -> str:
    loaded = "" if rows_format.loaded else ", addresses only"
    return f"{rows_format.layout} ({' and '.join(rows_format.modalities)}{loaded})"


def _telling_column(name: str, modality: Modality, loaded: bool) -> str:
    return name + DIGEST_SUFFIX if loaded and modality is not Modality.TEXT else name


def _columns(path: Path) -> list[str]:
    """Return the columns to read: all but the bytes of loaded contents and their sizes."""
    schema = replace(read_format(path), measured=False).schema
    return [field.name for field in schema if not pa.types.is_large_binary(field.type)]


def _column(tables: Sequence[pa.Table], name: str) -> pa.ChunkedArray:
    kind = tables[0].schema.field(name).type
    return pa.chunked_array([chunk for table in tables for chunk in table.column(name).chunks], kind)


def _taken(tables: list[pa.Table], name: str) -> pa.ChunkedArray:
    """Return a column with 64-bit offsets, which texts above 2 GiB need, and free the one in the tables."""
    column = _column(tables, name)
    tables[:] = [table.drop_columns([name]) for table in tables]
    return column.cast(pa.large_string())


def _sources(tables: Sequence[pa.Table], files: Sequence[Path]) -> pa.ChunkedArray | None:
    chunks = []
    for number, table in enumerate(tables):
        if layouts.SOURCE_COLUMN in table.column_names:
            chunks += table.column(layouts.SOURCE_COLUMN).chunks
        elif len(files) == 1:
            return None
        else:
            chunks.append(pa.repeat(f"rows file {number}", len(table)))
    return pa.chunked_array(chunks, pa.string())


def number_contents(
    columns: list[pa.ChunkedArray], modalities: Sequence[Modality]
) -> tuple[pa.Array, int, list[Numbers]]:
    """Return the T distinct contents of one or two columns, how many are texts, and each column's numbers of them (R,).

    Columns of one modality share their contents; a text is never the same as an image, and texts come first. Of others
    the columns hold what tells one from another; a null cell has the number NO_CONTENT.
    """
    if len(set(modalities)) == 1:
        rows = len(columns[0])
        values, numbers = _number(pa.chunked_array([chunk for column in columns for chunk in column.chunks]))
        texts = len(values) if modalities[0] is Modality.TEXT else 0
        return values, texts, [numbers[start : start + rows] for start in range(0, len(numbers), rows)]
    (texts, first), (others, second) = (_number(column) for column in columns)
    return pa.concat_arrays([texts, others]), len(texts), [first, second + len(texts)]


def _number(values: pa.ChunkedArray) -> tuple[pa.Array, Numbers]:
    """Return the distinct values in order of first sight and each value's number among them, NO_CONTENT for null."""
    encoded = values.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return encoded.dictionary, pc.fill_null(encoded.indices, NO_CONTENT).to_numpy().astype(np.int64)


def _labels(tables: Sequence[pa.Table], layout: Layout) -> tuple[pa.Array, Numbers]:
    if layout.has_labels:
        return _number(_column(tables, LABEL_COLUMN).cast(pa.large_string()))
    rows = sum(len(table) for table in tables)
    return pa.nulls(1, pa.large_string()), np.zeros(rows, np.int64)


@dataclass(frozen=True, eq=False)
class Fingerprints:
    """What a split needs to know about D distinct contents with K distinct content keys."""

    ids: pa.Array
    """Document ids (D,): the first 128 bits of the content's SHA-256 in hexadecimal."""
    words: npt.NDArray[np.int32]
    """Number of white-space separated words of a text, 0 for other contents (D,)."""
    keys: Numbers
    """Dense number of the content key, 0..K-1 (D,)."""
    draws: npt.NDArray[np.uint64]
    """Seeded random number of each content key (K,)."""


def content_key(text: str) -> str:
    """Return what texts share that differ only in case, Unicode form and white space.

    This is Unicode's compatibility caseless form (Unicode 15, definition D146) with white space collapsed.
    """
    if text.isascii():
        return " ".join(text.casefold().split())
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(folded.split())


def fingerprint(values: pa.Array, texts: int, loaded: bool, seed: int, advance: Advance) -> Fingerprints:
    """Compute ids, lengths, content keys and seeded draws of distinct contents, and tell how many more are done.

    A draw depends on the seed and the content key only, not on the row order or on other rows: when the data grow, old
    texts tend to stay on their side of the split. What is no text is its own key, and never that of a text.

    Of the contents (D,) the first are texts; others are given by their SHA-256 in hexadecimal where they are loaded,
    else by their addresses. The seed is of 0..2**64-1.
    """
    salt = seed.to_bytes(8, "big")
    ids: list[pa.Array] = []
    words: list[npt.NDArray[np.int32]] = []
    digests: list[bytes] = []
    for start in range(0, texts, _BATCH):
        batch = values.slice(start, min(_BATCH, texts - start)).to_pylist()
        ids.append(pa.array([content_id(text.encode()) for text in batch], pa.string()))
        words.append(np.fromiter((len(text.split()) for text in batch), np.int32, len(batch)))
        digests.append(b"".join(_digest(content_key(text), salt) for text in batch))
        advance(len(batch))
    keys, draws = _dense_keys(b"".join(digests))
    others = values[texts:]
    names = others.to_pylist()
    if loaded:
        ids.append(pc.utf8_slice_codeunits(others, 0, 2 * _DIGEST_BYTES).cast(pa.string()))
    else:
        ids.append(pa.array([content_id(name.encode()) for name in names], pa.string()))
    other_keys, other_draws = _dense_keys(b"".join(_digest(name, salt) for name in names))
    advance(len(names))
    return Fingerprints(
        pa.concat_arrays(ids),
        np.concatenate([*words, np.zeros(len(names), np.int32)]),
        np.concatenate([keys, other_keys + len(draws)]),
        np.concatenate([draws, other_draws]),
    )


def _digest(key: str, salt: bytes) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=_DIGEST_BYTES, key=salt).digest()


def _dense_keys(digests: bytes) -> tuple[Numbers, npt.NDArray[np.uint64]]:
    """Number the distinct digests in order of first sight; the draw is a digest's first 8 bytes."""
    count = len(digests) // _DIGEST_BYTES
    array = pa.FixedSizeBinaryArray.from_buffers(pa.binary(_DIGEST_BYTES), count, [None, pa.py_buffer(digests)])
    encoded = array.dictionary_encode()
    words = np.frombuffer(encoded.dictionary.buffers()[1], ">u8", _DIGEST_BYTES // 8 * len(encoded.dictionary))
    draws = words[:: _DIGEST_BYTES // 8].astype(np.uint64)
    return encoded.indices.to_numpy().astype(np.int64), draws


def distinct(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """Return what np.unique with return_inverse does, without its sort; for numbers not far above their count.

    The D different ones of C numbers of 0..N-1, ascending (D,), and the position of each number among them (C,).
    """
    present = np.zeros(int(numbers.max(initial=-1)) + 1, np.bool_)
    present[numbers] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[numbers]
