"""Further evaluations as the pages show them: what all sides reached on them, in numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.reports import numbers
from embedtune.retrieval.comparison import Comparison, Probe, SideTable
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED, Difference

HELD, NOT_HELD = "\N{CHECK MARK} held", "\N{BALLOT X} not held"
"""A sign and words, so that nothing depends on colour."""


@dataclass(frozen=True)
class SideRow:
    """One metric."""

    name: str
    decides: bool
    """Whether it is the metric by which a probe is judged."""
    values: tuple[float | None, ...]
    """Of each side in the order of the columns; None where nothing counts for it."""
    differences: tuple[Difference, ...]
    """Of the tuned model from each other side, in the order of their columns."""


@dataclass(frozen=True)
class ShownSideTable:
    """One further evaluation."""

    table: SideTable
    purpose: str
    """What it decides, in a sentence or two."""
    outcome: str
    """Whether a probe held, by a sign and words; '' where it decides nothing."""
    known: str
    """What is known of the contents that the models were trained on, in a sentence or two."""
    rows: tuple[SideRow, ...]


def shown_side_tables(comparison: Comparison, sides: Sequence[str]) -> tuple[ShownSideTable, ...]:
    """Return the further evaluations in the order in which they were asked for.

    Args:
        comparison: The outcome of the evaluation.
        sides: Names of the sides in the order of the columns.
    """
    return tuple(
        ShownSideTable(
            table,
            _purpose(table.probe),
            "" if table.probe is None else HELD if table.probe.held else NOT_HELD,
            _known(table, sides),
            tuple(
                SideRow(
                    written_name(metric.name),
                    table.probe is not None and table.probe.metric == metric.name,
                    tuple(metric.values.get(side) for side in sides),
                    tuple(
                        each
                        for side in sides
                        for each in table.differences
                        if (each.metric, each.against) == (metric.name, side)
                    ),
                )
                for metric in table.metrics
            ),
        )
        for table in comparison.side_tables
    )


def _purpose(probe: Probe | None) -> str:
    if probe is None:
        return "It decides nothing."
    said = (
        f"It is the probe for forgetting: {written_name(probe.metric)} may drop by at most "
        f"{numbers.compact(probe.accepted_drop)} against the base, and the whole interval has to show that."
    )
    if probe.left_out == 0:
        return said
    return (
        f"{said} Left out for all models: {numbers.count(probe.left_out)} queries that the tuned model was trained on "
        "and the base was not."
    )


def _known(table: SideTable, sides: Sequence[str]) -> str:
    told = [
        f"{numbers.count(table.trained_queries[side])} queries and {numbers.count(table.trained_index[side])} "
        f"documents ({side})"
        for side in sides
        if side in table.trained_queries
    ]
    silent = [side for side in sides if side not in table.trained_queries]
    said = f"Contents that a model was trained on, which count like the others: {', '.join(told)}." if told else ""
    unknown = f"Not known of: {', '.join(silent)}." if told else "No model says what it was trained on."
    return " ".join(filter(None, (said, unknown if silent else "", _trained_hits(table, sides))))


def _trained_hits(table: SideTable, sides: Sequence[str]) -> str:
    """Say how much of what is found was trained on, which tells whether a model prefers what it knows."""
    if not table.trained_hits:
        return ""
    found = ", ".join(
        f"{numbers.percent(table.trained_hits[side])} ({side})" for side in sides if side in table.trained_hits
    )
    trained = table.trained_index.get(TUNED)
    of_all = "" if trained is None else f"; of all documents, {numbers.percent(trained / table.index_documents)}"
    return f"Of the first ten results the tuned model was trained on {found}{of_all}."
