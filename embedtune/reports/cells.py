"""Seen or new queries against seen or new documents, as the pages show them: a table of two by two."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.documents.schema import OFFICIAL_RULE
from embedtune.documents.summary import DataSummary
from embedtune.records.layouts import Layout
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import Difference

_ELSE = "ndcg_at_10"
"""What is shown where the deciding metric is none of retrieval; it is always measured."""


@dataclass(frozen=True)
class ShownCell:
    """One of the four."""

    cell: Cell
    values: tuple[tuple[str, float], ...]
    """What a side is called, and its value, in the order of the sides; without those for which nothing counts."""
    differences: tuple[Difference, ...]
    """Of the tuned model from each other side."""


@dataclass(frozen=True)
class ShownCells:
    """The four."""

    metric: str
    meaning: str
    """What new and seen mean for these data, in a sentence."""
    rows: tuple[tuple[str, tuple[ShownCell, ...]], ...]
    """What the queries are called, and their cells: new documents, then seen ones."""


def shown_cells(
    comparison: Comparison, sides: Sequence[str], names: dict[str, str], data: DataSummary | None
) -> ShownCells | None:
    """Return the four cells, None where nobody asked for them.

    Args:
        comparison: The outcome of the evaluation.
        sides: Names of the sides in the order in which they are shown.
        names: What the pages call them.
        data: What the data are, None where that is not known.
    """
    if not comparison.cells:
        return None
    measured = {metric.name for cell in comparison.cells for metric in cell.metrics}
    key = comparison.decision.metric if comparison.decision.metric in measured else _ELSE
    found = {(cell.new_queries, cell.new_documents): cell for cell in comparison.cells}
    rows = tuple(
        (word, tuple(_shown(found[is_new, new], key, sides, names) for new in (True, False)))
        for word, is_new in (("New queries", True), ("Seen queries", False))
    )
    return ShownCells(written_name(key), _meaning(data), rows)


def _shown(cell: Cell, key: str, sides: Sequence[str], names: dict[str, str]) -> ShownCell:
    values = {metric.name: metric.values for metric in cell.metrics}.get(key, {})
    return ShownCell(
        cell,
        tuple((names[side], values[side]) for side in sides if side in values),
        tuple(each for side in sides for each in cell.differences if (each.metric, each.against) == (key, side)),
    )


def _meaning(data: DataSummary | None) -> str:
    if data is None:
        return "New contents were held out, seen ones were trained on."
    if data.split_rule == OFFICIAL_RULE:
        return (
            "All queries search one corpus, as its source means it: seen are the queries and documents of its training "
            "judgments, so that a new query may ask for a document that was trained on with others."
        )
    if data.layout == Layout.LABELLED:
        return (
            "A query is to find what else has its label: new contents were held out, seen ones were trained on, "
            "whether they search or are searched in."
        )
    return (
        "A query is to find the documents that it is judged with: new ones of both were held out, seen ones were "
        "trained on."
    )
