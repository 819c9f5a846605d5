"""The page of the fine-tuning step: how the loss went, and with which settings."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from embedtune.models.card import CutTexts, LossPoint, Validation
from embedtune.records.rows import IngestReport
from embedtune.reports import numbers
from embedtune.reports.charts import line_chart
from embedtune.reports.cut_texts import cut_warnings, text_rows
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.reports.reading import shown_reading
from embedtune.reports.rendering import render, trusted
from embedtune.reports.validation import metric_curve

_MARKDOWN_POINTS = 10


@dataclass(frozen=True)
class TrainingReport:
    """What the training page shows."""

    title: str
    """What was trained on, such as the name of the data."""
    base_model: str
    training: TrainingFacts
    history: tuple[LossPoint, ...]
    """By ascending step; empty where training ended before anything was logged."""
    provenance: Provenance
    texts: CutTexts | None = None
    """What the model's length did to the training texts, None where nobody counted."""
    reading: IngestReport | None = None
    """How the data were read, None where nobody said."""
    validation: Validation | None = None
    """How good the model was after each epoch, None where nothing was held out to tell."""
    remarks: Sequence[str] = ()
    """What a person should know of how the training went."""


@dataclass(frozen=True)
class LossCurve:
    """The loss history as a page shows it."""

    chart: Markup
    """SVG."""
    first: LossPoint
    last: LossPoint
    lowest: LossPoint
    rows: tuple[LossPoint, ...]
    """A few of the points, for pages that hold no drawing."""


def training_html(report: TrainingReport) -> str:
    """Return the training page as one self-contained HTML document."""
    return render("training.html", _context(report))


def loss_curve(history: Sequence[LossPoint]) -> LossCurve | None:
    """Draw the loss over the optimizer steps.

    Args:
        history: By ascending step.

    Returns:
        The drawing, or None where there is nothing to draw.

    Raises:
        ValueError: A loss is not a finite number.
    """
    if not history:
        return None
    first, last, lowest = history[0], history[-1], min(history, key=lambda point: point.loss)
    description = (
        f"Training loss from {numbers.compact(first.loss)} at step {numbers.count(first.step)} "
        f"to {numbers.compact(last.loss)} at step {numbers.count(last.step)}, epoch {numbers.compact(last.epoch)}; "
        f"lowest {numbers.compact(lowest.loss)} at step {numbers.count(lowest.step)}."
    )
    chart = line_chart(
        [(point.step, point.loss) for point in history],
        x_label="optimizer step",
        y_label="training loss (no unit)",
        name="loss",
        title="Training loss by optimizer step",
        description=description,
    )
    return LossCurve(trusted(chart), first, last, lowest, _rows(history))


def _context(report: TrainingReport) -> dict[str, object]:
    cut = () if report.texts is None else cut_warnings((report.texts, "training texts"))
    return {
        "report": report,
        "training": report.training,
        "provenance": report.provenance,
        "curve": loss_curve(report.history),
        "metric_curve": metric_curve(report.validation),
        "text_rows": text_rows(report.texts),
        "warnings": (*report.remarks, *cut),
        "reading": shown_reading(report.reading),
    }


def _rows(history: Sequence[LossPoint]) -> tuple[LossPoint, ...]:
    """Return evenly spaced points, the first and the last among them."""
    last = len(history) - 1
    count = min(len(history), _MARKDOWN_POINTS)
    return tuple(history[round(place * last / max(count - 1, 1))] for place in range(count))
