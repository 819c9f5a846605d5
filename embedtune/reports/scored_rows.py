"""The lines of the tables of single queries and of labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedtune.reports.metric_tables import CHANGE_WORDS, Change
from embedtune.retrieval.comparison import ROUNDING
from embedtune.retrieval.sides import BASE, TUNED

if TYPE_CHECKING:
    from embedtune.retrieval.per_label import LabelScores
    from embedtune.retrieval.weak_spots import QueryScores


@dataclass(frozen=True)
class Scores:
    """What each side made of something, in one metric."""

    by_side: tuple[float | None, ...]
    """In the order of the columns; None where nothing counts for a side."""
    change: float
    """From base to tuned."""
    sign: str
    """Which way it went, for those who see no colour."""


@dataclass(frozen=True)
class QueryRow:
    """One query."""

    text: str
    """Its text or file; its id where that is not known."""
    label: str
    scores: Scores


@dataclass(frozen=True)
class LabelRow:
    """The queries of one label."""

    label: str
    queries: int
    """How many there are."""
    scores: Scores


def query_rows(queries: "Sequence[QueryScores]", sides: Sequence[str]) -> tuple[QueryRow, ...]:
    """Return a line for each query.

    Args:
        queries: In the order in which they are shown.
        sides: Names of the sides in the order of the columns.
    """
    return tuple(
        QueryRow(query.text if query.text else query.id, query.label, _scores(query.scores, sides)) for query in queries
    )


def label_rows(labels: "Sequence[LabelScores]", metric: str, sides: Sequence[str]) -> tuple[LabelRow, ...]:
    """Return a line for each label.

    Args:
        labels: In the order in which they are shown.
        metric: Key of the metric that is shown.
        sides: Names of the sides in the order of the columns.
    """
    return tuple(
        LabelRow(
            found.label,
            found.queries,
            _scores({side: means[metric] for side, means in found.means.items()}, sides),
        )
        for found in labels
    )


def _scores(by_side: Mapping[str, float], sides: Sequence[str]) -> Scores:
    change = by_side[TUNED] - by_side[BASE]
    if abs(change) < ROUNDING:
        sign = CHANGE_WORDS[Change.SAME][0]
    else:
        sign = CHANGE_WORDS[Change.BETTER if change > 0 else Change.WORSE][0]
    return Scores(tuple(by_side.get(side) for side in sides), change, sign)
