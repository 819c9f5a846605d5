"""Tell the layout of a CSV by its values."""

import re
from collections import Counter
from collections.abc import Callable, Sequence

from embedtune.errors import InputError
from embedtune.records.csv.column_contents import (
    NUMBER,
    ROLE_NAMES,
    Role,
    Table,
    all_numbers,
    modality_of_column,
    role_of,
    told_modality,
)
from embedtune.records.csv.options import CSV_LAYOUTS, IngestRequest, Task
from embedtune.records.layouts import Layout, Modality, media_suffix
from embedtune.text import excerpt

_SHORT_WORDS = 3
_LONG_WORDS = 5
_WORD_BYTES = 15
_FEW_SHARED = 0.2
_NEARLY_ALL = 0.9
_MANY_COLUMNS = 4
_LETTER = re.compile(r"[^\W\d_]")
_DIGIT = re.compile(r"\d")
_BINARY = frozenset({"0", "1", "0.0", "1.0"})
_SCORE = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)?|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
_LONGEST_SCORE = 40


def layout_by_content(table: Table, request: IngestRequest) -> Layout:
    """Decide by the number of columns and their values.

    - one column: plain; one row of four values or more: plain;
    - three columns, the third of numbers from 0 to 1 in nine of ten rows and the first two not numbers: scored, unless
      the third is named as a label, holds nothing but 0 and 1 under no name of a score, or the first looks like keys;
    - two columns: see `_layout_of_two`. What none of this tells is refused, with the choices.
    """
    width = len(table.names)
    if width == 1:
        return Layout.PLAIN
    if width == 2:
        return _layout_of_two(table, request)
    if width == 3 and _is_score(table):
        return Layout.SCORED
    if width >= _MANY_COLUMNS and len(table.rows) == 1 and not table.header:
        return Layout.PLAIN
    raise InputError(_untold_columns(table))


def _layout_of_two(table: Table, request: IngestRequest) -> Layout:
    """Decide between labelled, pairs and text-image.

    - addresses in both columns: pairs; a text and the address of an image: text-image;
    - an address and something else: labelled if these are numbers or the addresses are of meshes, text-image if fewer
      than a fifth of the rows share their text with another one or labels are ruled out, else it cannot be told;
    - two texts: see `detect_layout`;
    - a text and an address: text-image under the same condition.
    """
    # A row that is given twice says nothing about the layout.
    rows = list(dict.fromkeys(tuple(cells) for cells in table.rows if all(cells)))
    if not rows:
        raise InputError("No row at the beginning of the file has two values. Give text,label or query,document.")
    unlabelled = request.options.is_labeled is False
    first, second = (_looks_like(table, position, request) for position in (0, 1))
    if first is Modality.TEXT and second is Modality.TEXT:
        return Layout.PAIRS if unlabelled else detect_layout(rows)
    if first is second:
        return Layout.PAIRS
    address_first = first is not Modality.TEXT
    texts = [row[address_first] for row in rows]
    if (
        address_first
        and not unlabelled
        and (first is Modality.MESH or request.task is not Task.AUTO or all_numbers(texts))
    ):
        return Layout.LABELLED
    image = first is Modality.IMAGE or second is Modality.IMAGE
    if unlabelled or (image and _shared(texts) < _FEW_SHARED and not all_numbers(texts)):
        return Layout.TEXT_IMAGE
    swap = "" if address_first else " (and the CSV option `columns` to [2, 1], the image first)"
    raise InputError(
        "It cannot be told whether the rows are labelled images or pairs of image and text: "
        f"{_shared(texts):.0%} of {len(rows)} different rows share their text with another row. Set the layout to "
        f"'labelled'{swap} or 'text-image', or the CSV option `is_labeled` to true or false."
    )


def _looks_like(table: Table, position: int, request: IngestRequest) -> Modality:
    """Return the modality of a column; a task settles which one it is where there are addresses."""
    name, cells, modality = table.names[position], table.cells(position), request.task.modality
    if modality is None:
        return told_modality(name, cells)
    is_text = position and modality_of_column(name, cells) is Modality.TEXT
    return Modality.TEXT if is_text else modality


def detect_layout(rows: Sequence[Sequence[str]]) -> Layout:
    """Decide by content whether two columns of texts are `text,label` or `query,document`.

    A second value is shared if it occurs in two rows or more. The rule, on the different rows at the beginning of the
    file:

    - pairs if at least half of the second values have five words or more (15 bytes of UTF-8 count as one at least, for
      languages without blanks between words);
    - pairs if fewer than a fifth of the rows share their second value and it is not a column of numbers:
      labels that do not repeat teach nothing;
    - labelled if at least half of the rows share their second value, 95 % of the second values have at most three
      words, and fewer than half of the rows share their first value.

    It is not pairs if the first values look like labels (at least half of the rows share them, and 95 % are one word,
    or three at most before a second value of five words or more) or like keys (95 % have no letter, or are one word
    of ASCII with a digit, and most second values are not so). Where none of these hold, the layout must be set.
    """
    shared_first, shared_second = (_shared([row[i] for row in rows]) for i in (0, 1))
    long = sum(_size(row[1]) >= _LONG_WORDS for row in rows) / len(rows)
    short = sum(_size(row[1]) <= _SHORT_WORDS for row in rows) / len(rows)
    numbers = all(NUMBER.fullmatch(row[1]) for row in rows)
    if long >= 0.5 or (shared_second < _FEW_SHARED and not numbers):
        _check_first_values(rows, shared_first, long)
        return Layout.PAIRS
    if shared_second >= 0.5 and short >= 0.95 and shared_first < 0.5:
        return Layout.LABELLED
    raise InputError(
        "It cannot be told whether the rows are labelled texts or pairs of query and document: "
        f"{shared_first:.0%} of {len(rows)} rows share their first value with another row, {shared_second:.0%} their "
        f"second, which is short in {short:.0%}. Set the layout to 'labelled' or 'pairs'."
    )


def _check_first_values(rows: Sequence[Sequence[str]], shared: float, long: float) -> None:
    """Refuse rows of which the first of two texts cannot be queries, but look like labels or keys.

    `shared` is the share of rows with a first value that another row has too, `long` that of long second values.
    """
    first = [row[0] for row in rows]
    most_words = _SHORT_WORDS if long >= 0.5 else 1
    labels = shared >= 0.5 and _share_of(first, lambda value: _size(value) <= most_words) >= 0.95
    keys = _share_of(first, _is_key) >= 0.95 and _share_of([row[1] for row in rows], _is_key) < 0.5
    if not labels and not keys:
        return
    raise InputError(
        "It cannot be told whether the rows are label,text or query,document: the first values, such as "
        f"{excerpt(first[0])}, look like {'labels' if labels else 'numbers, dates or keys'}. Set the layout to 'pairs' "
        "if they are queries; set the CSV option `columns` to [2, 1] and the layout to 'labelled' if they are labels; "
        "or name the columns to use, such as [2] for the texts alone."
    )


def _share_of(values: list[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, values)) / len(values)


def _is_key(value: str) -> bool:
    """Whether a value is a number, a date or an identifier: digits and no letter, or an ASCII word with a digit."""
    if _DIGIT.search(value) is None:
        return False
    return _LETTER.search(value) is None or (value.isascii() and len(value.split()) == 1)


def _shared(values: list[str]) -> float:
    return sum(count for count in Counter(values).values() if count > 1) / len(values)


def _size(value: str) -> int:
    """Return the number of words, or of 15 bytes of UTF-8 for languages that put no blanks between words."""
    return max(len(value.split()), len(value.encode()) // _WORD_BYTES)


def _is_score(table: Table) -> bool:
    first, second, third = (table.cells(position) for position in range(3))
    scores = sum(not isinstance(parse_score(cell), str) for cell in third)
    if not 0 < _NEARLY_ALL * len(third) <= scores or all_numbers(first) or all_numbers(second):
        return False
    role = role_of(table.names[2]) if table.header else None
    return role is Role.SCORE or not (role is Role.LABEL or _BINARY.issuperset(third) or _are_keys(first, second))


def parse_score(value: str) -> float | str:
    """Return the score that a stripped value of a CSV holds, 0 to 1, or what is wrong with it.

    Digits with a decimal point or comma and an exponent are accepted; Python's `nan`, `inf` and `1_000` are not.
    """
    if not value:
        return "the score is empty"
    if len(value) > _LONGEST_SCORE or _SCORE.fullmatch(value) is None:
        return f"the score {excerpt(value)} is not a number from 0 to 1"
    score = float(value.replace(",", "."))
    if not 0 <= score <= 1:
        return f"the score {value} is not from 0 to 1" + (
            "; scores of 0 to 5, for instance, are divided by 5" if score > 1 else ""
        )
    return score + 0.0


def _are_keys(first: list[str], second: list[str]) -> bool:
    """Whether the first values are one word each and all different, while most of the second are several words."""
    if len(set(first)) < len(first) or any(media_suffix(cell) for cell in first):
        return False
    one_word = all(len(cell.split()) == 1 for cell in first)
    return one_word and _share_of(second, lambda cell: len(cell.split()) > 1) > 0.5


def _untold_columns(table: Table) -> str:
    known = "; ".join(f"for the {role} {', '.join(accepted[:3])}" for role, accepted in ROLE_NAMES.items())
    seen = f"with the names {table.shown_names}" if table.header else "without a known header"
    last = table.cells(len(table.names) - 1)
    score = ""
    if len(table.names) == 3 and last and all_numbers(last):
        if any(isinstance(parse_score(cell), str) for cell in last):
            score = " The third holds numbers, but scores are from 0 to 1: divide them by the largest possible one."
        else:
            score = (
                " The third holds numbers from 0 to 1, which may be labels as well as scores: set the layout to "
                "'scored' if they say how similar the first two are; else name the text and the label."
            )
    return (
        f"The rows have {len(table.names)} columns {seen}, so it is not clear which ones to use.{score} Accepted: "
        "text,label; query,document; text and image; first,second,score; or a header that names the columns (known "
        f"names are {known}). Name the columns to use with the CSV option `columns`, set the layout to one of "
        f"{', '.join(CSV_LAYOUTS)}, and put a text that contains the delimiter in quotes."
    )
