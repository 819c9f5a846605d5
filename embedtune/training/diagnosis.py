"""What is wrong with a training, told by its numbers: a loss that is none, vectors that are all the same, no progress.

Imports no torch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from embedtune.errors import FruitlessError
from embedtune.models.card import LossPoint

COLLAPSED = 1e-3
"""Share of their spread before the training below which vectors are called all the same.

Measured on 16 contents without dropout, which alone would spread equal vectors by 1e-3. Trainings that fell apart (a
tiny BERT and all-MiniLM-L6-v2, rates of 0.01 to 0.9 with AdamW and 100 with SGD, five losses) ended between 2e-16 and
5e-5, at most 8e-4 of what they began with; trainings at 1e-4 at 0.7 or more; one on labels drawn at random, from which
nothing can be learned but to give all texts the same vector, at 0.04 after 75 steps. A share and no number, because
models that were not made for comparing, such as BERT as it was published, begin with cosines above 0.9.
"""

_LEAST_SPREAD = 1e-9
"""Spread before the training below which it cannot be told from rounding of float32 what became of it."""

STILL_SHARE = 0.5
"""Share of an epoch in which a loss should move, ..."""
_FEWEST_STEPS, _FEWEST_POINTS = 20, 5
"""... and steps and points of its curve that it takes at least to tell."""

_STILL_ERRORS = 2.0
"""Standard errors that two means differ by at least where a loss moves."""


@dataclass(frozen=True)
class Step:
    """One optimizer step."""

    number: int
    """1-based."""
    rate: float
    """Learning rate of the model's weights in it."""
    loss: float
    gradient: float
    """Norm of the gradient before it was cut."""


@dataclass(frozen=True)
class Course:
    """What a training set out to do, for the sentences about what became of it."""

    loss: str
    """Name of the loss function."""
    learning_rate: float
    """Highest learning rate of the model's weights."""
    loss_rate: float
    """Highest learning rate of the loss's own weights; 0 where it has none."""
    steps: int
    """Optimizer steps."""
    batches_per_epoch: int
    warmup_steps: int

    @property
    def window(self) -> int:
        """Steps in which the loss should move."""
        return max(_FEWEST_STEPS, round(STILL_SHARE * self.batches_per_epoch))

    @property
    def cure(self) -> str:
        """What to lower."""
        lower = f"Lower learning_rate ({self.learning_rate:g} now), to a tenth at first"
        if self.loss_rate:
            lower += f", with it loss_learning_rate of train_options ({self.loss_rate:g} now)"
        return f"{lower}; or lengthen warmup of train_options. Then run again."

    def place(self, step: Step) -> str:
        """Say which step one was."""
        epoch = (step.number - 1) // self.batches_per_epoch + 1
        return f"at step {step.number:,} of {self.steps:,} (epoch {epoch}, learning rate {step.rate:.3g}, {self.loss})"


class Diagnosis:
    """Looks at step after step."""

    def __init__(self, course: Course) -> None:
        """Begin before the first step, or where a training is resumed."""
        self._course = course
        self._last: Step | None = None
        self._largest: Step | None = None

    def look(self, step: Step) -> None:
        """Look at a step before the weights are changed by it.

        Raises:
            FruitlessError: its loss or its gradient is no number.
        """
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient)):
            raise FruitlessError(self._not_finite(step))
        self._last = step
        if self._largest is None or step.gradient > self._largest.gradient:
            self._largest = step

    def check_spread(self, before: Sequence[float], now: Sequence[float]) -> None:
        """Compare how far vectors of each kind of contents are apart with what it was before the training.

        Raises:
            FruitlessError: they are all the same now.
        """
        for first, last in zip(before, now, strict=True):
            if first > _LEAST_SPREAD and last < COLLAPSED * first and self._last is not None:
                raise FruitlessError(
                    f"The model gives all contents the same vector {self._course.place(self._last)}: their mean "
                    f"distance from each other (1 - cosine) is {last:.2g}, and was {first:.2g} before the training. "
                    f"The loss is {self._last.loss:.5g} and cannot get better from there. {self._course.cure}"
                )

    def check_weights(self, finite: bool) -> None:
        """Check the weights after a step.

        Raises:
            FruitlessError: not all are numbers.
        """
        if not finite and self._last is not None:
            raise FruitlessError(
                f"Weights became no numbers {self._course.place(self._last)}, whose loss was "
                f"{self._last.loss:.5g}: the step was too large. {self._course.cure}"
            )

    def _not_finite(self, step: Step) -> str:
        what = f"loss became {step.loss}" if not math.isfinite(step.loss) else f"gradient became {step.gradient}"
        told = f"The {what} {self._course.place(step)}"
        if self._last is None or self._largest is None:
            if step.number == 1:
                return (
                    f"{told}, before anything was changed: the backbone itself gives vectors that are no numbers, or "
                    "a content makes it do so. Encode the data with it (`embedtune encode`), or take another backbone."
                )
            return f"{told}, the first one after the checkpoint. {self._course.cure}"
        return (
            f"{told}. The step before had the loss {self._last.loss:.5g}; the largest gradient until then had the norm "
            f"{self._largest.gradient:.3g}, at step {self._largest.number:,}. {self._course.cure}"
        )


def remarks_on(history: Sequence[LossPoint], course: Course) -> tuple[str, ...]:
    """Return what a person should know of how the loss went; what is found early stays found as more steps follow.

    Args:
        history: By ascending step.
        course: What the training set out to do.
    """
    return tuple(filter(None, (_zero_loss(history, course), _still_loss(history, course))))


def _zero_loss(history: Sequence[LossPoint], course: Course) -> str:
    began = 0
    for point in history:
        if point.loss != 0:
            began = point.step
        elif point.step - began >= course.window:
            return (
                f"The loss was exactly 0 in the {point.step - began:,} steps up to step {point.step:,}: {course.loss} "
                "found nothing in their batches that was not told apart already, so they taught nothing. Larger "
                "batches hold harder cases, MultipleNegativesRankingLoss and SupConLoss never run out of them; or "
                "train for fewer epochs."
            )
    return ""


def _still_loss(history: Sequence[LossPoint], course: Course) -> str:
    """Compare the losses of the first steps with those of as many after them, and after the warm-up."""
    count = max(_FEWEST_POINTS, sum(point.step <= course.window for point in history))
    begins = max(count, sum(point.step <= course.warmup_steps for point in history))
    first, then = history[:count], history[begins : begins + count]
    if len(then) < count or history[count - 1].step < course.window:
        return ""
    (mean, error), (later, later_error) = _mean(first), _mean(then)
    apart = math.hypot(error, later_error)
    if later == 0 or abs(later - mean) > _STILL_ERRORS * apart:
        return ""
    return (
        f"The loss did not move: {mean:.5g} on average up to step {first[-1].step:,}, and {later:.5g} from step "
        f"{then[0].step:,} to {then[-1].step:,}, which is no further apart than chance ({_STILL_ERRORS:g} standard "
        f"errors of {apart:.2g}). Raise learning_rate ({course.learning_rate:g} now) or look whether labels and pairs "
        "say what is alike; if the scores got better all the same, it is well."
    )


def _mean(points: Sequence[LossPoint]) -> tuple[float, float]:
    """Return the mean loss, and its standard error."""
    losses = [point.loss for point in points]
    return fmean(losses), stdev(losses) / math.sqrt(len(losses))
