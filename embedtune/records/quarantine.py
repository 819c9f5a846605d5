"""Rows that cannot be used, with the line they are on and why."""

import csv
import re
import sys
from typing import TextIO

from embedtune.text import excerpt

QUARANTINE_COLUMNS = ("line", "reason", "row")
"""Header of a quarantine file; `row` is the text of the row as it stands in the source."""

QUARANTINE_SOURCE = "source"
"""Fourth column of a quarantine file where the rows come from several files: the name of the row's file."""

_FIRST_ROWS = 20
_USER = re.compile(r"(https?://)[^\s/@\"',;]+@", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?\"',;]+)\?[^\s\"',;]*", re.IGNORECASE)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_cell(text: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _without_secrets(row: str) -> str:
    """Leave out of web addresses what may be a password, a signature or a token: these texts go into logs."""
    return _QUERY.sub(r"\1?…", _USER.sub(r"\1…@", row))


class QuarantineWriter:
    """Writes a quarantine file and remembers its first reasons.

    Attributes:
        count: Rows written so far.
        first: The first few, as 'line N: reason: row', the row cut and without what may be a secret in its web
            addresses; of several files 'file line N: reason: row'.
    """

    def __init__(self, file: TextIO, several_sources: bool = False) -> None:
        """Write the header.

        Args:
            file: Opened for writing as UTF-8 with newline=''.
            several_sources: Whether to write the column QUARANTINE_SOURCE.
        """
        self.count = 0
        self.first: list[str] = []
        self._several = several_sources
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow((*QUARANTINE_COLUMNS, QUARANTINE_SOURCE) if several_sources else QUARANTINE_COLUMNS)

    def show_first(self) -> None:
        """Print the first rows to stderr: in a pod, the file itself is out of reach once the task has failed."""
        sys.stderr.write(f"The first {len(self.first)} of {self.count} rows that cannot be used:\n")
        sys.stderr.writelines(f"  {row}\n" for row in self.first)

    def add(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set one row aside; `source` is the name of its file, used where there are several."""
        self.count += 1
        if len(self.first) < _FIRST_ROWS:
            place = f"{source} line {line}" if self._several else f"line {line}"
            self.first.append(f"{place}: {reason}: {excerpt(_without_secrets(row))}")
        cells: tuple[object, ...] = (line, escape_cell(reason), escape_cell(row))
        self._writer.writerow((*cells, escape_cell(source)) if self._several else cells)
