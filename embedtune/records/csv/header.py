"""Tell what the first rows of a CSV are: names of columns, lines above them, or data; and the table that they make."""

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.csv.column_names import comparable, role_of, weigh_names
from embedtune.records.csv.options import AUTO
from embedtune.text import excerpt, shown_names

_CLEAR = 2.5
_LIKELY = 1.5
_LIKELY_OF_ONE = 2.0
_EVEN = 1.0
_EVEN_OF_ONE = 0.85
_LEAST = 0.6
_ROUNDING = 1e-9
_LINES_ABOVE = 10
_MORE_NEED = 5
_MOST_MORE = 3
_UNNAMED = re.compile(r"|Unnamed: 0(\.\d+)?|row\.names|rownames|\.\.\.1")
_KEY = re.compile(r"(?!\d*\.\d+$)[\w.-]*\d[\w.-]*")

OTHER_ORDER = "the header again, in another order"
"""What a row is that holds the names of the columns in another order than the header."""


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


@dataclass(frozen=True)
class Head:
    """What stands above the data of a CSV."""

    names: tuple[str, ...] = ()
    """Names of the columns, '' for one without; empty where there is no header."""
    more: tuple[tuple[str, ...], ...] = ()
    """Further rows of names below the header, such as units."""
    warning: str = ""
    """What was taken for what though it is not certain; '' where it is."""


def find_head(records: list[list[str]], header: str, chosen: Collection[str | int] = ()) -> Head:
    """Decide what the first records of a file are.

    With `header` 'auto' the first one is taken for names by its weight (`weigh_names`): from 2.5 on it is a
    header, from 1.5 on (2 for a single column) it is one and a warning says so, from 1 on one is asked, or of a single
    column warned (from 0.85 on); below it is data. A row that holds a chosen column is a header. Where it is one value
    shorter than the rows, and these begin with a key, R wrote the names of the rows. A row below the header that weighs
    2.5 against the others is a further one of names, such as units, and so is a line of dashes; where `header` is
    'yes', only the latter.

    Args:
        records: The records at the beginning of the file, not none, values stripped.
        header: The CSV option.
        chosen: The CSV option `columns`.

    Raises:
        InputError: it cannot be told whether the first row is a header, or the header stands below other lines.
    """
    if header == "no":
        return Head()
    first, width = records[0], _width(records)
    rows = [cells for cells in records[1:] if len(cells) == width]
    named = tuple(first[: -1 if len(first) == width and not first[-1] and role_of(first[0]) else None])
    names = _completed(named, rows) if len(named) + 1 == width and records[1:2] == rows[:1] else ()
    if not names:
        names = tuple(first)
        _check_above(records, width)
    fitting = [cells for cells in records[1:] if len(cells) == len(names)]
    told = ""
    if header == AUTO and set(chosen).isdisjoint(first):
        if not (weight := _weigh(names, fitting)):
            return Head()
        told = _told(excerpt(",".join(first)), weight, len(names))
        if weight < _LIKELY:
            return Head(warning=told)
    more, doubt = _more_names(names, fitting, _CLEAR if header == AUTO else math.inf)
    return Head(names, more, " ".join(filter(None, (told, doubt))))


def _weigh(names: tuple[str, ...], rows: list[list[str]]) -> float:
    """Return what speaks for a header, 0 where little does; a line of dashes below settles it."""
    weight = weigh_names(names, rows)
    if rows and is_rule(rows[0]):
        return max(weight, _CLEAR)
    if len(names) > 1:
        return weight if weight >= _EVEN else 0.0
    # A short column cannot weigh as much as a long one, and a name that comes again may be a text. A warning costs
    # little.
    least = min(_EVEN_OF_ONE, max(math.log10(len(rows) + 1), _LEAST))
    others = [row for row in rows if comparable(row) != comparable(names)]
    doubtful = weigh_names(names, others) if len(others) < len(rows) else weight
    return weight if weight >= _LIKELY_OF_ONE else _EVEN if doubtful >= least - _ROUNDING else 0.0


def _told(shown: str, weight: float, width: int) -> str:
    """Return what to say about the first row, '' where it is clear; refuse one of which nobody can tell."""
    if weight >= _CLEAR:
        return ""
    if weight >= _LIKELY:
        return (
            f"The first row, {shown}, was taken for names of the columns. Set the CSV option `header` to 'no' if it is "
            "data."
        )
    if width == 1:
        return f"The first row, {shown}, was taken for data. Set the CSV option `header` to 'yes' if it is a name."
    raise InputError(
        f"It cannot be told whether the first row, {shown}, holds names of the columns or data. Set the CSV option "
        "`header` to 'yes' or 'no'."
    )


def detect_header(records: list[list[str]]) -> bool:
    """Whether the first record is clearly a header, see `find_head`; those of another width are ignored."""
    return weigh_names(records[0], [cells for cells in records[1:] if len(cells) == len(records[0])]) >= _CLEAR


def same_names(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two rows hold the same names, whatever their case, blanks, and empty values at their ends."""
    return comparable(one) == comparable(other)


class NameRows:
    """Recognises the header and the second row of names where they come again, of three columns also below a key."""

    def __init__(self, names: Sequence[str], more: Sequence[Sequence[str]] = ()) -> None:
        """Remember the rows."""
        self._sorts: dict[str, str] = {}
        self._names = sorted(map(_alone, names)) if len(names) > 1 else []
        for row, sort in (*((row, "a second row of names") for row in more), (names, "the header again")):
            self._sorts[comparable(row)] = sort
            if len(row) > 2:
                self._sorts[comparable(row[1:])] = sort
        self._ends = {found.rpartition("\0")[2] for found in self._sorts} | {"", *self._names}
        self._longest = max(map(len, self._ends)) + 10
        self._initials = {end[:1] for end in self._ends}

    def sort(self, cells: Sequence[str]) -> str:
        """Return what the row is, '' if it is not one of names; `OTHER_ORDER` if it holds the names in another one."""
        end = cells[-1]
        if len(end) > self._longest or (end[:1].isalnum() and end[:1].casefold() not in self._initials):
            return ""
        if comparable([end]) not in self._ends:
            return ""
        found = self._sorts.get(comparable(cells), "") or self._sorts.get(comparable(cells[1:]), "")
        is_other = not found and len(cells) == len(self._names) and sorted(map(_alone, cells)) == self._names
        return OTHER_ORDER if is_other else found


def _alone(cell: str) -> str:
    return comparable([cell])


def is_rule(cells: Sequence[str]) -> bool:
    """Whether a row is a line of dashes or other signs, as programs print it below a header."""
    joined = "".join(cells)
    return len(joined) > 2 and not any(map(str.isalnum, joined)) and len(set(joined)) <= 3 and joined.isascii()


def _width(records: list[list[str]]) -> int:
    return Counter(map(len, records[1:] or records)).most_common(1)[0][0]


def _completed(first: tuple[str, ...], rows: list[list[str]]) -> tuple[str, ...]:
    """Return names for rows that have one value more than the header has names, () if that is no name of the row."""
    names = ("", *first)
    again = NameRows(names)
    rows = [cells for cells in rows if not again.sort(cells)]
    keys = [cells[0] for cells in rows]
    is_r = are_keys(keys) and len(set(keys)) == len(keys) and (len(first) > 1 or _known(first))
    return names if is_r and weigh_names(names, rows) >= _LIKELY else ()


def _check_above(records: list[list[str]], width: int) -> None:
    """Refuse a header below a title, a comment, or other lines that are no rows."""
    first = records[0]
    alone = sum(map(bool, first)) < 2 and not _known(first)
    is_line = len(first) != width or first[0].startswith("#") or (alone and width > 1)
    for number, cells in enumerate(records[1 : _LINES_ABOVE if is_line else 3], 1):
        more_known = _known(cells) > max(_known(first), 1)
        if len(cells) != width or not (is_line or more_known):
            continue
        if weigh_names(cells, [each for each in records[number + 1 :] if len(each) == width]) >= _LIKELY:
            raise InputError(
                f"The header ({shown_names(cells)}) seems to be row {number + 1}, below {excerpt(','.join(first))}. "
                "Remove the lines above it; or set the CSV option `header` to 'no' if these are rows of data."
            )


def _known(cells: Sequence[str]) -> int:
    """Return of how many different things a row holds known names."""
    return len({role_of(cell) for cell in cells} - {None})


def _more_names(names: tuple[str, ...], rows: list[list[str]], least: float) -> tuple[tuple[tuple[str, ...], ...], str]:
    """Return the further rows of names below the header, from a weight on, and what is not certain about the next."""
    again = NameRows(names)
    rows = [cells for cells in rows if not again.sort(cells) and sum(map(bool, cells)) > 1]
    keyed = int(len(names) > 2 and are_keys([cells[0] for cells in rows[1:]]))
    found: list[tuple[str, ...]] = []
    told: list[str] = []
    while len(names) > 1 and len(rows) > _MORE_NEED and len(found) < _MOST_MORE:
        weight = weigh_names(rows[0][keyed:], [cells[keyed:] for cells in rows[1:]])
        rule, shown = is_rule(rows[0][keyed:]), excerpt(",".join(rows[0]))
        if not rule and weight < least:
            if weight >= _LIKELY:
                cure = "Remove it if it holds names or units."
                told.append(f"The row below the header, {shown}, was taken for data. {cure}")
            break
        if not rule:
            cure = "Set the CSV option `header` to 'yes' if it is data."
            told.append(f"The row below the header, {shown}, was set aside as a second row of names. {cure}")
        found.append(tuple(rows.pop(0)))
    return tuple(found), " ".join(told)
