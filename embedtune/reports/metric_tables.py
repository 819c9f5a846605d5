"""The table of metrics: what each side reached, and how the tuned model differs from each other one."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from markupsafe import Markup

from embedtune.reports import numbers
from embedtune.reports.charts import common_scale, interval_plot
from embedtune.reports.rendering import trusted
from embedtune.retrieval.comparison import Comparison, Direction
from embedtune.retrieval.metric_names import cutoff_of, meaning_of, written_name
from embedtune.retrieval.sides import BASE, Difference, MetricValues

MOST_ROWS = 48
"""Metrics that a table shows: seven cutoffs of six, and the correlations; the others are in the comparison's file."""


class Change(StrEnum):
    """What the interval of a difference says."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"
    """The interval holds zero: the data does not tell."""
    SAME = "same"
    """Every query scored the same."""


CHANGE_WORDS: dict[Change, str] = {
    Change.BETTER: "\N{BLACK UP-POINTING TRIANGLE} better",
    Change.WORSE: "\N{BLACK DOWN-POINTING TRIANGLE} worse",
    Change.UNCLEAR: "\N{ALMOST EQUAL TO} not clear",
    Change.SAME: "= same",
}
"""A sign and a word, so that nothing depends on colour."""


@dataclass(frozen=True)
class ShownDifference:
    """How the tuned model differs from another side in one metric."""

    found: Difference
    change: Change
    word: str
    plot: Markup
    """SVG; all of a table share one scale."""


@dataclass(frozen=True)
class MetricRow:
    """One line of the table of metrics."""

    name: str
    meaning: str
    """What the metric says; '' where its name says it."""
    key: str
    starts: bool
    """Whether it is the first of those that differ in nothing but the cutoff."""
    values: tuple[float | None, ...]
    """Of each side in the order of the columns; None where nothing counts for it."""
    differences: tuple[ShownDifference, ...]
    """Of the tuned model from each other side."""


@dataclass(frozen=True)
class MetricTable:
    """All metrics of one direction of the search."""

    name: str
    """Of the direction; '' of the one that decides."""
    rows: tuple[MetricRow, ...]
    many_cutoffs: bool
    """Whether some of them differ in nothing but the cutoff."""
    left_out: int
    """How many more metrics there are."""
    over: Comparison | Direction
    """What the means are over."""


def change_of(difference: Difference) -> Change:
    """Say what the interval tells about a difference."""
    if difference.value == difference.lower == difference.upper == 0:
        return Change.SAME
    if difference.lower > 0:
        return Change.BETTER
    if difference.upper < 0:
        return Change.WORSE
    return Change.UNCLEAR


def metric_tables(comparison: Comparison, sides: Sequence[str]) -> tuple[MetricTable, ...]:
    """Return the tables of all directions, the one that decides first.

    Args:
        comparison: The outcome of the evaluation.
        sides: Names of the sides in the order of the columns.

    Raises:
        ValueError: a difference is not a finite number.
    """
    deciding = comparison.decision.metric
    return (
        _table("", comparison, sides, deciding),
        *(_table(direction.name, direction, sides, deciding) for direction in comparison.directions),
    )


def headlines(comparison: Comparison) -> tuple[ShownDifference, ...]:
    """Return the differences that decide, from the base first, drawn on one scale.

    Raises:
        ValueError: a difference is not a finite number.
    """
    found = [each for each in comparison.differences if each.metric == comparison.decision.metric]
    scale = _scale(found)
    return tuple(_shown(each, f"headline{_suffix(each)}", scale) for each in found)


def _table(name: str, found: Comparison | Direction, sides: Sequence[str], deciding: str) -> MetricTable:
    metrics = _ordered(found.metrics, deciding)
    names = [_split(metric.name)[0] for metric in metrics]
    scale = _scale(found.differences)
    prefix = f"{name}-" if name else ""
    rows = tuple(
        MetricRow(
            name=written_name(metric.name),
            meaning=meaning_of(metric.name),
            key=metric.name,
            starts=place == 0 or names[place] != names[place - 1],
            values=tuple(metric.values.get(side) for side in sides),
            differences=tuple(
                _shown(each, f"{prefix}{metric.name}{_suffix(each)}", scale)
                for each in found.differences
                if each.metric == metric.name
            ),
        )
        for place, metric in enumerate(metrics)
    )
    return MetricTable(name, rows, len(set(names)) < len(names), len(found.metrics) - len(rows), found)


def _ordered(metrics: Sequence[MetricValues], deciding: str) -> list[MetricValues]:
    """Return what is shown: those of one name by their cutoff, names as they come, that of the deciding one first."""
    kept = sorted(metrics, key=lambda metric: metric.name != deciding)[:MOST_ROWS]
    names = list(dict.fromkeys(_split(metric.name)[0] for metric in kept))
    return sorted(kept, key=lambda metric: (names.index(_split(metric.name)[0]), _split(metric.name)[1]))


def _split(key: str) -> tuple[str, int]:
    cutoff = cutoff_of(key)
    return key.removesuffix(f"_at_{cutoff}"), cutoff


def _scale(differences: Sequence[Difference]) -> tuple[float, float]:
    return common_scale([value for each in differences for value in (each.lower, each.upper, each.value)])


def _suffix(difference: Difference) -> str:
    return "" if difference.against == BASE else f"-{difference.against}"


def _shown(difference: Difference, identifier: str, scale: tuple[float, float]) -> ShownDifference:
    change = change_of(difference)
    from_other = "" if difference.against == BASE else f" from the {difference.against}"
    plot = interval_plot(
        difference.value,
        (difference.lower, difference.upper),
        scale,
        name=identifier,
        title=f"Difference{from_other} in {written_name(difference.metric)}",
        description=(
            f"{numbers.signed(difference.value)}, "
            f"interval {numbers.signed(difference.lower)} to {numbers.signed(difference.upper)}: {change.value}."
        ),
    )
    return ShownDifference(difference, change, CHANGE_WORDS[change], trusted(plot))
