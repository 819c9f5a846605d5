"""Tell the layout of a CSV by the names in its header."""

from embedtune.errors import InputError
from embedtune.records.addresses import is_address
from embedtune.records.column_names import Role, role_of
from embedtune.records.csv_options import Task
from embedtune.records.layouts import CONTENT_COLUMNS, VALUE_COLUMNS, Layout
from embedtune.records.request import IngestRequest
from embedtune.records.table import Table, shown_names

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

    Wrong answers or a score settle that it is not pairs.

    Args:
        table: The file's beginning, with a header.
        request: What was asked for.

    Returns:
        The layout and its positions in the order of `columns.Columns.used`, or None where the names do not tell.

    Raises:
        InputError: two layouts are possible, or two columns could both be the same thing.
    """
    found = _possible(table)
    fitting = [layout for layout, places in found.items() if all(places) and _accepted(layout, request)]
    if Layout.MATCHES in fitting or Layout.SCORED in fitting:
        fitting = [layout for layout in fitting if layout is not Layout.PAIRS]
    if not fitting:
        return None
    if len(fitting) > 1:
        names = " or ".join(fitting)
        choices = " or ".join(repr(layout.value) for layout in fitting)
        raise InputError(f"The columns {table.shown_names} could be {names}. Set the layout to {choices}.")
    return fitting[0], _settled(table, fitting[0], found[fitting[0]])


def _settled(table: Table, layout: Layout, places: Places) -> tuple[int, ...]:
    """Return the one position of each column, and all of wrong answers.

    Raises:
        InputError: two columns could both be the same thing.
    """
    single = places[:2] if layout is Layout.MATCHES else places
    for what, candidates in zip(CONTENT_COLUMNS[layout] + VALUE_COLUMNS[layout], single, strict=False):
        if len(candidates) > 1:
            several = shown_names([repr(table.names[i]) for i in candidates], " and ")
            raise InputError(
                f"The columns {several} could both be the {what}. Rename or remove all but one of them, or name the "
                "columns to use with the CSV option `columns`."
            )
    first = tuple(candidates[0] for candidates in single)
    return first + tuple(places[2]) if layout is Layout.MATCHES else first


def _accepted(layout: Layout, request: IngestRequest) -> bool:
    if request.wanted is not None:
        return layout is request.wanted
    if layout is Layout.LABELLED:
        return request.options.is_labeled is None
    return layout is not Layout.TEXT_IMAGE or request.task is Task.AUTO


def _possible(table: Table) -> dict[Layout, Places]:
    places = {role: [i for i, name in enumerate(table.names) if role_of(name) is role] for role in Role}
    media = [i for i in places[Role.MEDIA] if _holds_addresses(table, i)]
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


def _holds_addresses(table: Table, position: int) -> bool:
    cells = table.cells(position)
    return 2 * sum(map(is_address, cells)) > len(cells)
