"""Tell what the first rows of a CSV are: names of columns, lines above them, or data."""

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.csv.column_contents import BRACKETS, Role, all_numbers, are_keys, comparable, role_of
from embedtune.records.csv.options import AUTO
from embedtune.records.layouts import media_suffix
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

OTHER_ORDER = "the header again, in another order"
"""What a row is that holds the names of the columns in another order than the header."""

_TELLING = frozenset({Role.TEXT, Role.LABEL, Role.QUERY, Role.DOCUMENT, Role.NEGATIVE})
_TELLING_ALONE = frozenset({Role.TEXT, Role.QUERY, Role.DOCUMENT})

# In powers of ten. Measured on headerless files (questions, captions, headlines, tickets with labels) with any of their
# rows as the first one, and with twenty pairs of unknown names above them: at 12 rows and more, 1 % of the rows of data
# weigh 1 or more, and 5 % of the headers less than 1.5.
_SEVERAL_KNOWN = 4.0
_ONE_KNOWN = 2.0
_ONE_HINTED = 0.5
_LIKE_DATA = -3.0
_MOST_OF_A_COLUMN = 2.0
_COLUMNS_COUNTED = 2
_LIKE_A_SENTENCE = -1.0
_LIKE_A_TEXT = -2.0
_LONG = -0.5

_LEAST_VALUES = 3
_LOOKED_AT = 1000
_LONGER = 1.5
_PADDING = 5
_REPEATED = 3
_REPEATED_SHARE = 0.1
_SELDOM = 0.01
_NAME_WORDS = 4
_SENTENCE_WORDS = 8
_TEXT_WORDS = 15
_TEXT_LENGTH = 100
_CASED_LENGTH = 50
_ENDS = tuple(".!?。！？…")
_GOES_ON = re.compile(r"[.!?;,] \w+ \w+")
_ENUMERATED = re.compile(r"Q?\d{1,2}[.):]\s+")
_YEAR = re.compile(r"(19|20)\d\d")
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "-", "--", "?"})
_IDENTIFIER = re.compile(r"[^\W\d_]+[^\W_]*([_.][^\W_]+)+|[a-z]+([A-Z][a-z0-9]*)+")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d[T ].*")
_MAIL = re.compile(r"[^\s@]+@[^\s@]+\.\w+")


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
    'yes', only the latter. Refused are a first row of which nobody can tell, and a header below other lines.

    `records` are not none, values stripped; `header` and `chosen` the CSV options `header` and `columns`.
    """
    if header == "no":
        return Head()
    first, width = records[0], Counter(map(len, records[1:] or records)).most_common(1)[0][0]
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


def weigh_names(row: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
    """Return how much speaks for a row being names of columns, in powers of ten; a row of data weighs about 0 or less.

    - A known name (`role_of`) of a text, label, query, document or wrong answer counts 2, one of
      something else 0.5, and known names of several things 4.
    - Each column counts what is rare about its name among its values: where one in a hundred is like it, by chance
      a row of data is with a probability of 1 %, and it counts 2, the most there is. Looked at are: a value that comes
      once where the others recur, length, case, numbers, addresses, digits, the sign at the end, `snake_case`, script.
      The two columns that count most are added. Values that are all numbers or addresses below a name which is
      none count 2 from three of them on, or from one under the known name of a score, image or mesh.
    - A value that comes again in its column, a number among numbers, and an address count -3, unless there are known
      names of several things. A year among numbers that are no years counts nothing.
    - A value of more than four words counts -0.5, one of more than eight or that reads like a sentence -1, and one of
      fifteen -2; brackets and a number at the beginning left out. Where hardly a value below counts as much, as with a
      question above labels, it counts nothing.
    - The numbers from 0 on, as pandas names columns, count 4 unless the first column holds numbers.

    `rows` are others of the same width, all values stripped. Those that equal `row` are passed over if they are few,
    for a header may come again; but not in a single column under no known name.
    """
    names = comparable(row)
    longest = len(row[0]) + _PADDING
    others = [other for other in rows if len(other[0]) > longest or comparable(other) != names]
    repeated = len(rows) - len(others)
    if (len(row) > 1 or role_of(row[0])) and repeated <= max(_REPEATED, _REPEATED_SHARE * len(rows)) <= len(others):
        rows = others
    columns = list(zip(*rows, strict=True)) or [()] * len(row)
    roles = {role for role in map(role_of, row) if role is not None}
    weights = [_weigh_column(name, column) for name, column in zip(row, columns, strict=True)]
    weight = sum(sorted((each for each in weights if each > 0), reverse=True)[:_COLUMNS_COUNTED])
    weight += sum(map(_weigh_length, row, columns))
    if len(roles) > 1 or (list(row) == list(map(str, range(len(row)))) and columns[0] and not all_numbers(columns[0])):
        return weight + _SEVERAL_KNOWN
    telling = roles & (_TELLING if len(row) > 1 else _TELLING_ALONE)
    known = _ONE_KNOWN if telling else _ONE_HINTED if roles else 0.0
    return weight + known + min([0.0, *weights])


def _weigh_column(name: str, column: Sequence[str]) -> float:
    if name.casefold() in _NOTHING:
        return 0.0
    if name in column or _kind(name) == "address":
        return _LIKE_DATA
    cells = [cell for cell in column[:_LOOKED_AT] if cell]
    kinds = Counter(map(_kind, cells))
    if _kind(name) and 2 * kinds[_kind(name)] > len(cells):
        year = _YEAR.fullmatch(name) and not any(map(_YEAR.fullmatch, cells))
        return 0.0 if year else _LIKE_DATA
    needed = 1 if role_of(name) in (Role.SCORE, Role.MEDIA) else _LEAST_VALUES
    if len(cells) >= needed and len(kinds) == 1 and "" not in kinds and not _kind(name):
        return _MOST_OF_A_COLUMN
    if len(cells) < _LEAST_VALUES:
        return 0.0
    likest = min(_alike(name, cells))
    return min(math.log10((len(cells) + 1) / (likest + 1)), _MOST_OF_A_COLUMN)


def _alike(name: str, cells: list[str]) -> list[int]:
    """Return how many values are like a name, in each respect in which a name may differ from values."""
    once = sum(count == 1 for count in Counter(cells).values())
    no_longer = sum(len(cell) <= _LONGER * len(name) for cell in cells)
    alike = [once, no_longer]
    for trait, of_names in _TRAITS:
        found = trait(name)
        if of_names(found):
            alike.append(sum(trait(cell) == found for cell in cells))
    return alike


def _weigh_length(name: str, column: Sequence[str]) -> float:
    """Return what the length of a name tells, which is nothing if the values below are of another."""
    weight = _weigh_form(name)
    cells = column[:_LOOKED_AT] if weight else ()
    alike = sum(_weigh_form(cell) <= weight for cell in cells)
    return 0.0 if len(cells) >= _LEAST_VALUES and alike <= _SELDOM * len(cells) else weight


def _weigh_form(cell: str) -> float:
    cell = _ENUMERATED.sub("", BRACKETS.sub("", cell).strip())
    words = len(cell.split())
    if words >= _TEXT_WORDS or len(cell) > _TEXT_LENGTH:
        return _LIKE_A_TEXT
    ends = words > 2 and cell.endswith((".", "!", "。", "！"))
    if ends or _GOES_ON.search(cell):
        return _LIKE_A_SENTENCE
    return _LONG * (words > _NAME_WORDS) + _LONG * (words > _SENTENCE_WORDS)


def _kind(cell: str) -> str:
    """Return what a value is that is no words: 'figures', 'address', 'mail'; else ''."""
    if " " not in cell and ("://" in cell or media_suffix(cell) is not None):
        return "address"
    if _MAIL.fullmatch(cell):
        return "mail"
    figures = any(map(str.isdigit, cell)) and not any(map(str.isalpha, cell))
    return "figures" if figures or _TIMESTAMP.fullmatch(cell) else ""


def _case(cell: str) -> str:
    letters = [sign for sign in cell[:_CASED_LENGTH] if sign.lower() != sign.upper()]
    if not letters:
        return ""
    if all(map(str.isupper, letters)):
        return "upper"
    return "title" if letters[0].isupper() else "lower"


_TRAITS: tuple[tuple[Callable[[str], object], Callable[[object], bool]], ...] = (
    (_kind, lambda found: not found),
    (_case, bool),
    (str.isascii, bool),
    (lambda cell: any(map(str.isdigit, cell)), lambda found: not found),
    (lambda cell: cell.endswith(_ENDS), lambda found: not found),
    (lambda cell: _IDENTIFIER.fullmatch(cell) is not None, bool),
)
"""Traits of a value, and which of their outcomes a name would have."""
