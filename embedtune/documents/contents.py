"""Rows become numbers of distinct texts, and those that cannot be used are told apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.grouping import Fingerprints
from embedtune.records.layouts import CONTENT_COLUMNS, LINE_COLUMN, Layout

USABLE = 0
"""Fault number of a row that can be used."""

_BLANK = 1
_SEVERAL_LABELS = 2
_SAME_TEXT = 3

FAULT_REASONS = {
    _BLANK: "a cell is blank",
    _SEVERAL_LABELS: "the same text has several labels",
    _SAME_TEXT: "query and document are the same text up to case, Unicode form and white space",
}
"""Why a row is set aside, by fault number."""


@dataclass(frozen=True, eq=False)
class Contents:
    """R rows over T distinct texts; two rows with the same numbers are duplicates."""

    layout: Layout
    lines: npt.NDArray[np.int64]
    """1-based line of the source on which each row starts (R,)."""
    texts: pa.Array
    """Distinct texts without white space at their ends, in order of first sight (T,); queries first for pairs."""
    first: npt.NDArray[np.int64]
    """Number of each row's text (labelled) or query (pairs), 0..T-1 (R,)."""
    second: npt.NDArray[np.int64]
    """Number of each row's label, 0..L-1 (labelled), or document, 0..T-1 (pairs) (R,)."""
    labels: pa.Array
    """Distinct labels (L,); empty for pairs."""

    def row(self, number: int) -> tuple[str, str]:
        """Return the two cells of one row, 0..R-1."""
        second = self.labels if self.layout is Layout.LABELLED else self.texts
        return self.texts[int(self.first[number])].as_py(), second[int(self.second[number])].as_py()


def read_contents(layout: Layout, table: pa.Table) -> Contents:
    """Number the distinct contents of validated rows.

    Args:
        layout: What a row means.
        table: `line` and the layout's two string columns, as `records` writes them (R rows, at least one).
    """
    first, second = (_trimmed(table.column(name)) for name in CONTENT_COLUMNS[layout])
    lines = table.column(LINE_COLUMN).to_numpy().astype(np.int64)
    if layout is Layout.PAIRS:
        texts, numbers = _number(pa.chunked_array([*first.chunks, *second.chunks]))
        nothing = pa.array([], pa.large_string())
        return Contents(layout, lines, texts, numbers[: len(lines)], numbers[len(lines) :], nothing)
    texts, text_numbers = _number(first)
    labels, label_numbers = _number(second)
    return Contents(layout, lines, texts, text_numbers, label_numbers, labels)


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # 64-bit offsets: all texts together may exceed the 2 GiB that a plain arrow string array can hold.
    column = column.cast(pa.large_string())
    return pc.utf8_trim_whitespace(pc.fill_null(column, "") if column.null_count else column)


def _number(values: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int64]]:
    """Return the distinct values in order of first sight and each value's number among them."""
    encoded = values.dictionary_encode().combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.chunk(0)
    return encoded.dictionary, encoded.indices.to_numpy().astype(np.int64)


def find_faults(contents: Contents, prints: Fingerprints) -> npt.NDArray[np.int8]:
    """Return the fault number of each row (R,): USABLE or a key of FAULT_REASONS.

    Args:
        contents: The rows.
        prints: The fingerprints of `contents.texts` (T,).
    """
    faults = np.full(len(contents.lines), USABLE, np.int8)
    if contents.layout is Layout.PAIRS:
        faults[prints.keys[contents.first] == prints.keys[contents.second]] = _SAME_TEXT
        blank = _blanks(contents.texts)
        faults[blank[contents.first] | blank[contents.second]] = _BLANK
        return faults
    blank_rows = _blanks(contents.texts)[contents.first] | _blanks(contents.labels)[contents.second]
    faults[_has_several(contents.first, contents.second, ~blank_rows)] = _SEVERAL_LABELS
    faults[blank_rows] = _BLANK
    return faults


def _blanks(values: pa.Array) -> npt.NDArray[np.bool_]:
    blank: npt.NDArray[np.bool_] = pc.equal(values, "").to_numpy(zero_copy_only=False)
    return blank


def _has_several(
    texts: npt.NDArray[np.int64], labels: npt.NDArray[np.int64], rows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Tell for each row whether its text has more than one label among `rows`."""
    count = int(texts.max()) + 1
    lowest = np.full(count, np.iinfo(np.int64).max)
    highest = np.full(count, -1, np.int64)
    np.minimum.at(lowest, texts[rows], labels[rows])
    np.maximum.at(highest, texts[rows], labels[rows])
    return (lowest < highest)[texts]
