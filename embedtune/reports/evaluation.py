"""The page of the evaluation step: is the tuned model better than the one it started from, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from embedtune.documents.summary import DataSummary
from embedtune.models.card import CutTexts, LossPoint
from embedtune.records.layouts import Modality
from embedtune.reports import numbers
from embedtune.reports.advice import next_steps
from embedtune.reports.charts import common_scale, interval_plot
from embedtune.reports.cut_texts import text_rows
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.reports.reading import shown_reading
from embedtune.reports.rendering import render, trusted
from embedtune.reports.training import loss_curve
from embedtune.retrieval.comparison import (
    Comparison,
    Direction,
    QueryExample,
)
from embedtune.retrieval.metric_names import meaning_of, written_name
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED, Difference

if TYPE_CHECKING:
    from embedtune.documents.views.gallery import Tile

_DATA_PAGE = "<!-- the data page -->"
"""Where a link to the data page goes; a step does not know where that page will be."""

_EXAMPLES_PER_GROUP = 8
_HITS = 5


@dataclass(frozen=True)
class EvaluationReport:
    """What the evaluation page shows."""

    title: str
    """What was trained on, such as the name of the data."""
    comparison: Comparison
    training: TrainingFacts
    history: tuple[LossPoint, ...]
    """By ascending step; empty where nothing was logged."""
    data: DataSummary | None
    provenance: Provenance
    train_texts: CutTexts | None = None
    """What the model's length did to the training texts, None where nobody counted."""
    pictures: Mapping[str, "Tile"] = field(default_factory=dict)
    """Drawings of images or meshes of the examples, by id, all of one shape; none of texts."""
    made: str = ""
    """When the evaluation was made, '' where that is not said."""

    @property
    def base_model(self) -> str:
        """What people call the model that training started from."""
        return self.comparison.side(BASE).model


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


SIDE_NAMES = {BASE: "Base", TUNED: "Tuned", CHAMPION: "Champion"}
"""What the pages call the sides, in the order of their columns."""


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
    """What the metric says."""
    key: str
    values: tuple[float | None, ...]
    """Of each side in the order of the columns; None where nothing counts for it."""
    differences: tuple[ShownDifference, ...]
    """Of the tuned model from each other side."""


@dataclass(frozen=True)
class ExampleGroup:
    """Queries that went the same way."""

    name: str
    sign: str
    total: int
    """Number of examples that went this way, of which the page shows the clearest."""
    examples: tuple[QueryExample, ...]


def evaluation_html(report: EvaluationReport) -> str:
    """Return the evaluation page as one self-contained HTML document.

    Raises:
        KeyError: The comparison lacks the base, the tuned model, or the metric that was judged.
        ValueError: A metric or a loss is not a finite number.
    """
    return render("evaluation.html", _context(report))


def evaluation_markdown(report: EvaluationReport) -> str:
    """Return the evaluation page as Markdown.

    Raises:
        KeyError: The comparison lacks the base, the tuned model, or the metric that was judged.
        ValueError: A metric or a loss is not a finite number.
    """
    return render("evaluation.md", _context(report))


def with_data_page(html: str, address: str) -> str:
    """Return an evaluation page that links to the data page, for a place where both are.

    Args:
        html: What `evaluation_html` returned.
        address: Address of the data page, relative to this one.
    """
    link = f'<span aria-hidden="true">/</span> <a href="{escape(address, quote=True)}">data page</a>'
    return html.replace(_DATA_PAGE, link, 1)


def change_of(difference: Difference) -> Change:
    """Say what the interval tells about a difference."""
    if difference.value == difference.lower == difference.upper == 0:
        return Change.SAME
    if difference.lower > 0:
        return Change.BETTER
    if difference.upper < 0:
        return Change.WORSE
    return Change.UNCLEAR


def verdict(comparison: Comparison) -> str:
    """Return the decision in a few words."""
    decision, scored = comparison.decision, comparison.has(CHAMPION)
    if decision.better:
        return "Better than base and champion" if scored else "Better than the base"
    if decision.better_than_base:
        return "Better than the base, not shown to be better than the champion" if scored else "Champion not scored"
    return "Not shown to be better"


def _context(report: EvaluationReport) -> dict[str, object]:
    comparison = report.comparison
    meshes = Modality.MESH in (comparison.query_kind, comparison.index_kind)
    styles, tiles = _sheet(report.pictures, not meshes)
    sides = tuple(comparison.side(name) for name in SIDE_NAMES if comparison.has(name))
    primary = comparison.difference(comparison.decision.metric)
    tables: list[tuple[str, Comparison | Direction]] = [("", comparison)]
    tables += [(each.name, each) for each in comparison.directions]
    return {
        "report": report,
        "comparison": comparison,
        "decision": comparison.decision,
        "verdict": verdict(comparison),
        "sides": sides,
        "side_names": SIDE_NAMES,
        "primary_name": written_name(primary.metric),
        "primary": _shown(primary, "headline", common_scale((primary.lower, primary.upper, primary.value))),
        "others": [side for side in sides if side.name != TUNED],
        "tables": [(name, _metric_rows(found, [side.name for side in sides], name), found) for name, found in tables],
        "texts": {(content.kind, content.id): content.text for content in comparison.contents},
        "curve": loss_curve(report.history),
        "groups": _example_groups(comparison.examples),
        "hits": _HITS,
        "training": report.training,
        "data": report.data,
        "provenance": report.provenance,
        "warnings": comparison.warnings,
        "next_steps": next_steps(comparison, report.title),
        "text_rows": text_rows(report.train_texts, comparison.sides),
        "reading": shown_reading(None if report.data is None else report.data.reading),
        "styles": styles,
        "tiles": tiles,
        "meshes": meshes,
        "data_page": trusted(_DATA_PAGE),
    }


def _sheet(pictures: Mapping[str, "Tile"], is_photo: bool) -> tuple[Markup, dict[str, str]]:
    """Return the style rules of the pictures, and the class of each by its id."""
    if not pictures:
        return Markup(), {}
    from embedtune.reports.sheets import make_sheet  # numpy takes time to import, and texts do not need it

    sheet = make_sheet(list(pictures.values()), is_photo)
    return sheet.styles, dict(zip(pictures, sheet.names, strict=True))


def _metric_rows(found: Comparison | Direction, sides: Sequence[str], name: str) -> tuple[MetricRow, ...]:
    scale = common_scale([value for each in found.differences for value in (each.lower, each.upper, each.value)])
    prefix = f"{name}-" if name else ""
    return tuple(
        MetricRow(
            name=written_name(metric.name),
            meaning=meaning_of(metric.name),
            key=metric.name,
            values=tuple(metric.values.get(side) for side in sides),
            differences=tuple(
                _shown(each, f"{prefix}{metric.name}" + ("" if each.against == BASE else f"-{each.against}"), scale)
                for each in found.differences
                if each.metric == metric.name
            ),
        )
        for metric in found.metrics
    )


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


def _example_groups(examples: Sequence[QueryExample]) -> tuple[ExampleGroup, ...]:
    """Group the examples by how their nDCG@10 went, the clearest first; losses are shown as fully as gains."""
    groups = (
        ("Better", CHANGE_WORDS[Change.BETTER][0], [each for each in examples if _gain(each) > 0]),
        ("Worse", CHANGE_WORDS[Change.WORSE][0], [each for each in examples if _gain(each) < 0]),
        ("Same", CHANGE_WORDS[Change.SAME][0], [each for each in examples if _gain(each) == 0]),
    )
    return tuple(
        ExampleGroup(name, sign, len(members), tuple(sorted(members, key=_clarity)[:_EXAMPLES_PER_GROUP]))
        for name, sign, members in groups
        if members
    )


def _gain(example: QueryExample) -> float:
    before, after = example.of(BASE), example.of(TUNED)
    return 0.0 if before is None or after is None else after.ndcg - before.ndcg


def _clarity(example: QueryExample) -> float:
    return -abs(_gain(example))
