"""The page of the data step: what was read, how it was split, and what to look at before training on it."""

from dataclasses import dataclass

from markupsafe import Markup

from embedtune.documents.schema import SplitRule
from embedtune.documents.summary import DataSummary, SplitSummary
from embedtune.records.layouts import Layout
from embedtune.reports.charts import bar
from embedtune.reports.rendering import render, trusted

_MAX_ROWS = 20
"""Greatest number of labels, warnings and examples that the page lists."""


@dataclass(frozen=True)
class SplitRow:
    """One line of the table of splits."""

    name: str
    purpose: str
    split: SplitSummary


@dataclass(frozen=True)
class LabelBar:
    """One bar of the label histogram."""

    label: str
    documents: int
    drawing: Markup
    """SVG."""


def data_html(summary: DataSummary) -> str:
    """Return the data page as one self-contained HTML document."""
    return render("data.html", _context(summary))


def data_markdown(summary: DataSummary) -> str:
    """Return the data page as Markdown."""
    return render("data.md", _context(summary))


def _context(summary: DataSummary) -> dict[str, object]:
    return {
        "data": summary,
        "labelled": summary.layout == Layout.LABELLED,
        "by_group": summary.split_rule == SplitRule.GROUP,
        "rows": (
            SplitRow("Training", "what the model learns from", summary.train),
            SplitRow("Queries", "held out; each one is searched for", summary.query),
            SplitRow("Index", "held out; what the queries search in", summary.index),
        ),
        "bars": _bars(summary.label_histogram),
        "warnings": summary.warnings[:_MAX_ROWS],
        "examples": summary.examples[:_MAX_ROWS],
    }


def _bars(histogram: tuple[tuple[str, int], ...]) -> tuple[LabelBar, ...]:
    most = max((documents for _, documents in histogram), default=1)
    return tuple(
        LabelBar(label, documents, trusted(bar(documents / most))) for label, documents in histogram[:_MAX_ROWS]
    )
