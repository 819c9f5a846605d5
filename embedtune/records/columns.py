"""Find out which columns of a CSV hold what: header, layout, and the two columns to use."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.column_names import ROLE_NAMES, Role, role_of
from embedtune.records.layouts import CONTENT_COLUMNS, Layout

_NAME = re.compile(r"[^\W\d][\w./-]*( [\w./-]+){0,2}")
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")
_NUMBERS_NEEDED = 3
_SHORT_WORDS = 3
_LONG_WORDS = 5
_WORD_BYTES = 15


@dataclass(frozen=True)
class Columns:
    """Where the values of a row are."""

    layout: Layout
    header: bool
    """Whether the first row holds names."""
    names: tuple[str, ...]
    """Names of all columns; 'column 1' and so on where there is no header."""
    used: tuple[int, int]
    """0-based positions of the layout's two values, in the order of CONTENT_COLUMNS."""


def find_columns(records: list[list[str]], layout: str, header: str) -> Columns:
    """Decide on header, layout and columns.

    The layout, unless it is set, comes from the header's names if they tell (`columns_by_name`), else from the content
    of two columns (`detect_layout`). Without telling names the first column is the text or query and the second the
    label or document.

    Args:
        records: The parsed records at the beginning of the file, values stripped.
        layout: 'auto', or a Layout.
        header: 'auto' (see `detect_header`), 'yes' or 'no'.

    Raises:
        InputError: no rows, one column, several columns without names that tell which to use, or a layout that
            cannot be told.
    """
    if not records:
        raise InputError(
            "The file begins without one well-formed row; perhaps a quote is never closed. Give rows of text,label or "
            "query,document."
        )
    width = Counter(len(cells) for cells in records).most_common(1)[0][0]
    has_header = detect_header(records) if header == "auto" else header == "yes"
    wanted = None if layout == "auto" else Layout(layout)
    if has_header:
        names, records = tuple(records[0]), records[1:]
        if not records:
            raise InputError(f"There is a header ({', '.join(names)}) but not one row of data below it. Add rows.")
    else:
        names = tuple(f"column {i + 1}" for i in range(width))
    _check_width(names)
    found = columns_by_name(names, wanted) if has_header else None
    if found is not None:
        return Columns(found[0], has_header, names, found[1])
    start = _unnamed(names)
    if len(names) > start + 2:
        raise InputError(_too_many_columns(names, has_header))
    rows = [cells[start:] for cells in records if len(cells) == len(names) and all(cells[start:])]
    return Columns(wanted or detect_layout(rows), has_header, names, (start, start + 1))


def detect_header(records: list[list[str]]) -> bool:
    """Decide whether the first record holds column names.

    It does if its values are all different, each reads like a name (a letter, then letters, digits, `_ . / -`, three
    words at most), none of them occurs again in its column (which does not matter where two of them are known names of
    different things), and either one of them is a known column name (`column_names.ROLE_NAMES`) or stands over a column
    of nothing but numbers, three at least. The first of three values or more may be empty over numbers, which is how
    pandas writes its index. So a first row
    `Hello,greeting` is data; `utterance_de,intent_name` over texts is taken for data too: set the CSV option
    `header` to 'yes' there. A row of data such as `Hello,question` stays data if the label `question` occurs again.

    Args:
        records: The records at the beginning of the file; those of another width than the first are ignored.
    """
    first = records[0]
    below = [cells for cells in records[1:] if len(cells) == len(first)]
    columns = list(zip(*below, strict=True)) or [()] * len(first)
    names = first[_unnamed(first) :]
    if len(names) < 2 or len(set(first)) < len(first) or not all(_NAME.fullmatch(name) for name in names):
        return False
    if len(names) < len(first) and not _all_numbers(columns[0]):
        return False
    roles = {role_of(name) for name in names} - {None}
    if len(roles) < 2 and any(name in column for name, column in zip(first, columns, strict=True)):
        return False
    over_numbers = any(len(column) >= _NUMBERS_NEEDED and _all_numbers(column) for column in columns)
    return over_numbers or bool(roles)


def _unnamed(names: Sequence[str]) -> int:
    """Return 1 where the first of three columns or more has no name, as pandas writes its index, else 0."""
    return int(len(names) > 2 and not names[0])


def _all_numbers(column: Sequence[str]) -> bool:
    return all(_NUMBER.fullmatch(cell) for cell in column)


def columns_by_name(names: tuple[str, ...], wanted: Layout | None) -> tuple[Layout, tuple[int, int]] | None:
    """Choose layout and columns by the known names (`column_names.ROLE_NAMES`).

    labelled needs a label and a text; a query stands in for a missing text, and of two columns the other one.
    pairs needs a query and a document; a text stands in for a missing document.

    Args:
        names: The header.
        wanted: The layout if it is set.

    Returns:
        The layout and its two positions, or None where the names do not tell.

    Raises:
        InputError: both layouts are possible, or two columns could both be the same thing.
    """
    places = {role: [i for i, name in enumerate(names) if role_of(name) is role] for role in Role}
    texts, labels = places[Role.TEXT] or places[Role.QUERY], places[Role.LABEL]
    if not texts and len(names) == 2 and len(labels) == 1:
        texts = [1 - labels[0]]
    possible = {
        Layout.LABELLED: (texts, labels),
        Layout.PAIRS: (places[Role.QUERY], places[Role.DOCUMENT] or places[Role.TEXT]),
    }
    fitting = [key for key, (first, second) in possible.items() if first and second and wanted in (None, key)]
    if not fitting:
        return None
    if len(fitting) > 1:
        raise InputError(
            f"The columns {', '.join(names)} could be labelled texts or pairs. Set the layout to 'labelled' or 'pairs'."
        )
    layout = fitting[0]
    for what, found in zip(CONTENT_COLUMNS[layout], possible[layout], strict=True):
        if len(found) > 1:
            several = " and ".join(repr(names[i]) for i in found)
            raise InputError(f"The columns {several} could both be the {what}. Rename or remove all but one of them.")
    first, second = possible[layout]
    return layout, (first[0], second[0])


def detect_layout(rows: list[list[str]]) -> Layout:
    """Decide by content whether two columns are `text,label` or `query,document`.

    A second value is shared if it occurs in two rows or more. The rule, on the rows at the beginning of the file:

    - pairs if at least half of the second values have five words or more (15 bytes of UTF-8 count as one at least, for
      languages without blanks between words);
    - pairs if fewer than a fifth of the rows share their second value and it is not a column of numbers:
      labels that do not repeat teach nothing;
    - labelled if at least half of the rows share their second value, 95 % of the second values have at most three
      words, and fewer than half of the rows share their first value.

    Args:
        rows: Rows of two values, none of them empty.

    Raises:
        InputError: neither holds, so that the layout must be set.
    """
    if not rows:
        raise InputError("No row at the beginning of the file has two values. Give text,label or query,document.")
    shared_first, shared_second = (_shared([row[i] for row in rows]) for i in (0, 1))
    long = sum(_size(row[1]) >= _LONG_WORDS for row in rows) / len(rows)
    short = sum(_size(row[1]) <= _SHORT_WORDS for row in rows) / len(rows)
    numbers = all(_NUMBER.fullmatch(row[1]) for row in rows)
    if long >= 0.5 or (shared_second < 0.2 and not numbers):
        return Layout.PAIRS
    if shared_second >= 0.5 and short >= 0.95 and shared_first < 0.5:
        return Layout.LABELLED
    raise InputError(
        "It cannot be told whether the rows are labelled texts or pairs of query and document: "
        f"{shared_first:.0%} of {len(rows)} rows share their first value with another row, {shared_second:.0%} their "
        f"second, which is short in {short:.0%}. Set the layout to 'labelled' or 'pairs'."
    )


def _shared(values: list[str]) -> float:
    return sum(count for count in Counter(values).values() if count > 1) / len(values)


def _size(value: str) -> int:
    """Return the number of words, or of 15 bytes of UTF-8 for languages that put no blanks between words."""
    return max(len(value.split()), len(value.encode()) // _WORD_BYTES)


def _check_width(names: tuple[str, ...]) -> None:
    if len(names) < 2:
        raise InputError(
            f"The rows have one column ({names[0]}). Two are needed, text and label or query and document. If the file "
            "has them, the delimiter is another one: set the CSV option `dialect`."
        )


def _too_many_columns(names: tuple[str, ...], has_header: bool) -> str:
    known = "; ".join(f"for the {role} {', '.join(accepted[:4])}" for role, accepted in ROLE_NAMES.items())
    seen = f"with the names {', '.join(names)}" if has_header else "without a known header"
    return (
        f"The rows have {len(names)} columns {seen}, so it is not clear which two to use. Accepted: two columns, or a "
        f"header that names a text and a label or a query and a document (known names are {known}). If a text contains "
        "the delimiter, put it in quotes."
    )
