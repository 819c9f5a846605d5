"""The lines of the table of queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedtune.reports.metric_tables import CHANGE_WORDS, Change
from embedtune.retrieval.comparison import ROUNDING
from embedtune.retrieval.sides import BASE, TUNED

if TYPE_CHECKING:
    from embedtune.retrieval.weak_spots import QueryScores


@dataclass(frozen=True)
class QueryRow:
    """One query."""

    text: str
    """Its text or file; its id where that is not known."""
    label: str
    scores: tuple[float | None, ...]
    """Of each side in the order of the columns; None where it does not count for it."""
    change: float
    """From base to tuned."""
    sign: str
    """Which way it went, for those who see no colour."""


def query_rows(queries: "Sequence[QueryScores]", sides: Sequence[str]) -> tuple[QueryRow, ...]:
    """Return a line for each query.

    Args:
        queries: In the order in which they are shown.
        sides: Names of the sides in the order of the columns.
    """
    return tuple(_row(query, sides) for query in queries)


def sign_of(change: float) -> str:
    """Return the sign of a change: up, down or the same."""
    if abs(change) < ROUNDING:
        return CHANGE_WORDS[Change.SAME][0]
    return CHANGE_WORDS[Change.BETTER if change > 0 else Change.WORSE][0]


def _row(query: "QueryScores", sides: Sequence[str]) -> QueryRow:
    change = query.scores[TUNED] - query.scores[BASE]
    return QueryRow(
        text=query.text if query.text else query.id,
        label=query.label,
        scores=tuple(query.scores.get(side) for side in sides),
        change=change,
        sign=sign_of(change),
    )
