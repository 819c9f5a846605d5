"""Find out how a CSV separates and quotes its values."""

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from embedtune.errors import InputError
from embedtune.records.column_names import role_of

if TYPE_CHECKING:
    from _csv import Reader

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

_DETECTION_LINES = 2000
_DELIMITER_LINE = re.compile(r'"?sep=(.)"?(\r\n|\r|\n)', re.IGNORECASE)
# On equal evidence the rarer character wins: a comma or semicolon in every sentence is more likely than a tab.
_CANDIDATES = ("excel-tab", "semicolon", "pipe", "excel")


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

    @property
    def delimiter(self) -> str:
        """The one character between two values."""
        return NAMED_DIALECTS[self.name]

    def reader(self, lines: Iterable[str]) -> "Reader":
        """Parse lines strictly: text after a closing quote, or a quote left open, is a `csv.Error`."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quoting=csv.QUOTE_MINIMAL if self.quoting else csv.QUOTE_NONE,
            skipinitialspace=self.skip_blanks,
            strict=True,
        )

    def describe(self) -> str:
        """Return the dialect in words."""
        notes = ", one text per row" if self.name == "lines" else f" with delimiter {self.delimiter!r}"
        if not self.quoting:
            notes += ", quotes taken literally"
        if self.skip_blanks:
            notes += ", blanks before an opening quote skipped"
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
    """Whether a parsed record is an empty line, or one of nothing but white space."""
    return not cells or (len(cells) == 1 and not cells[0].strip())


def parse_sample(text: str, dialect: Dialect) -> list[list[str]]:
    """Return the records of a text that are well-formed and not blank, their values stripped."""
    lines: Iterator[str] = io.StringIO(text, newline="")
    if dialect.names_delimiter:
        next(lines)
    return [cells for cells, _ in _records(lines, dialect) if cells]


def choose_dialect(text: str, wanted: str, least_columns: int = 2) -> Dialect:
    """Choose the dialect that was asked for, else that of Excel's first line `sep=;`, else by `detect_dialect`.

    Args:
        text: The beginning of the file, up to the end of a line.
        wanted: 'auto', or a key of NAMED_DIALECTS.
        least_columns: 1 or 2, see `detect_dialect`.

    Raises:
        InputError: no delimiter gives two columns, or the first line names one that is not accepted.
    """
    named = _DELIMITER_LINE.match(text)
    if wanted != "auto":
        return Dialect(wanted, names_delimiter=named is not None)
    if named is None:
        return detect_dialect(text, least_columns)
    names = [name for name in _CANDIDATES if NAMED_DIALECTS[name] == named[1]]
    if not names:
        raise InputError(
            f"The first line names the delimiter {named[1]!r}; accepted are comma, semicolon, tab and pipe. Write the "
            "values with one of these."
        )
    return dataclasses.replace(_best_quoting(_lines(text[named.end() :]), names[0]).dialect, names_delimiter=True)


def detect_dialect(text: str, least_columns: int = 2) -> Dialect:
    """Choose the dialect under which the rows agree best on their number of columns.

    Each delimiter (comma, semicolon, tab, pipe) is tried on the first 2,000 lines with quotes, with quotes that may
    follow blanks, and without quotes. A delimiter is a candidate if at least half of the lines get two columns or more.
    Among candidates wins: a first row with two known column names; then the larger share, in tenths, of lines with the
    most frequent number of columns; then the rarer character (tab, semicolon, pipe, comma). Quotes are taken
    literally only where at least half of the values that begin with one are malformed as quoted values.

    Args:
        text: The beginning of the file, up to the end of a line.
        least_columns: 1 takes a file that no delimiter splits for one text per row, 2 refuses it.

    Raises:
        InputError: no delimiter gives two columns.
    """
    lines = _lines(text)
    trials = [_best_quoting(lines, name) for name in _CANDIDATES]
    candidates = [trial for trial in trials if trial.multiple_share >= 0.5]
    if not candidates and least_columns == 1:
        return _best_quoting(lines, "lines").dialect
    if not candidates:
        first = next((line for line in lines if line.strip()), "").strip()
        raise InputError(
            f"The rows have one column: neither comma, semicolon, tab nor pipe splits {first[:80]!r}. "
            "Two columns are needed, text and label or query and document. Write them with one of these delimiters."
        )
    best = max(candidates, key=lambda trial: (trial.known_header, round(trial.share, 1)))
    return best.dialect


@dataclass(frozen=True)
class _Trial:
    """How well a dialect fits; shares are of the lines that are not blank."""

    dialect: Dialect
    share: float
    """Lines in records with the most frequent number of columns above one."""
    multiple_share: float
    """Lines in records with two columns or more."""
    malformed: int
    """Records that break the rules of quoting."""
    literal: int
    """Values that begin with a quote after parsing."""
    known_header: bool
    """Whether the first record holds two known column names."""


def _lines(text: str) -> list[str]:
    return list(islice(io.StringIO(text, newline=""), _DETECTION_LINES))


def _best_quoting(lines: list[str], name: str) -> _Trial:
    quoted = max(
        (_try(lines, Dialect(name)), _try(lines, Dialect(name, skip_blanks=True))),
        key=lambda trial: (round(trial.share, 2), -trial.malformed - trial.literal),
    )
    if not quoted.malformed:
        return quoted
    unquoted = _try(lines, Dialect(name, quoting=False))
    literally = unquoted.share >= quoted.share and 2 * quoted.malformed >= unquoted.literal
    return unquoted if literally else quoted


def _try(lines: list[str], dialect: Dialect) -> _Trial:
    widths: Counter[int] = Counter()
    total = malformed = literal = 0
    first: list[str] | None = None
    for cells, count in _records(lines, dialect):
        total += count
        if cells is None:
            malformed += 1
            continue
        widths[len(cells)] += count
        literal += sum(cell.startswith('"') for cell in cells)
        first = cells if first is None else first
    several = [count for width, count in widths.items() if width > 1]
    return _Trial(
        dialect=dialect,
        share=max(several, default=0) / max(total, 1),
        multiple_share=sum(several) / max(total, 1),
        malformed=malformed,
        literal=literal,
        known_header=sum(role_of(cell) is not None for cell in first or ()) > 1,
    )


def _records(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[list[str] | None, int]]:
    """Yield stripped values, None for a malformed record, and the number of lines of each record that is not blank."""
    reader = dialect.reader(lines)
    with field_limit():
        while True:
            before = reader.line_num
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield None, reader.line_num - before
                continue
            if not is_blank(cells):
                yield [cell.strip() for cell in cells], reader.line_num - before
