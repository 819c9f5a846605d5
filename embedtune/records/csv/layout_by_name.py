"""Tell the layout of a CSV by the names in its header."""

import json
import re
from collections import Counter

from embedtune.errors import InputError
from embedtune.records.csv.addresses import ends_like_media, is_address, modality_of_column
from embedtune.records.csv.column_names import Role, all_numbers, names_any_address, role_of
from embedtune.records.csv.header import Table, are_keys
from embedtune.records.csv.options import IngestRequest, Task, least_columns
from embedtune.records.layouts import Layout, Modality
from embedtune.text import excerpt, shortened, shown_names

_FEW_VALUES = 10
_SHORT_WORDS = 3
_LONG_WORDS = 5
_NEARLY_ALL = 0.8
_KEY_NAME = re.compile(
    r"|(.*[\W_])?(id|ids|idx|index|no|nr|number|line|row|key|uuid)\d?|(doc|[qpdstu])id\d?", re.IGNORECASE
)

Places = list[list[int]]
"""For each column that a layout needs, the positions that could be it."""


def columns_by_name(table: Table, request: IngestRequest) -> tuple[Layout, tuple[int, ...]] | None:
    """Choose layout and columns by the known names (`column_names.ROLE_NAMES`).

    - matches: a query, a document, and wrong answers;
    - scored: a score and two contents: a first and a second, a query and a document, two texts, or of three columns the
      other two;
    - text-image: an image with addresses below it, and a text, for which a query stands in;
    - labelled: a label and a text, else a query, else an image or mesh, else of two columns the other one;
    - pairs: a query and a document, for which a text stands in; or a first and a second.

    A third column, such as wrong answers or a score, settles that it is not pairs. Where another column may
    say which pairs fit, because it is named as a label or holds numbers or a few short values that recur, it is asked
    for.

    Returns:
        The layout and its positions in the order of `columns.Columns.used`, or None where the names do not tell.

    Raises:
        InputError: two layouts are possible, two columns could both be the same thing, or pairs may be judged.
    """
    found = _possible(table, request)
    fitting = [layout for layout, places in found.items() if all(places) and _accepted(layout, request)]
    if any(least_columns(layout) > least_columns(Layout.PAIRS) for layout in fitting):
        fitting = [layout for layout in fitting if layout is not Layout.PAIRS]
    if not fitting:
        return None
    if len(fitting) > 1:
        names = " or ".join(fitting)
        choices = " or ".join(repr(layout.value) for layout in fitting)
        raise InputError(f"The columns {table.shown_names} could be {names}. Set the layout to {choices}.")
    used = _settled(table, fitting[0], found[fitting[0]])
    if request.wanted is None and request.options.is_labeled is None:
        if fitting[0] is Layout.PAIRS:
            _check_unjudged(table, used)
        if fitting[0] is Layout.LABELLED:
            _check_label(table, used[1])
    return fitting[0], used


def _settled(table: Table, layout: Layout, places: Places) -> tuple[int, ...]:
    """Return the one position of each column, and all of wrong answers."""
    single = places[:2] if layout is Layout.MATCHES else places
    for what, candidates in zip(layout.columns, single, strict=False):
        if len(candidates) > 1:
            several = shown_names([repr(table.names[i]) for i in candidates], " and ")
            raise InputError(
                f"The columns {several} could both be the {what}. Rename or remove all but one of them, or name the "
                "columns to use with the CSV option `columns`, by their names or their numbers from 1."
            )
    first = tuple(candidates[0] for candidates in single)
    return first + tuple(places[2]) if layout is Layout.MATCHES else first


def _check_unjudged(table: Table, used: tuple[int, ...]) -> None:
    """Refuse pairs beside another column that can say which of them fit."""
    for position, name in enumerate(table.names):
        role = role_of(name)
        if position in used or not (role is Role.LABEL or (role is None and _may_judge(name, table.cells(position)))):
            continue
        columns = json.dumps([table.names[i] for i in (*used, position)], ensure_ascii=False)
        raise InputError(
            f"The columns {table.shown_names} could be pairs, or pairs of which {name!r} says whether they fit. Set "
            f"the layout to 'pairs' if every row is a pair that fits; or to 'scored', and the CSV option `columns` to "
            f"{shortened(columns, 200)}, if {name!r} holds numbers from 0 to 1; or remove the rows that do not fit."
        )


def _check_label(table: Table, position: int) -> None:
    """Refuse a column that is named as a label, but holds long texts which hardly recur."""
    cells = table.cells(position)
    long = sum(len(cell.split()) >= _LONG_WORDS for cell in cells)
    if 2 * long > len(cells) and len(set(cells)) > _NEARLY_ALL * len(cells) > _FEW_VALUES:
        raise InputError(
            f"The column {table.names[position]!r} is named as a label, but it holds long texts that hardly recur, "
            f"such as {excerpt(cells[0])}. Set the layout to 'pairs' if they are documents, or to 'labelled' if not."
        )


def _may_judge(name: str, cells: list[str]) -> bool:
    """Whether the values of a column may be judgments: numbers that are no keys, or a few short values that recur."""
    if not cells or (_KEY_NAME.fullmatch(name.strip()) and (name.strip() or are_keys(cells))):
        return False
    counts = Counter(cells)
    if all_numbers(cells):
        return not (len(counts) == len(cells) and all(cell.isdecimal() for cell in cells)) or set(cells) <= {"0", "1"}
    recurring = sum(count for count in counts.values() if count > 1)
    short = all(len(value.split()) <= _SHORT_WORDS for value in counts)
    return 1 < len(counts) <= _FEW_VALUES and short and 2 * recurring >= len(cells)


def _accepted(layout: Layout, request: IngestRequest) -> bool:
    if request.wanted is not None:
        return layout is request.wanted
    if layout is Layout.LABELLED:
        return request.options.is_labeled is None
    return layout is not Layout.TEXT_IMAGE or request.task is Task.AUTO


def _possible(table: Table, request: IngestRequest) -> dict[Layout, Places]:
    places = {role: [i for i, name in enumerate(table.names) if role_of(name) is role] for role in Role}
    media = [i for i in places[Role.MEDIA] if _holds_addresses(table, i, request)]
    texts = places[Role.TEXT] or places[Role.QUERY]
    labels = places[Role.LABEL]
    contents = texts + media if texts and media else texts or media
    if not contents and len(table.names) == 2 and len(labels) == 1:
        contents = [1 - labels[0]]
    documents = places[Role.DOCUMENT] or places[Role.TEXT]
    pairs = [places[Role.QUERY], documents]
    if not all(pairs):
        pairs = [places[Role.FIRST], places[Role.SECOND]]
    return {
        Layout.MATCHES: [places[Role.QUERY], documents, places[Role.NEGATIVE]],
        Layout.SCORED: [*_compared(table, places, pairs), places[Role.SCORE]],
        Layout.TEXT_IMAGE: [texts, media],
        Layout.LABELLED: [contents, labels],
        Layout.PAIRS: pairs,
    }


def _compared(table: Table, places: dict[Role, list[int]], pairs: Places) -> Places:
    """Return the positions of the two contents of a score."""
    if all(pairs):
        return pairs
    texts, scores = places[Role.TEXT], places[Role.SCORE]
    if len(texts) == 2:
        return [[texts[0]], [texts[1]]]
    if len(table.names) == 3 and len(scores) == 1:
        first, second = (i for i in range(3) if i != scores[0])
        return [[first], [second]]
    return [[], []]


def _holds_addresses(table: Table, position: int, request: IngestRequest) -> bool:
    name, cells = table.names[position], table.cells(position)
    if request.task is Task.AUTO:
        found = modality_of_column(name, cells)
        if found is Modality.TEXT or (found is None and names_any_address(name) and not ends_like_media(cells)):
            return False
    return 2 * sum(map(is_address, cells)) > len(cells)
