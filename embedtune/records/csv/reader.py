"""Read the records of a CSV with the line each starts on, without ever holding more than one of them."""

import csv
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import TextIO

from embedtune.errors import StorageError, reason
from embedtune.records.csv.dialects import FIELD_LIMIT, Dialect, field_limit, is_blank, trim, without_end_sign
from embedtune.records.csv.encodings import undecodable, unmarked
from embedtune.records.csv.request import CSVSource

LINE_LIMIT = 4 * FIELD_LIMIT
"""Most characters of one physical line, so that a file without line ends cannot fill the memory."""

_SHOWN_OF_LONG = 1000
_TOO_LONG = f"a line has more than {LINE_LIMIT} characters; one row per line is expected"

_LEAST_SWALLOWED = 5
_NEARLY_ALL = 0.9
_SWALLOWED = "a quote is opened and perhaps never closed, because its lines are rows by themselves"


class RecordReader:
    """The records of one file that are not blank, without the empty values beyond the width of the file.

    A record that is malformed (text after a closing quote, a quote that is never closed, a value of more than
    FIELD_LIMIT characters) is given line by line, because nobody knows where it was meant to end. So is one of five
    lines or more of which the first, the last and nearly all between would be rows of the file's width if quotes were
    characters, with no blank after the delimiter: two stray quotes swallow all rows between them.

    Attributes:
        blank_line: The last line so far on which a blank record starts, 0 if there was none.
        without_value: Records so far of nothing but delimiters.
    """

    def __init__(self, source: CSVSource, encoding: str, dialect: Dialect, width: int = 0) -> None:
        """Remember what to read; nothing is opened yet.

        Args:
            source: The file.
            encoding: Its encoding.
            dialect: Its dialect.
            width: How many columns it has, 0 if that is not known; below 2 nothing is taken for swallowed rows.
        """
        self._width = width
        self.blank_line = 0
        self.without_value = 0
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
        """Yield the 1-based line a record starts on, its values, and what is malformed about it ('' if nothing).

        Raises:
            StorageError: the file cannot be read.
            InputError: undecodable bytes.
        """
        try:
            with self._source.path.open(encoding=self._encoding, newline="") as file, field_limit():
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
            if is_blank(cells):
                self.blank_line = line
                self.without_value += len(cells) > 1
            else:
                yield line, trim(cells, self._width) if self._width else cells, ""

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
            line = without_end_sign(line, starts_record)
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
