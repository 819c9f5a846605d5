"""Find out which columns of a CSV hold what: header, layout, the columns to use, and their modalities."""

import dataclasses
import json
from collections import Counter
from dataclasses import dataclass

from embedtune.errors import InputError
from embedtune.records.csv.addresses import is_address, modality_of_column, untold_modality
from embedtune.records.csv.column_names import ROLE_NAMES, Role, role_of
from embedtune.records.csv.header import Head, NameRows, Table, find_head
from embedtune.records.csv.layout_by_content import layout_by_content
from embedtune.records.csv.layout_by_name import columns_by_name
from embedtune.records.csv.options import IngestRequest, Task, least_columns
from embedtune.records.layouts import Layout, Modality
from embedtune.text import shown_names


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

    What the request settles is taken. Else the layout comes from the header's names if they tell (`columns_by_name`),
    else from the values (`layout_by_content`), and then the columns stand in the layout's order, only text and image
    in either. The modality of a column of contents comes from the task, else from its values
    (`addresses.modality_of_column`).

    Args:
        records: The parsed records at the beginning of the file, values stripped.
        request: What was asked for.

    Raises:
        InputError: no rows, columns that the layout cannot use, or anything that cannot be told.
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
    """Decide on layout, columns and modalities."""
    wanted, chosen = request.wanted, request.options.columns
    used = None if chosen is None else tuple(_position(table, column) for column in chosen)
    if wanted is Layout.PLAIN:
        return _columns(table, Layout.PLAIN, used or _plain_columns(table, request), request)
    named = columns_by_name(table if used is None else table.select(used), request) if table.header else None
    if named is not None and used is None:
        return _columns(table, *named, request)
    used = used or tuple(range(_passed_over(table, wanted), len(table.names)))
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


def _passed_over(table: Table, wanted: Layout | None) -> int:
    """Return how many columns at the left are none of the layout's."""
    return table.index if wanted is None or len(table.names) > least_columns(wanted) else 0


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
    needed = least_columns(layout)
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
        modalities: tuple[Modality, ...] = (Modality.TEXT, Modality.IMAGE)
    else:
        contents = used if layout is Layout.MATCHES else used[: len(layout.contents)]
        found = {_modality(table, i, request) for i in contents}
        if len(found) > 1 or (layout is Layout.PLAIN and found != {Modality.TEXT}):
            what = shown_names([f"{table.names[i]}: {_modality(table, i, request)}" for i in contents])
            raise _unfitting(layout, what)
        modalities = tuple(found) * len(layout.contents)
    return Columns(layout, modalities, table.header, table.names, used)


def _unfitting(layout: Layout, what: str) -> InputError:
    """Return the error for columns, each with what it looks like, that a layout has no use for."""
    if layout is Layout.PLAIN:
        return InputError(
            f"The layout {layout} needs texts, but the values look like {what}. To train on them add a column with "
            "their labels; to make vectors of them use `embedtune encode`. If they are texts, set the CSV option "
            "`task` to 'text-to-text'."
        )
    return InputError(
        f"The layout {layout} needs contents of one modality, but the values look like {what}. Set the CSV option "
        "`task` to what they are, such as 'text-to-text', or the layout to 'text-image'."
    )


def _modality(table: Table, position: int, request: IngestRequest) -> Modality:
    if request.task.modality is not None:
        return request.task.modality
    cells = table.cells(position)
    found = modality_of_column(table.names[position], cells)
    if found is None:
        raise untold_modality(table.names[position], cells)
    return found


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
