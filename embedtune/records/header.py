"""Tell what the first rows of a CSV are: names of columns, lines above them, or data."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.column_names import role_of
from embedtune.records.csv_options import AUTO
from embedtune.records.evidence import weigh_names
from embedtune.records.table import are_keys, shown_names
from embedtune.text import excerpt

_CLEAR = 2.5
_LIKELY = 1.5
_LIKELY_OF_ONE = 2.0
_EVEN = 1.0
_LINES_ABOVE = 10
_SECOND_NEEDS = 5


@dataclass(frozen=True)
class Head:
    """What stands above the data of a CSV."""

    names: tuple[str, ...] = ()
    """Names of the columns, '' for one without; empty where there is no header."""
    second: tuple[str, ...] = ()
    """A second row of names below the header, such as units; empty where there is none."""
    warning: str = ""
    """What was taken for what though it is not certain; '' where it is."""


def find_head(records: list[list[str]], header: str, chosen: Collection[str | int] = ()) -> Head:
    """Decide what the first records of a file are.

    With `header` 'auto' the first one is taken for names by its weight (`evidence.weigh_names`): from 2.5 on it is a
    header, from 1.5 on (2 for a single column) it is one and a warning says so, from 1 on one is asked, or of a single
    column warned; below it is data. So is a row that names a chosen column a header. Where all rows have one value
    more than the header, these are R's names of rows, or a delimiter at their end. A row below the header that
    weighs 2.5 against the others is a second header, such as units, and so is a line of dashes.

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
    names = _completed(first, rows) if len(first) + 1 == width else tuple(first)
    if len(names) == len(first):
        _check_above(records, width)
    if header != AUTO or not set(chosen).isdisjoint(first):
        return Head(names)
    fitting = [cells for cells in records[1:] if len(cells) == len(names)]
    weight = weigh_names(names, fitting)
    if weight < _EVEN:
        return Head()
    shown = excerpt(",".join(first))
    if weight < (_LIKELY if len(names) > 1 else _LIKELY_OF_ONE):
        if len(names) == 1:
            return Head(
                warning=f"The first row, {shown}, was taken for data. Set the CSV option `header` to 'yes' if it is a "
                "name."
            )
        raise InputError(
            f"It cannot be told whether the first row, {shown}, holds names of the columns or data. Set the CSV option "
            "`header` to 'yes' or 'no'."
        )
    warning = ""
    if weight < _CLEAR:
        warning = (
            f"The first row, {shown}, was taken for names of the columns. Set the CSV option `header` to 'no' if it is "
            "data."
        )
    second, doubt = _second(names, fitting)
    return Head(names, second, " ".join(filter(None, (warning, doubt))))


def detect_header(records: list[list[str]]) -> bool:
    """Whether the first record is clearly a header, see `find_head`; those of another width are ignored."""
    return weigh_names(records[0], [cells for cells in records[1:] if len(cells) == len(records[0])]) >= _CLEAR


def same_names(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two rows hold the same names, whatever their case, blanks, and empty values at their ends."""
    return comparable(one) == comparable(other)


def comparable(cells: Sequence[str]) -> str:
    """Return what is the same of all rows for which `same_names` holds."""
    return "\0".join(" ".join(cell.split()).casefold() for cell in cells).strip("\0")


def is_rule(cells: Sequence[str]) -> bool:
    """Whether a row is a line of dashes or other signs, as programs print it below a header."""
    joined = "".join(cells)
    return len(joined) > 2 and not any(map(str.isalnum, joined)) and len(set(joined)) <= 3 and joined.isascii()


def _width(records: list[list[str]]) -> int:
    return Counter(map(len, records[1:] or records)).most_common(1)[0][0]


def _completed(first: list[str], rows: list[list[str]]) -> tuple[str, ...]:
    """Return names for rows that have one value more than the header has names, or the header as it is."""
    if not any(cells[-1] for cells in rows):
        return (*first, "")
    names = ("", *first)
    keys = [cells[0] for cells in rows]
    is_r = are_keys(keys) and len(set(keys)) == len(keys) and (len(first) > 1 or _known(first))
    return names if is_r and weigh_names(names, rows) >= _LIKELY else tuple(first)


def _check_above(records: list[list[str]], width: int) -> None:
    """Check that the header, if there is one, is not below a title, a comment, or other lines that are no rows.

    Raises:
        InputError: it is.
    """
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


def _second(names: tuple[str, ...], rows: list[list[str]]) -> tuple[tuple[str, ...], str]:
    """Return a second row of names, and what is not certain about it."""
    if len(names) < 2 or not rows:
        return (), ""
    if is_rule(rows[0]):
        return tuple(rows[0]), ""
    others = [cells for cells in rows[1:] if not same_names(cells, names)]
    if len(others) < _SECOND_NEEDS or same_names(rows[0], names):
        return (), ""
    weight = weigh_names(rows[0], others)
    if weight >= _CLEAR:
        return tuple(rows[0]), ""
    if weight < _LIKELY:
        return (), ""
    shown = excerpt(",".join(rows[0]))
    return (
        (),
        f"The row below the header, {shown}, reads like names too and was taken for data. Remove it if it is none.",
    )
