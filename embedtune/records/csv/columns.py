"""Find out which columns of a CSV hold what: header, layout, the columns to use, and their modalities."""

import dataclasses
import json
import re
from collections import Counter
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.csv.column_contents import (
    ROLE_NAMES,
    Role,
    Table,
    all_numbers,
    are_keys,
    ends_like_media,
    is_address,
    modality_of_column,
    names_any_address,
    role_of,
    told_modality,
)
from embedtune.records.csv.header import Head, NameRows, find_head
from embedtune.records.csv.layout_by_content import layout_by_content
from embedtune.records.csv.options import IngestRequest, Task
from embedtune.records.layouts import Layout, Modality
from embedtune.text import excerpt, shortened, shown_names

_FEW_VALUES = 10
_SHORT_WORDS = 3
_LONG_WORDS = 5
_NEARLY_ALL = 0.8
_KEY_NAME = re.compile(
    r"|(.*[\W_])?(id|ids|idx|index|no|nr|number|line|row|key|uuid)\d?|(doc|[qpdstu])id\d?", re.IGNORECASE
)

_Places = list[list[int]]
"""For each column that a layout needs, the positions that could be it."""


@dataclass(frozen=True)
class Columns:
    """Where the values of a row are."""

    layout: Layout
    modalities: tuple[Modality, ...]
    """Of each content column, in the order of the layout."""
    header: bool
    """Whether the first row holds names."""
    names: tuple[str, ...]
    """Names of all columns; 'column 1' and so on where there is no header."""
    used: tuple[int, ...]
    """0-based positions of the layout's contents and values, in its order; for matches the query, the answer and the
    wrong answers; for plain texts all columns that hold texts."""
    more_names: tuple[tuple[str, ...], ...] = ()
    """Further rows of names below the header, such as units."""
    warnings: tuple[str, ...] = ()
    """What was taken for what though it is not certain."""


def find_columns(records: list[list[str]], request: IngestRequest) -> Columns:
    """Decide on header, layout, columns and modalities.

    What the request settles is taken. Else the layout comes from the header's names if they tell (`_by_name`),
    else from the values (`layout_by_content`), and then the columns stand in the layout's order, only text and image
    in either. The modality of a column of contents comes from the task, else from its values (`modality_of_column`).
    `records` are those at the beginning of the file, values stripped; an InputError says that there are none, that the
    layout cannot use the columns, or what cannot be told.
    """
    if not records:
        raise InputError(
            "The file begins without one well-formed row; perhaps a quote is never closed. Give rows such as "
            "text,label or query,document."
        )
    head = find_head(records, request.options.header, request.options.columns or ())
    found = _find(_table(records, head), request)
    return dataclasses.replace(found, more_names=head.more, warnings=(head.warning,) if head.warning else ())


def _find(table: Table, request: IngestRequest) -> Columns:
    wanted, chosen = request.wanted, request.options.columns
    used = None if chosen is None else tuple(_position(table, column) for column in chosen)
    if wanted is Layout.PLAIN:
        return _columns(table, Layout.PLAIN, used or _plain_columns(table, request), request)
    named = _by_name(table if used is None else table.select(used), request) if table.header else None
    if named is not None and used is None:
        return _columns(table, *named, request)
    # A column of keys at the left is none of the layout's.
    left = table.index if wanted is None or len(table.names) > len(wanted.columns) else 0
    used = used or tuple(range(left, len(table.names)))
    if named is not None:
        _check_order(table, *named, used)
        return _columns(table, named[0], used, request)
    layout = wanted or layout_by_content(table.select(used), request)
    _check_count(table, layout, used)
    return _columns(table, layout, used, request)


def _table(records: list[list[str]], head: Head) -> Table:
    if not head.names:
        width = Counter(len(cells) for cells in records).most_common(1)[0][0]
        return Table.of(tuple(f"column {i + 1}" for i in range(width)), False, records)
    names = NameRows(head.names, head.more)
    rows = [cells for cells in records[1:] if not names.sort(cells)]
    if not rows:
        raise InputError(
            f"There is a header ({shown_names(records[0])}) but not one row of data below it. Add rows; if there are "
            "some, the first one is of megabytes, or a quote in it is never closed."
        )
    return Table.of(head.names, True, rows)


def _position(table: Table, column: str | int) -> int:
    if isinstance(column, str) and table.header and column in table.names:
        if table.names.count(column) > 1:
            raise InputError(
                f"The CSV option columns names {column!r}, but several of the columns {table.shown_names} have this "
                f"name. Give numbers from 1 to {len(table.names)}."
            )
        return table.names.index(column)
    if isinstance(column, int) and column <= len(table.names):
        return column - 1
    has = f"the columns {table.shown_names}" if table.header else f"{len(table.names)} columns without names"
    raise InputError(
        f"The CSV option columns names {column!r}, but the file has {has}. Give names that stand in the first row, or "
        f"numbers from 1 to {len(table.names)}."
    )


def _check_order(table: Table, layout: Layout, named: tuple[int, ...], used: tuple[int, ...]) -> None:
    """Refuse chosen columns of which, by their names, a label, score or wrong answer is in the place of a content.

    `named` says where in `used` each column of the layout stands by its name.
    """
    contents = len(layout.contents)
    if set(named[:contents]) == set(range(contents)):
        return
    order = ", ".join(layout.contents + (layout.values or ("wrong answer",)))
    given, better = (json.dumps([table.names[i] for i in each]) for each in (used, [used[i] for i in named]))
    raise InputError(
        f"The CSV option columns is in the order {order}, but {given} is not by the names in the first row. Set it to "
        f"{better}."
    )


def _plain_columns(table: Table, request: IngestRequest) -> tuple[int, ...]:
    """Return the columns that hold plain texts: of a header the one that is named so, else all of them."""
    everything = tuple(range(len(table.names)))
    if table.header and len(table.names) > 1:
        texts = [i for i in everything if role_of(table.names[i]) in (Role.TEXT, Role.QUERY, Role.DOCUMENT)]
        if len(texts) != 1:
            raise InputError(
                f"Of the columns {table.shown_names} it is not clear which one holds the texts. Name it with the "
                'CSV option `columns`, such as ["text"].'
            )
        return (texts[0],)
    if len(table.names) > 1 and len(table.rows) > 1 and request.options.dialect == "auto":
        raise InputError(
            f"The rows have {len(table.names)} columns, so it is not clear whether each row or each value is a text. "
            "Set the CSV option `dialect` to 'lines' if each row is one, to 'excel' if each value is; or name the "
            "columns to use with `columns`."
        )
    return everything


def _check_count(table: Table, layout: Layout, used: tuple[int, ...]) -> None:
    needed = len(layout.columns)
    if layout is Layout.PLAIN or len(used) == needed or (layout is Layout.MATCHES and len(used) > needed):
        return
    if len(used) < needed:
        raise InputError(
            f"The rows have {len(used)} column{'s' * (len(used) > 1)} ({table.select(used).shown_names}), but "
            f"the layout {layout} needs {needed}. If the file has them, the delimiter is another one: set the CSV "
            "option `dialect`."
        )
    raise InputError(
        f"The rows have {len(used)} columns, but the layout {layout} needs {needed} and no header tells which. Name "
        "them with the CSV option `columns`, or give a header with known names: "
        + "; ".join(f"for the {role} {', '.join(names[:3])}" for role, names in ROLE_NAMES.items())
        + ". If a text contains the delimiter, put it in quotes."
    )


def _columns(table: Table, layout: Layout, used: tuple[int, ...], request: IngestRequest) -> Columns:
    if layout is Layout.TEXT_IMAGE:
        used = _text_and_image(table, used, request)
        return Columns(layout, (Modality.TEXT, Modality.IMAGE), table.header, table.names, used)
    contents = used if layout is Layout.MATCHES else used[: len(layout.contents)]
    found = [_modality(table, i, request) for i in contents]
    if len(set(found)) == 1 and (layout is not Layout.PLAIN or found[0] is Modality.TEXT):
        return Columns(layout, (found[0],) * len(layout.contents), table.header, table.names, used)
    what = shown_names([f"{table.names[i]}: {modality}" for i, modality in zip(contents, found, strict=True)])
    if layout is Layout.PLAIN:
        raise InputError(
            f"The layout {layout} needs texts, but the values look like {what}. To train on them add a column with "
            "their labels; to make vectors of them use `embedtune encode`. If they are texts, set the CSV option "
            "`task` to 'text-to-text'."
        )
    raise InputError(
        f"The layout {layout} needs contents of one modality, but the values look like {what}. Set the CSV option "
        "`task` to what they are, such as 'text-to-text', or the layout to 'text-image'."
    )


def _modality(table: Table, position: int, request: IngestRequest) -> Modality:
    return request.task.modality or told_modality(table.names[position], table.cells(position))


def _text_and_image(table: Table, used: tuple[int, ...], request: IngestRequest) -> tuple[int, int]:
    """Return the positions of the text and of the image, one column of which holds addresses."""
    first, second = used
    addresses = [2 * sum(map(is_address, table.cells(i))) > len(table.cells(i)) for i in used]
    if addresses[0] != addresses[1]:
        return (second, first) if addresses[0] else (first, second)
    if request.options.columns is not None and request.task is Task.TEXT_TO_IMAGE:
        return first, second
    raise InputError(
        f"{'Both' if addresses[0] else 'None'} of the columns {table.names[first]} and {table.names[second]} hold"
        f"{'' if addresses[0] else 's'} addresses of images, so it is not clear which is the text and which the image. "
        "Set the CSV options `task` to 'text-to-image' and `columns` to the text and the image, in this order."
    )


def _by_name(table: Table, request: IngestRequest) -> tuple[Layout, tuple[int, ...]] | None:
    """Choose layout and columns by the known names (`ROLE_NAMES`).

    - matches: a query, a document, and wrong answers;
    - scored: a score and two contents: a first and a second, a query and a document, two texts, or of three columns the
      other two;
    - text-image: an image with addresses below it, and a text, for which a query stands in;
    - labelled: a label and a text, else a query, else an image or mesh, else of two columns the other one;
    - pairs: a query and a document, for which a text stands in; or a first and a second.

    A third column, such as wrong answers or a score, settles that it is not pairs. Where another column may
    say which pairs fit, because it is named as a label or holds numbers or a few short values that recur, it is asked
    for. Where the names do not tell, None is returned, else the layout with its positions as in `Columns.used`.
    """
    found = _possible(table, request)
    fitting = [layout for layout, places in found.items() if all(places) and _accepted(layout, request)]
    if any(len(layout.columns) > len(Layout.PAIRS.columns) for layout in fitting):
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


def _settled(table: Table, layout: Layout, places: _Places) -> tuple[int, ...]:
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


def _possible(table: Table, request: IngestRequest) -> dict[Layout, _Places]:
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


def _compared(table: Table, places: dict[Role, list[int]], pairs: _Places) -> _Places:
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
