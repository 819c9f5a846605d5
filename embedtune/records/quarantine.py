"""Rows that cannot be used, with the line they are on and why."""

import csv
import sys
from typing import TextIO

from embedtune.text import excerpt

QUARANTINE_COLUMNS = ("line", "reason", "row")
"""Header of a quarantine file; `row` is the text of the row as it stands in the source."""

_FIRST_ROWS = 20
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_cell(text: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


class QuarantineWriter:
    """Writes a quarantine file and remembers its first reasons.

    Attributes:
        count: Rows written so far.
        first: The first few, as 'line N: reason: row', the row cut.
    """

    def __init__(self, file: TextIO) -> None:
        """Write the header.

        Args:
            file: Opened for writing as UTF-8 with newline=''.
        """
        self.count = 0
        self.first: list[str] = []
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(QUARANTINE_COLUMNS)

    def show_first(self) -> None:
        """Print the first rows to stderr: in a pod, the file itself is out of reach once the task has failed."""
        sys.stderr.write(f"The first {len(self.first)} of {self.count} rows that cannot be used:\n")
        sys.stderr.writelines(f"  {row}\n" for row in self.first)

    def add(self, line: int, reason: str, row: str) -> None:
        """Set one row aside."""
        self.count += 1
        if len(self.first) < _FIRST_ROWS:
            self.first.append(f"line {line}: {reason}: {excerpt(row)}")
        self._writer.writerow((line, escape_cell(reason), escape_cell(row)))
