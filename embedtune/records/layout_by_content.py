"""Tell the layout of a CSV by its values."""

from collections import Counter
from collections.abc import Sequence

from embedtune.errors import InputError
from embedtune.records.addresses import modality_of_cells, untold_modality
from embedtune.records.column_names import ROLE_NAMES
from embedtune.records.csv_options import Task
from embedtune.records.header import NUMBER, all_numbers
from embedtune.records.layouts import Layout, Modality
from embedtune.records.request import IngestRequest
from embedtune.records.scores import parse_score
from embedtune.records.table import Table

_SHORT_WORDS = 3
_LONG_WORDS = 5
_WORD_BYTES = 15
_FEW_SHARED = 0.2
_NEARLY_ALL = 0.9
_MANY_COLUMNS = 4


def layout_by_content(table: Table, request: IngestRequest) -> Layout:
    """Decide by the number of columns and their values.

    - one column: plain; one row of four values or more: plain;
    - three columns, the third of numbers from 0 to 1 in nine of ten rows and the first two not numbers: scored;
    - two columns: see `_layout_of_two`.

    Args:
        table: The columns in question.
        request: What was asked for, with no layout settled.

    Raises:
        InputError: none of these hold, or two columns leave it open.
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
    - two texts: see `detect_layout`.
    """
    # A row that is given twice says nothing about the layout.
    rows = list(dict.fromkeys(tuple(cells) for cells in table.rows if all(cells)))
    if not rows:
        raise InputError("No row at the beginning of the file has two values. Give text,label or query,document.")
    unlabelled = request.options.is_labeled is False
    first, second = (_looks_like(table, position, request) for position in (0, 1))
    if first is Modality.TEXT and second is Modality.TEXT:
        return Layout.PAIRS if unlabelled else detect_layout(rows)
    if second is not Modality.TEXT:
        return Layout.PAIRS if first is second else Layout.TEXT_IMAGE
    texts = [row[1] for row in rows]
    if not unlabelled and (first is Modality.MESH or request.task is not Task.AUTO or all_numbers(texts)):
        return Layout.LABELLED
    if unlabelled or _shared(texts) < _FEW_SHARED:
        return Layout.TEXT_IMAGE
    raise InputError(
        "It cannot be told whether the rows are labelled images or pairs of image and text: "
        f"{_shared(texts):.0%} of {len(rows)} different rows share their text with another row. Set the layout to "
        "'labelled' or 'text-image', or the CSV option `is_labeled` to true or false."
    )


def _looks_like(table: Table, position: int, request: IngestRequest) -> Modality:
    """Return the modality of a column; a task settles which one it is where there are addresses."""
    cells = table.cells(position)
    found = modality_of_cells(cells)
    modality = request.task.modality
    if modality is Modality.TEXT:
        return modality
    if modality is not None:
        return Modality.TEXT if position and found is Modality.TEXT else modality
    if found is None:
        raise untold_modality(table.names[position], cells)
    return found


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

    Args:
        rows: Rows of two values, none of them empty.

    Raises:
        InputError: none of these hold, so that the layout must be set.
    """
    shared_first, shared_second = (_shared([row[i] for row in rows]) for i in (0, 1))
    long = sum(_size(row[1]) >= _LONG_WORDS for row in rows) / len(rows)
    short = sum(_size(row[1]) <= _SHORT_WORDS for row in rows) / len(rows)
    numbers = all(NUMBER.fullmatch(row[1]) for row in rows)
    if long >= 0.5 or (shared_second < _FEW_SHARED and not numbers):
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


def _is_score(table: Table) -> bool:
    first, second, third = (table.cells(position) for position in range(3))
    scores = sum(not isinstance(parse_score(cell), str) for cell in third)
    return 0 < _NEARLY_ALL * len(third) <= scores and not all_numbers(first) and not all_numbers(second)


def _untold_columns(table: Table) -> str:
    known = "; ".join(f"for the {role} {', '.join(accepted[:3])}" for role, accepted in ROLE_NAMES.items())
    seen = f"with the names {table.shown_names}" if table.header else "without a known header"
    last = table.cells(len(table.names) - 1)
    score = ""
    if len(table.names) == 3 and last and all_numbers(last):
        score = " The third holds numbers, but scores are from 0 to 1: divide them by the largest possible one."
    return (
        f"The rows have {len(table.names)} columns {seen}, so it is not clear which ones to use.{score} Accepted: "
        "text,label; query,document; text and image; first,second,score; or a header that names the columns (known "
        f"names are {known}). Name the columns to use with the CSV option `columns`, set the layout to one of "
        "labelled, pairs, text-image, scored, matches, plain, and put a text that contains the delimiter in quotes."
    )
