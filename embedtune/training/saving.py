"""When a checkpoint is written, and everything that belongs into it.

It is written to the local disk between two steps, and sent from there while training goes on (`checkpoints`). A
checkpoint is complete or absent: one that cannot be written as a whole is removed, and nothing is sent of it.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from embedtune.errors import StoppedError
from embedtune.models.precision import precision_to_go_on
from embedtune.progress import note
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.embedding import ColumnLoss
from embedtune.training.loss_state import check_loss_state, restore_loss_state, save_loss_state
from embedtune.training.processes import ALONE, Processes
from embedtune.training.so_far import Clock, SoFar

_TRAINING_PER_CHECKPOINT = 40.0
"""No checkpoint is written before training had this many times the time that the last one cost: at most 2.5 % of the
time goes there, however large the model and short the epochs."""


class CheckpointCallback(TrainerCallback):
    """Writes checkpoints after epochs, every few minutes, and when the process is told to stop."""

    def __init__(
        self, store: CheckpointStore, loss: ColumnLoss, batch_size: int, minutes: float, processes: Processes = ALONE
    ) -> None:
        """Prepare.

        Args:
            store: Takes the checkpoints.
            loss: Its state is kept with the model's.
            batch_size: Contents of a batch.
            minutes: After how many a checkpoint is written within an epoch; 0 for none.
            processes: Where all of these stop, this one does.

        Raises:
            TrainingError: the loss keeps something that no checkpoint can hold.
        """
        self._store, self._loss, self._processes = store, loss, processes
        self._batch_size, self._seconds = batch_size, minutes * 60
        if store.enabled:
            check_loss_state(loss.objective)
        self.interrupted = False
        self.scratch = store.scratch
        """Where checkpoints are written."""
        self.clock = Clock()
        """The time of all attempts."""
        self.parts: list[Callable[[Path], None]] = []
        """What else is written into the folder of a checkpoint."""
        self._writing_s = 0.0
        self._written_at = time.perf_counter()
        self._written_step = -1
        self._resumed_step = 0

    def interrupt(self, _signal: int) -> None:
        """Turn a signal into a last checkpoint."""
        self.interrupted = True

    def begin(self, resumed: Path | None) -> None:
        """Start the clock, and give loss, threads and precision what a checkpoint has of them.

        Raises:
            TrainingError: the checkpoint is of another loss, or damaged.
        """
        before = 0.0
        if resumed is not None:
            restore_loss_state(self._loss.objective, resumed)
            so_far = SoFar.load(resumed)
            self._resumed_step = TrainerState.load_from_json(str(resumed / TRAINER_STATE_NAME)).global_step
            before, self._loss.contents_seen = so_far.seconds, so_far.texts
            if so_far.threads != torch.get_num_threads():
                note(
                    f"The training goes on with {so_far.threads} threads, as it began, and not with "
                    f"{torch.get_num_threads()}: with another number it would come to slightly other weights."
                )
                torch.set_num_threads(so_far.threads)
            self._loss.precision = precision_to_go_on(self._loss.model, so_far.precision, self._loss.precision)
        self.clock.start(before)
        self._written_at = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        """Save where it is time to, or stop where that was asked for."""
        ends_epoch = state.epoch is not None and state.epoch.is_integer()
        if self._processes.any(self.interrupted):
            control.should_log = control.should_log or ends_epoch  # as at the end of every epoch
            control.should_save = self._store.enabled
            control.should_training_stop = True
        elif self._seconds and not ends_epoch and self._is_time(self._seconds):
            control.should_save = True
        return control

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> TrainerControl:
        """Save after each epoch but the last, whose result is the model itself, and stop where that was asked for.

        An interruption comes here while the model is measured: the next step would take its weights of this epoch away.
        """
        if self._processes.any(self.interrupted):
            control.should_save = self._store.enabled and state.global_step != self._written_step
            control.should_training_stop = True
        elif state.global_step < state.max_steps and state.global_step != self._written_step and self._is_time(0.0):
            control.should_save = True
        return control

    def end(self, state: TrainerState) -> None:
        """Stop here where that was asked for; a training that has made its last step needs a checkpoint of it for that.

        Raises:
            StoppedError: the process was told to stop.
        """
        if not self._processes.any(self.interrupted):
            return
        step, kept = state.global_step, int(self._processes.of_first(str(self._kept_step())))
        if step == state.max_steps != kept:
            note("The training was told to stop after its last step. No checkpoint has that: the model is saved now.")
            return
        left = f"the checkpoint of step {kept} is kept, run again to go on from there"
        if kept == step:
            left = "a checkpoint is kept, run again to go on"
        elif kept < 0:
            left = "nothing is kept, run again to start"
        raise StoppedError(f"Stopped at step {step} of {state.max_steps}: {left}.")

    def _kept_step(self) -> int:
        """Return the step of the checkpoint to go on from; -1 where there is none."""
        if not self._store.kept:
            return -1
        return int(self._store.sent.rpartition("-")[2]) if self._store.sent else self._resumed_step

    def save(self, step: int, write: Callable[[], None], unlogged_loss: float, logged_step: int) -> None:
        """Write a checkpoint and hand it to the store; where it cannot be written it is lost, and that is said.

        Args:
            step: The last one that was done.
            write: Writes what transformers keeps of a training.
            unlogged_loss: Sum of the losses since the last point of the history.
            logged_step: Step of that point.
        """
        started = time.perf_counter()
        folder = self.scratch / f"{PREFIX_CHECKPOINT_DIR}-{step}"
        threads, texts = torch.get_num_threads(), self._loss.contents_seen
        precision = self._loss.precision
        so_far = SoFar(self.clock.seconds, texts, threads, precision, self._batch_size, unlogged_loss, logged_step)

        def write_all() -> None:
            write()
            save_loss_state(self._loss.objective, folder)
            so_far.save(folder)
            for part in self.parts:
                part(folder)

        if self._is_written(folder, write_all):
            self._store.keep(folder)
        self._written_step, self._written_at = step, time.perf_counter()
        self._writing_s = self._written_at - started

    def _is_time(self, seconds: float) -> bool:
        """Tell whether the last checkpoint was written so many seconds ago, or more, and has arrived."""
        if not self._store.enabled or self._store.busy:
            return False
        # A GPU does not wait for the CPU that sends.
        cost = self._writing_s + (0.0 if torch.accelerator.is_available() else self._store.sending_s)
        return time.perf_counter() - self._written_at >= max(seconds, _TRAINING_PER_CHECKPOINT * cost)

    def _is_written(self, folder: Path, write: Callable[[], None]) -> bool:
        """Write a checkpoint as a whole; where there is no room, once more without the older ones on this disk."""
        error = _failure(write)
        if error is not None:
            shutil.rmtree(folder, ignore_errors=True)
            self._store.make_room()
            error = _failure(write)
        if error is not None:
            shutil.rmtree(folder, ignore_errors=True)
            note(
                f"This checkpoint is lost, training goes on: it cannot be written to {folder.parent} ({error}). Set "
                "TMPDIR to a folder with enough free space."
            )
        return error is None


def _failure(write: Callable[[], None]) -> Exception | None:
    """Write, and return what the disk has against it."""
    try:
        write()
    except (OSError, SafetensorError) as error:
        return error
    except RuntimeError as error:
        # torch.save knows no other: https://github.com/pytorch/pytorch/blob/main/caffe2/serialize/inline_container.cc
        if "inline_container" not in str(error):
            raise
        return error
    return None
