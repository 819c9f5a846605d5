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
    MetricComparison,
    QueryExample,
)
from embedtune.retrieval.metric_names import meaning_of, written_name

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
    base_model: str
    tuned_model: str
    """Name of the tuned model as people will look for it, such as 'support-search, version 3'."""
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
class MetricRow:
    """One line of the table of metrics."""

    name: str
    meaning: str
    """What the metric says."""
    metric: MetricComparison
    change: Change
    word: str
    plot: Markup
    """SVG; all rows share one scale."""


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
        KeyError: The comparison lacks the metric that was judged.
        ValueError: A metric or a loss is not a finite number.
    """
    return render("evaluation.html", _context(report))


def evaluation_markdown(report: EvaluationReport) -> str:
    """Return the evaluation page as Markdown.

    Raises:
        KeyError: The comparison lacks the metric that was judged.
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


def change_of(metric: MetricComparison) -> Change:
    """Say what a metric's interval tells about the difference."""
    if metric.difference == metric.lower == metric.upper == 0:
        return Change.SAME
    if metric.lower > 0:
        return Change.BETTER
    if metric.upper < 0:
        return Change.WORSE
    return Change.UNCLEAR


def _context(report: EvaluationReport) -> dict[str, object]:
    comparison = report.comparison
    meshes = Modality.MESH in (comparison.query_kind, comparison.index_kind)
    styles, tiles = _sheet(report.pictures, not meshes)
    primary = comparison.metric(comparison.decision.metric)
    return {
        "report": report,
        "comparison": comparison,
        "decision": comparison.decision,
        "primary": _metric_row(primary, "headline", common_scale((primary.lower, primary.upper, primary.difference))),
        "tables": [("", _metric_rows(comparison.metrics), comparison), *map(_direction_table, comparison.directions)],
        "curve": loss_curve(report.history),
        "groups": _example_groups(comparison.examples),
        "hits": _HITS,
        "training": report.training,
        "data": report.data,
        "provenance": report.provenance,
        "warnings": comparison.warnings,
        "next_steps": next_steps(comparison, report.title),
        "text_rows": text_rows(report.train_texts, comparison),
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


def _direction_table(direction: Direction) -> tuple[str, tuple[MetricRow, ...], Direction]:
    return direction.name, _metric_rows(direction.metrics, f"{direction.name}-"), direction


def _metric_rows(metrics: Sequence[MetricComparison], prefix: str = "") -> tuple[MetricRow, ...]:
    scale = common_scale([value for metric in metrics for value in (metric.lower, metric.upper, metric.difference)])
    return tuple(_metric_row(metric, f"{prefix}{metric.name}", scale) for metric in metrics)


def _metric_row(metric: MetricComparison, identifier: str, scale: tuple[float, float]) -> MetricRow:
    name, change = written_name(metric.name), change_of(metric)
    plot = interval_plot(
        metric.difference,
        (metric.lower, metric.upper),
        scale,
        name=identifier,
        title=f"Difference in {name}",
        description=(
            f"{numbers.signed(metric.difference)}, "
            f"interval {numbers.signed(metric.lower)} to {numbers.signed(metric.upper)}: {change.value}."
        ),
    )
    return MetricRow(name, meaning_of(metric.name), metric, change, CHANGE_WORDS[change], trusted(plot))


def _example_groups(examples: Sequence[QueryExample]) -> tuple[ExampleGroup, ...]:
    """Group the examples by how their nDCG@10 went, the clearest first; losses are shown as fully as gains."""
    groups = (
        ("Better", CHANGE_WORDS[Change.BETTER][0], [e for e in examples if e.tuned_ndcg > e.base_ndcg]),
        ("Worse", CHANGE_WORDS[Change.WORSE][0], [e for e in examples if e.tuned_ndcg < e.base_ndcg]),
        ("Same", CHANGE_WORDS[Change.SAME][0], [e for e in examples if e.tuned_ndcg == e.base_ndcg]),
    )
    return tuple(
        ExampleGroup(name, sign, len(members), tuple(sorted(members, key=_clarity)[:_EXAMPLES_PER_GROUP]))
        for name, sign, members in groups
        if members
    )


def _clarity(example: QueryExample) -> float:
    return -abs(example.tuned_ndcg - example.base_ndcg)
