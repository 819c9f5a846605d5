"""What happens beside the training loop: progress, and the loss history."""

import math

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from embedtune.errors import TrainingError
from embedtune.models.card import LossPoint
from embedtune.progress import Advance


class WatchCallback(TrainerCallback):
    """Counts steps for the progress bar and stops a training whose loss is no number."""

    def __init__(self, advance: Advance) -> None:
        """Report each step to `advance`."""
        self._advance = advance

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Count the steps of the run that is resumed."""
        self._advance(state.global_step)

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

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        """Check the loss.

        Raises:
            TrainingError: it is not finite.
        """
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingError(
                f"The training loss became {loss} at step {state.global_step}. "
                f"Lower the learning rate ({args.learning_rate:g} now) or lengthen the warm-up, and run again."
            )


def loss_history(state: TrainerState) -> tuple[LossPoint, ...]:
    """Return the logged losses, those from before a resume included."""
    return tuple(
        LossPoint(int(entry["step"]), float(entry["epoch"]), float(entry["loss"]))
        for entry in state.log_history
        if "loss" in entry
    )
