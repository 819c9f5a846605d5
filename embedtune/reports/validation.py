"""How good the model was after each epoch, on the training documents that were held out to tell."""

from dataclasses import dataclass

from markupsafe import Markup

from embedtune.models.card import EpochScore, Validation
from embedtune.reports import numbers
from embedtune.reports.charts import line_chart
from embedtune.reports.rendering import trusted
from embedtune.retrieval.metric_names import written_name


@dataclass(frozen=True)
class MetricCurve:
    """The scores of a validation as a page shows them."""

    chart: Markup
    """SVG; its dot is the epoch whose weights the model has."""
    name: str
    """How people write the metric."""
    validation: Validation
    first: EpochScore
    last: EpochScore
    best: EpochScore


def metric_curve(validation: Validation | None) -> MetricCurve | None:
    """Draw the metric over the epochs.

    Args:
        validation: The scores.

    Returns:
        The drawing, or None where nothing was held out.

    Raises:
        ValueError: A score is not a finite number.
    """
    if validation is None:
        return None
    name, best = written_name(validation.metric), validation.best
    first, last = validation.scores[0], validation.scores[-1]
    description = (
        f"{name} on held-out training documents, from {numbers.score(first.value)} before training to "
        f"{numbers.score(last.value)} after epoch {last.epoch}; best {numbers.score(best.value)} at epoch "
        f"{best.epoch}. The model has the weights of epoch {validation.kept}."
    )
    points = {score.epoch: (score.epoch, score.value) for score in validation.scores}
    chart = line_chart(
        list(points.values()),
        x_label="epoch",
        y_label=f"{name} (validation)",
        name="validation",
        title=f"{name} by epoch",
        description=description,
        marked=points[validation.kept],
    )
    return MetricCurve(trusted(chart), name, validation, first, last, best)
