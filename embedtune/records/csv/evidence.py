"""Weigh whether a row of a CSV reads like the names above the other rows, or like one of them."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from embedtune.records.csv.addresses import media_suffix
from embedtune.records.csv.column_names import BRACKETS, Role, comparable, role_of

NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

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


def weigh_names(row: Sequence[str], rows: Sequence[Sequence[str]]) -> float:
    """Return how much speaks for a row being names of columns, in powers of ten; a row of data weighs about 0 or less.

    - A known name (`column_names.role_of`) of a text, label, query, document or wrong answer counts 2, one of
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

    Args:
        row: Values, stripped.
        rows: Other rows of the same width. Those that equal `row` are passed over if they are few, for a header may
            come again; but not in a single column under no known name.
    """
    names = comparable(row)
    longest = len(row[0]) + _PADDING
    others = [other for other in rows if len(other[0]) > longest or comparable(other) != names]
    repeated = len(rows) - len(others)
    if (len(row) > 1 or role_of(row[0])) and repeated <= max(_REPEATED, _REPEATED_SHARE * len(rows)) <= len(others):
        rows = others
    columns = list(zip(*rows, strict=True)) or [()] * len(row)
    roles = {role for role in map(role_of, row) if role is not None}
    weights = [_weigh(name, column) for name, column in zip(row, columns, strict=True)]
    weight = sum(sorted((each for each in weights if each > 0), reverse=True)[:_COLUMNS_COUNTED])
    weight += sum(map(_weigh_length, row, columns))
    if len(roles) > 1 or (list(row) == list(map(str, range(len(row)))) and columns[0] and not all_numbers(columns[0])):
        return weight + _SEVERAL_KNOWN
    telling = roles & (_TELLING if len(row) > 1 else _TELLING_ALONE)
    known = _ONE_KNOWN if telling else _ONE_HINTED if roles else 0.0
    return weight + known + min([0.0, *weights])


def all_numbers(column: Sequence[str]) -> bool:
    """Whether every value of a column is a number."""
    return all(NUMBER.fullmatch(cell) for cell in column)


def _weigh(name: str, column: Sequence[str]) -> float:
    """Return what one column tells."""
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
