"""The beginning of a CSV, parsed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.text import shortened

_SHOWN = 300
_UNNAMED = re.compile(r"|Unnamed: 0(\.\d+)?|row\.names|rownames|\.\.\.1")
_KEY = re.compile(r"(?!\d*\.\d+$)[\w.-]*\d[\w.-]*")


@dataclass(frozen=True)
class Table:
    """Rows of values, all of one width."""

    names: tuple[str, ...]
    """Names of the columns; 'column 1' and so on where there is no header."""
    header: bool
    """Whether the names stand in the file."""
    rows: list[list[str]]
    """Values, stripped; some may be empty."""

    @classmethod
    def of(cls, names: tuple[str, ...], header: bool, records: list[list[str]]) -> "Table":
        """Make a table of those records that are as wide as the names are many."""
        return cls(names, header, [cells for cells in records if len(cells) == len(names)])

    @property
    def shown_names(self) -> str:
        """The names in one line, cut to a length that fits a message."""
        return shown_names(self.names)

    @property
    def index(self) -> int:
        """How many columns at the left hold keys of rows, as pandas and R write them: without a name, 1 at most."""
        unnamed = self.header and len(self.names) > 1 and _UNNAMED.fullmatch(self.names[0])
        return int(bool(unnamed and are_keys(self.cells(0))))

    def select(self, positions: Sequence[int]) -> "Table":
        """Return the table with some columns only, in the given order."""
        names = tuple(self.names[i] for i in positions)
        return Table(names, self.header, [[cells[i] for i in positions] for cells in self.rows])

    def cells(self, position: int) -> list[str]:
        """Return the values of a column that are not empty."""
        return [cells[position] for cells in self.rows if cells[position]]


def are_keys(values: Sequence[str]) -> bool:
    """Whether values are whole numbers, or all different words with a digit, as rows are called, but no decimals."""
    if all(map(str.isdecimal, values)):
        return True
    return len(set(values)) == len(values) and all(map(_KEY.fullmatch, values))


def shown_names(names: Sequence[str], separator: str = ", ") -> str:
    """Return names in one line, cut to a length that fits a message: a hostile file may have a million columns."""
    return shortened(separator.join(names[:_SHOWN]), _SHOWN)
