"""Rows that cannot be used, with the line they are on and why."""

import csv
from typing import TextIO

QUARANTINE_COLUMNS = ("line", "reason", "row")
"""Header of a quarantine file; `row` is the text of the row as it stands in the source."""

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_cell(text: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


class QuarantineWriter:
    """Writes a quarantine file and remembers its first reasons.

    Attributes:
        count: Rows written so far.
        first: The first three, as 'line N: reason'.
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

    def add(self, line: int, reason: str, row: str) -> None:
        """Set one row aside."""
        self.count += 1
        if len(self.first) < 3:
            self.first.append(f"line {line}: {reason}")
        self._writer.writerow((line, escape_cell(reason), escape_cell(row)))
