"""How a CSV separates and quotes its values, and the parsing of text by it."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from embedtune.records.csv.typographic import Straightener

if TYPE_CHECKING:
    from _csv import Reader

_END_SIGN = "\x1a"

FIELD_LIMIT = 1 << 20
"""Most characters of one value; a longer one is malformed, most often because of a quote that is never closed."""

NAMED_DIALECTS: dict[str, str] = {
    "excel": ",",
    "excel-tab": "\t",
    "unix": ",",
    "semicolon": ";",
    "pipe": "|",
    "lines": "\x1f",
}
"""Dialects that can be asked for, and their delimiters. Quotes are `"`, doubled inside a quoted value.

`lines` is for files of one text per row: its delimiter is ASCII's unit separator, which no text holds.
"""


@dataclass(frozen=True)
class Dialect:
    """How values are separated and quoted."""

    name: str
    """Key of NAMED_DIALECTS."""
    quoting: bool = True
    """False: quotes are characters like any other."""
    skip_blanks: bool = False
    """True: a quote opens a quoted value even after blanks that follow the delimiter."""
    names_delimiter: bool = False
    """True: the first line is Excel's `sep=;`, which holds no values."""
    typographic: bool = False
    """True: “ and ” around a value are quotes too, see `typographic.Straightener`."""

    @property
    def delimiter(self) -> str:
        """The one character between two values."""
        return NAMED_DIALECTS[self.name]

    def reader(self, lines: Iterable[str]) -> "Reader":
        """Parse lines strictly: text after a closing quote, or a quote left open, is a `csv.Error`."""
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE
        return csv.reader(
            lines, delimiter=self.delimiter, quoting=quoting, skipinitialspace=self.skip_blanks, strict=True
        )

    def straightener(self) -> Callable[[str], str] | None:
        """Return what rewrites each line on which a record starts before it is parsed, if anything does."""
        return Straightener(self.delimiter) if self.typographic else None

    def describe(self) -> str:
        """Return the dialect in words."""
        notes = ", one text per row" if self.name == "lines" else f" with delimiter {self.delimiter!r}"
        if not self.quoting:
            notes += ", quotes taken literally"
        if self.skip_blanks:
            notes += ", blanks before an opening quote skipped"
        if self.typographic:
            notes += ", typographic quotes"
        if self.names_delimiter:
            notes += ", named in the first line"
        return self.name + notes


@contextmanager
def field_limit() -> Iterator[None]:
    """Raise the csv module's process-wide limit on the length of a value to FIELD_LIMIT, for a while."""
    before = csv.field_size_limit(FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def is_blank(cells: list[str]) -> bool:
    """Whether a parsed record is an empty line, or one of nothing but delimiters and white space."""
    return not any(map(str.strip, cells))


def without_end_sign(line: str, starts_record: bool) -> str:
    """Return a physical line without the sign with which DOS ends a file, and which it leaves between joined files.

    Args:
        line: The line with its end.
        starts_record: Whether a record starts on it; within a quoted value the sign is a part of that.
    """
    if _END_SIGN not in line:
        return line
    if not line.endswith(("\n", "\r")):
        return line.rstrip(_END_SIGN)
    is_alone = starts_record and not line.strip(_END_SIGN + "\r\n")
    return line.replace(_END_SIGN, "") if is_alone else line


def trim(cells: list[str], width: int) -> list[str]:
    """Return a record without the empty values beyond a width, which a delimiter at the end of its line makes."""
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    return cells


def parse_sample(text: str, dialect: Dialect) -> list[list[str]]:
    """Return the records of a text that are well-formed and not blank, their values stripped.

    Columns at the right without a name or a value are left out.
    """
    lines: Iterator[str] = io.StringIO(text, newline="")
    if dialect.names_delimiter:
        next(lines)
    records = [cells for cells, _ in parse_lines(lines, dialect) if cells]
    width = max((len(trim(list(cells), 0)) for cells in records), default=0)
    return [trim(cells, width) for cells in records]


def parse_lines(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[list[str] | None, int]]:
    """Yield stripped values, None for a malformed record, and the number of lines of each record that is not blank."""
    starts = _RecordStarts(lines, dialect.straightener())
    reader = dialect.reader(starts)
    with field_limit():
        while True:
            before = reader.line_num
            starts.at_start = True
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield None, reader.line_num - before
                continue
            if not is_blank(cells):
                yield [cell.strip() for cell in cells], reader.line_num - before


class _RecordStarts:
    """Lines, of which those on which a record starts are straightened."""

    def __init__(self, lines: Iterable[str], straighten: Callable[[str], str] | None) -> None:
        self.at_start = True
        self._lines = iter(lines)
        self._straighten = straighten

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = without_end_sign(next(self._lines), self.at_start)
        if self.at_start and self._straighten is not None:
            line = self._straighten(line)
        self.at_start = False
        return line
