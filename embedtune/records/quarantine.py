"""Rows that cannot be used, with the line they are on and why."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TextIO

from embedtune.errors import InputError
from embedtune.text import excerpt

QUARANTINE_COLUMNS = ("line", "reason", "row")
"""Header of a quarantine file; `row` is the text of the row as it stands in the source."""

QUARANTINE_SOURCE = "source"
"""Fourth column of a quarantine file where the rows come from several files: the name of the row's file."""

SET_OPTIONS = "set the CSV options if the file was read wrongly, "
RAISE_SHARE = "or raise max_bad_share."
"""What a refusal of bad rows advises besides mending them; see `quarantine_reasons.without_options`."""

_FIRST_ROWS = 20
_MOST_TOLD = 3
_USER = re.compile(r"(https?://)[^\s/@\"',;]+@", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?\"',;]+)\?[^\s\"',;]*", re.IGNORECASE)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def escape_cell(text: str) -> str:
    """Put an apostrophe before a value that a spreadsheet would take for a formula."""
    return "'" + text if text.startswith(_FORMULA_STARTS) else text


def _without_secrets(row: str) -> str:
    """Leave out of web addresses what may be a password, a signature or a token: these texts go into logs."""
    return _QUERY.sub(r"\1?…", _USER.sub(r"\1…@", row))


@dataclass(frozen=True)
class Part:
    """What was read of one file of a source."""

    name: str
    """The `source` under which its bad rows were added."""
    origin: str
    """What to call it in a message, perhaps with how it was read."""
    total: int
    """Its rows, good and bad."""


class QuarantineWriter:
    """Writes a quarantine file and remembers its first reasons.

    Attributes:
        count: Rows written so far.
    """

    def __init__(self, file: TextIO, several_sources: bool = False) -> None:
        """Write the header.

        Args:
            file: Opened for writing as UTF-8 with newline=''.
            several_sources: Whether to write the column QUARANTINE_SOURCE.
        """
        self.count = 0
        self._counts: Counter[str] = Counter()
        self._first: dict[str, list[str]] = {}
        self._several = several_sources
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow((*QUARANTINE_COLUMNS, QUARANTINE_SOURCE) if several_sources else QUARANTINE_COLUMNS)

    @property
    def first(self) -> list[str]:
        """The first few rows: '[file ]line N: reason: row', the row cut and its web addresses without secrets."""
        return [row for rows in self._first.values() for row in rows][:_FIRST_ROWS]

    def show_first(self, source: str | None = None) -> None:
        """Print the first rows, perhaps of one file only, to stderr: in a pod, nobody reaches a failed task's files."""
        rows, count = (
            (self.first, self.count) if source is None else (self._first.get(source, []), self._counts[source])
        )
        sys.stderr.write(f"The first {len(rows)} of {count} rows that cannot be used:\n")
        sys.stderr.writelines(f"  {row}\n" for row in rows)

    def check_shares(
        self,
        parts: Sequence[Part],
        max_bad_share: float,
        quarantine: Path,
        what: str = "rows",
        cure: str = "",
        earlier: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Refuse a source if too much of any of its files was set aside, or all of it.

        Each file is judged alone, so that a large one does not hide a small one that is lost.

        Args:
            parts: What was read of each file.
            max_bad_share: Largest accepted share of bad rows in each of them, 0..1.
            quarantine: Where the rows are, for the message.
            what: What the rows are.
            cure: What may help besides mending them, such as 'set the CSV options, '.
            earlier: Rows of each file that somebody else set aside; they count as well.

        Raises:
            InputError: a share is larger; the message has the first such file and its first reasons.
        """
        bad = {part: self._counts[part.name] + earlier.get(part.name, 0) for part in parts if part.total}
        over = [part for part, count in bad.items() if count > max_bad_share * part.total or count == part.total]
        if not over:
            return
        part = over[0]
        self.show_first(part.name)
        limit = "nothing is left" if bad[part] == part.total else f"max_bad_share allows {max_bad_share:g}"
        first = "; ".join(self._first.get(part.name, [])[:_MOST_TOLD])
        more = f" There are too many in {len(over) - 1} more files as well." if len(over) > 1 else ""
        share = bad[part] / part.total
        raise InputError(
            f"{part.origin}: {bad[part]} of {part.total} {what} ({share:.2%}) cannot be used, {limit}. First ones: "
            f"{first}.{more} All of them are in {quarantine}. Mend the {what}, {cure}{RAISE_SHARE}"
        )

    def add(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set one bad row aside; `source` is the name of its file, used where there are several."""
        self.count += 1
        self._counts[source] += 1
        first = self._first.setdefault(source, [])
        if len(first) < _FIRST_ROWS:
            place = f"{source} line {line}" if self._several else f"line {line}"
            first.append(f"{place}: {reason}: {excerpt(_without_secrets(row))}")
        self.add_uncounted(line, reason, row, source)

    def add_uncounted(self, line: int, reason: str, row: str, source: str = "") -> None:
        """Set a row aside that is no bad one, such as a footer."""
        cells: tuple[object, ...] = (line, escape_cell(reason), escape_cell(row))
        self._writer.writerow((*cells, escape_cell(source)) if self._several else cells)
