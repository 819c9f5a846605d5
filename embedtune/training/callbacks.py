"""What happens beside the training loop: progress, the loss history, checkpoints, interruption."""

import math
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from embedtune.errors import TrainingError
from embedtune.models.card import LossPoint
from embedtune.progress import Advance
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.embedding import ColumnLoss
from embedtune.training.processes import ALONE, Processes

_LOSS_FILE = "loss.safetensors"
"""The weights of the loss in a checkpoint; sentence-transformers keeps the model's alone."""


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


class CheckpointCallback(TrainerCallback):
    """Hands each checkpoint to the store, and asks for one when the process is told to stop."""

    def __init__(self, store: CheckpointStore, loss: ColumnLoss, processes: Processes = ALONE) -> None:
        """Keep checkpoints in `store`, the weights of `loss` with the model's; stop where all `processes` do."""
        self._store = store
        self._processes = processes
        self._loss = loss
        self.interrupted = False
        self.scratch = store.scratch
        """Where checkpoints are written."""

    def interrupt(self, _signal: int) -> None:
        """Turn a signal into a last checkpoint."""
        self.interrupted = True

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        """Save and stop where that was asked for."""
        if self._processes.any(self.interrupted):
            control.should_log = True
            control.should_save = self._store.enabled
            control.should_training_stop = True
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        """Save after each epoch but the last, whose result is the model itself."""
        if state.global_step < state.max_steps and self._store.enabled:
            control.should_save = True
        return control

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        """Keep the checkpoint that was just written."""
        folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        weights = {name: value.contiguous() for name, value in self._loss.objective.state_dict().items()}
        save_file(weights, folder / _LOSS_FILE)
        self._store.keep(folder)

    def restore_loss(self, folder: Path) -> None:
        """Give the loss its weights of a checkpoint.

        Raises:
            TrainingError: the checkpoint is of another loss, or damaged.
        """
        try:
            self._loss.objective.load_state_dict(load_file(folder / _LOSS_FILE))
        except (OSError, RuntimeError, SafetensorError) as error:
            raise TrainingError(
                f"The checkpoint does not fit the loss ({error}). Delete the folder of checkpoints, and start again."
            ) from error


def loss_history(state: TrainerState) -> tuple[LossPoint, ...]:
    """Return the logged losses, those from before a resume included."""
    return tuple(
        LossPoint(int(entry["step"]), float(entry["epoch"]), float(entry["loss"]))
        for entry in state.log_history
        if "loss" in entry
    )
