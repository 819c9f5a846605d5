"""A training is watched: its steps are counted and looked at, and so is the model at times."""

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from embedtune.models.card import LossPoint
from embedtune.models.contents import Content, Contents
from embedtune.progress import Advance, note
from embedtune.training.diagnosis import Course, Diagnosis, Step, remarks_on

_PROBES = 16
"""Contents whose vectors are compared now and then."""

_STEPS_BETWEEN = 10
"""Fewest steps between two such looks. Each is a quarter of a batch of 64 in float32 without gradients: some 1 % of the
time, by reckoning, where training is in float32, and 2 % where it is in bfloat16."""


class WatchCallback(TrainerCallback):
    """Counts steps for the progress bar, and stops a training that went wrong before a checkpoint holds that."""

    def __init__(self, advance: Advance, model: SentenceTransformer, contents: Contents, course: Course) -> None:
        """Look at the model before its training.

        Args:
            advance: Is told of each step.
            model: The model, untrained.
            contents: What it will be trained on.
            course: What the training sets out to do.
        """
        self._advance, self._model, self._course = advance, model, course
        self._diagnosis = Diagnosis(course)
        self._pending: list[tuple[int, float, Tensor]] = []
        self._probes = _probes(contents)
        self._spread_before = self._spread()
        self._looked = 0
        self._told: tuple[str, ...] = ()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count the steps of the run that is resumed."""
        self._advance(state.global_step)
        self._looked = state.global_step
        self._told = remarks_on(loss_history(state), self._course)

    def record(self, step: int, rate: float, loss: Tensor, gradient: Tensor) -> None:
        """Take the numbers of a step before its change of the weights; a GPU is not waited for.

        Args:
            step: Number of the step, from 1.
            rate: Learning rate.
            loss: Scalar.
            gradient: Norm, a scalar.

        Raises:
            FruitlessError: one of them is no number.
        """
        self._pending.append((step, rate, torch.stack([loss.detach().float(), gradient.detach().float()])))
        if loss.device.type == "cpu":
            self._read()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count a step."""
        self._advance(1)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        """Log the steps since the last point: they would be missing from the history of a run resumed from here."""
        control.should_log = True
        return control

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Look at the steps since the last point, and at the model where the last look is some steps ago.

        Raises:
            FruitlessError: the training went wrong.
        """
        self._read()
        if state.global_step - self._looked >= _STEPS_BETWEEN:
            self._check_spread(state)
        remarks = remarks_on(loss_history(state), self._course)
        for remark in remarks[len(self._told) :]:
            note(remark)
        self._told = remarks

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Look at everything once more.

        Raises:
            FruitlessError: the training went wrong.
        """
        self.check(state)

    def check(self, state: TrainerState) -> None:
        """Look at the steps so far and at the model, as before a checkpoint takes the place of the one before.

        Raises:
            FruitlessError: the training went wrong.
        """
        self._read()
        self._diagnosis.check_weights(_all_finite(self._model))
        self._check_spread(state)

    def _check_spread(self, state: TrainerState) -> None:
        self._looked = state.global_step
        self._diagnosis.check_spread(self._spread_before, self._spread())

    def _read(self) -> None:
        """Look at the steps since the last time; of a GPU all at once."""
        pending, self._pending = self._pending, []
        if pending:
            numbers = torch.stack([both for _, _, both in pending]).tolist()
            for (step, rate, _), (loss, gradient) in zip(pending, numbers, strict=True):
                self._diagnosis.look(Step(step, rate, loss, gradient))

    def _spread(self) -> list[float]:
        return [_spread_of(np.asarray(self._model.encode(part, show_progress_bar=False))) for part in self._probes]


def _probes(contents: Contents) -> list[list[Content]]:
    """Return some contents of each kind, which alone can be encoded together."""
    step = max(1, len(contents) // (_PROBES * len(contents.kinds)))
    by_kind: dict[object, list[Content]] = {}
    for position in range(0, len(contents), step):
        content = contents[position]
        part = by_kind.setdefault(tuple(content) if isinstance(content, dict) else "image", [])
        if len(part) < _PROBES:
            part.append(content)
    return [part for part in by_kind.values() if len(part) > 1]


def _spread_of(vectors: np.ndarray) -> float:
    """Return the mean of 1 - cosine over all pairs of vectors (N, d), in which equal ones give 0 and not a rounding."""
    exact = vectors.astype(np.float64)
    units = exact / np.maximum(np.linalg.norm(exact, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    away = units - units.mean(axis=0)  # the mean of |u - v|^2 / 2 over pairs is the variance, times N / (N - 1)
    return float((away**2).sum() / (len(units) - 1))


def _all_finite(model: nn.Module) -> bool:
    return bool(torch.stack([weight.isfinite().all() for weight in model.parameters()]).all())


def loss_history(state: TrainerState) -> tuple[LossPoint, ...]:
    """Return the logged losses, those from before a resume included."""
    return tuple(
        LossPoint(int(entry["step"]), float(entry["epoch"]), float(entry["loss"]))
        for entry in state.log_history
        if "loss" in entry
    )
