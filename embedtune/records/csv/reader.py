"""How a CSV separates and quotes its values, and its records, of which never more than one is held."""

import csv
import io
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Literal, TextIO

from embedtune.errors import StorageError, reason
from embedtune.records.csv.encodings import undecodable, unmarked
from embedtune.records.csv.options import NAMED_DIALECTS, CSVSource

if TYPE_CHECKING:
    from _csv import Reader

FIELD_LIMIT = 1 << 20
"""Most characters of one value; a longer one is malformed, most often because of a quote that is never closed."""

LINE_LIMIT = 4 * FIELD_LIMIT
"""Most characters of one physical line, so that a file without line ends cannot fill the memory."""

_SHOWN_OF_LONG = 1000
_TOO_LONG = f"a line has more than {LINE_LIMIT} characters; one row per line is expected"

_LEAST_SWALLOWED = 5
_NEARLY_ALL = 0.9
_SWALLOWED = "a quote is opened and perhaps never closed, because its lines are rows by themselves"
_END_SIGN = "\x1a"
_OPENING, _CLOSING = "“", "”"


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
    """True: “ and ” around a value are quotes too, see `Straightener`."""

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


def parse_sample(text: str, dialect: Dialect) -> list[list[str]]:
    """Return the records of a text that are well-formed and not blank, their values stripped.

    Columns at the right without a name or a value are left out.
    """
    lines: Iterator[str] = io.StringIO(text, newline="")
    if dialect.names_delimiter:
        next(lines)
    records = [cells for cells, _ in parse_lines(lines, dialect) if cells]
    width = max((len(_trim(list(cells), 0)) for cells in records), default=0)
    return [_trim(cells, width) for cells in records]


def parse_lines(lines: Iterable[str], dialect: Dialect) -> Iterator[tuple[list[str] | None, int]]:
    """Yield stripped values, None for a malformed record, and the number of lines of each record that is not blank."""
    straighten = dialect.straightener()
    at_start = True

    def straightened() -> Iterator[str]:
        nonlocal at_start
        for line in lines:
            line = _without_end_sign(line, at_start)
            line = straighten(line) if at_start and straighten is not None else line
            at_start = False
            yield line

    reader = dialect.reader(straightened())
    with _field_limit():
        while True:
            before = reader.line_num
            at_start = True
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error:
                yield None, reader.line_num - before
                continue
            if not _is_blank(cells):
                yield [cell.strip() for cell in cells], reader.line_num - before


class RecordReader:
    """The records of one file that are not blank, without the empty values beyond its width, 0 if that is not known.

    A record that is malformed (text after a closing quote, a quote that is never closed, a value of more than
    FIELD_LIMIT characters) is given line by line, because nobody knows where it was meant to end. So is one of five
    lines or more of which the first, the last and nearly all between would be rows of the file's width if quotes were
    characters, with no blank after the delimiter: two stray quotes swallow all rows between them.
    """

    def __init__(self, source: CSVSource, encoding: str, dialect: Dialect, width: int = 0) -> None:
        """Remember what to read; nothing is opened yet."""
        self._width = width
        self.blank_line = 0  # the last line so far on which a blank record starts
        self.without_value = 0  # records so far of nothing but delimiters
        self._source = source
        self._encoding = encoding
        self._dialect = dialect
        self._lines: list[str] = []
        self._too_long = False
        self._file: TextIO | None = None

    @property
    def position(self) -> int:
        """How many bytes of the file were read so far, with what is read ahead; 0 unless records are being read."""
        return 0 if self._file is None or self._file.closed else self._file.buffer.tell()

    @property
    def weight(self) -> int:
        """About how many bytes the records so far take in memory."""
        return self.position

    @property
    def raw(self) -> str:
        """The text of the record last given, without its line end."""
        return "".join(self._lines).rstrip("\r\n")

    def records(self) -> Iterator[tuple[int, list[str], str]]:
        """Yield the 1-based line a record starts on, its values, and what is malformed about it ('' if nothing)."""
        try:
            with self._source.path.open(encoding=self._encoding, newline="") as file, _field_limit():
                self._file = file
                yield from self._parse(file)
        except UnicodeDecodeError as error:
            raise undecodable(self._source, self._encoding) from error
        except UnicodeError as error:
            raise unmarked(self._source, self._encoding) from error
        except OSError as error:
            raise StorageError(
                f"{self._source.origin} cannot be read on: {reason(error)}. Check the disk or share it is on."
            ) from error

    def _parse(self, file: TextIO) -> Iterator[tuple[int, list[str], str]]:
        lines = self._read_lines(file)
        if self._dialect.names_delimiter:
            next(lines)
        reader = self._dialect.reader(lines)
        while True:
            self._lines.clear()
            self._too_long = False
            line = reader.line_num + 1 + self._dialect.names_delimiter
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield from self._malformed(line, _TOO_LONG if self._too_long else _explain(str(error)))
                continue
            if self._too_long:
                yield from self._malformed(line, _TOO_LONG)
                continue
            if len(self._lines) >= _LEAST_SWALLOWED and self._has_swallowed_rows():
                yield from self._malformed(line, _SWALLOWED)
                continue
            if _is_blank(cells):
                self.blank_line = line
                self.without_value += len(cells) > 1
            else:
                yield line, _trim(cells, self._width) if self._width else cells, ""

    def _read_lines(self, file: TextIO) -> Iterator[str]:
        straighten = self._dialect.straightener()
        held = self._lines
        readline = partial(file.readline, LINE_LIMIT)
        for line in chain([readline().removeprefix("\ufeff")], iter(readline, "")):
            if len(line) >= LINE_LIMIT:
                self._too_long = True
                held.append(line[:_SHOWN_OF_LONG] + "…")
                while not line.endswith(("\n", "\r")) and (line := readline()):
                    pass
                yield "\n"
                continue
            starts_record = not held
            line = _without_end_sign(line, starts_record)
            held.append(line)
            yield straighten(line) if starts_record and straighten is not None else line

    def _has_swallowed_rows(self) -> bool:
        if self._width <= 1:
            return False
        fitting = [line.count(self._dialect.delimiter) == self._width - 1 for line in self._lines]
        # A blank after each comma is how verses and sentences go on, not rows.
        unlike_rows = ('"', self._dialect.delimiter + " ")
        inner = [
            fits and not any(sign in line for sign in unlike_rows)
            for fits, line in zip(fitting[1:-1], self._lines[1:-1], strict=True)
        ]
        return fitting[0] and fitting[-1] and sum(inner) >= _NEARLY_ALL * len(inner)

    def _malformed(self, first: int, problem: str) -> Iterator[tuple[int, list[str], str]]:
        lines = self._lines.copy()
        if len(lines) > 1:
            problem = f"part of the malformed row of lines {first} to {first + len(lines) - 1}: {problem}"
        for number, line in enumerate(lines, first):
            self._lines[:] = [line]
            yield number, [], problem


def _explain(message: str) -> str:
    if "unexpected end of data" in message:
        return "a quote is opened and never closed"
    if "field limit" in message:
        return f"a value has more than {FIELD_LIMIT} characters, perhaps because a quote is never closed"
    if "expected after" in message:
        return "text follows a closing quote; a quote inside a quoted value is written twice"
    return message


@contextmanager
def _field_limit() -> Iterator[None]:
    """Raise the csv module's process-wide limit on the length of a value to FIELD_LIMIT, for a while."""
    before = csv.field_size_limit(FIELD_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _is_blank(cells: list[str]) -> bool:
    """Whether a parsed record is an empty line, or one of nothing but delimiters and white space."""
    return not any(map(str.strip, cells))


def _without_end_sign(line: str, starts_record: bool) -> str:
    """Return a physical line without the sign with which DOS ends a file, and which it leaves between joined files.

    Within a quoted value, on a line on which no record starts, the sign is a part of that.
    """
    if _END_SIGN not in line:
        return line
    if not line.endswith(("\n", "\r")):
        return line.rstrip(_END_SIGN)
    is_alone = starts_record and not line.strip(_END_SIGN + "\r\n")
    return line.replace(_END_SIGN, "") if is_alone else line


def _trim(cells: list[str], width: int) -> list[str]:
    """Return a record without the empty values beyond a width, which a delimiter at the end of its line makes."""
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    return cells


class Straightener:
    """Rewrites “value” as "value" where it fills a value of a line, and leaves every other quote as it is.

    The value must begin and end on the line; blanks may stand around it, and delimiters in it. It ends with the first ”
    that a delimiter or the line's end follows.
    """

    def __init__(self, delimiter: str) -> None:
        """Prepare for one delimiter."""
        mark = re.escape(delimiter)
        self._end = re.compile(rf"{_CLOSING} *(?={mark}|[\r\n]|\Z)")
        self._start = re.compile(rf" *{_OPENING}")
        # A value in straight quotes, or one without quotes, with the delimiter or line end behind it.
        self._other = re.compile(rf' *"(?:[^"]|"")*(?:"[^{mark}\r\n]*)?{mark}?|[^{mark}\r\n]*(?:{mark}|[\r\n]+|\Z)')

    def __call__(self, line: str) -> str:
        """Return one physical line on which a record starts, rewritten."""
        if _OPENING not in line or _CLOSING not in line:
            return line
        ends = [(match.start(), match.end()) for match in self._end.finditer(line)]
        parts: list[str] = []
        position = 0
        while position < len(line):
            start = self._start.match(line, position)
            place = bisect_left(ends, (start.end(), 0)) if start is not None else len(ends)
            if start is not None and place < len(ends):
                close, end = ends[place]
                parts.append('"' + line[start.end() : close].replace('"', '""') + '"' + line[end : end + 1])
                position = end + 1
            else:
                other = self._other.match(line, position)
                end = other.end() if other is not None else len(line)
                parts.append(line[position:end])
                position = end
        return "".join(parts)
