"""A model is measured while it is trained: before the first epoch, and after each; the best one may be kept.

The scores are in the trainer's own history, the weights of the best epoch beside it: both are in the checkpoints.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_model, save_model
from sentence_transformers import SentenceTransformer
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from embedtune.errors import ConfigError, TrainingError
from embedtune.models.card import EpochScore, Validation, best_score
from embedtune.models.encoding import encode_contents
from embedtune.models.options import FLOAT32
from embedtune.models.roles import EncodingRole
from embedtune.progress import note
from embedtune.retrieval.distances import DISTANCES
from embedtune.retrieval.evaluation_set import Vectors
from embedtune.retrieval.measuring import deciding_score
from embedtune.retrieval.metric_names import written_name
from embedtune.training.config import FinetuneConfig
from embedtune.training.saving import CheckpointCallback
from embedtune.training.validation_set import ValidationSet

_BEST_FILE = "best-epoch.safetensors"
"""The model's weights after the best epoch so far, in the scratch folder and in a checkpoint."""
_KEY = "validation"
"""In the trainer's history, a score."""


class _GivenUpError(Exception):
    """A measurement was given up."""


class ValidationCallback(TrainerCallback):
    """Measures the model before the first epoch and after each, and remembers the weights of the best."""

    def __init__(
        self,
        model: SentenceTransformer,
        validation: ValidationSet,
        config: FinetuneConfig,
        batches_per_epoch: int,
        interruption: CheckpointCallback,
    ) -> None:
        """Prepare.

        Args:
            model: The model being trained.
            validation: What it is measured on.
            config: How it is trained.
            batches_per_epoch: Optimizer steps of an epoch.
            interruption: Tells whether the training was told to stop, and has no time left to measure, and where the
                weights of the best epoch can be meanwhile; writes them into checkpoints, and keeps the time.

        Raises:
            ConfigError: nothing here ranks by what the model compares its vectors by.
        """
        self._model, self._validation, self._config = model, validation, config
        self._batches, self._interruption = batches_per_epoch, interruption
        self._best_path = interruption.scratch / _BEST_FILE
        self._distance = str(model.similarity_fn_name)
        if self._distance not in DISTANCES:
            raise ConfigError(
                f"train_options: validation_share is {config.training.validation_share!r}, but the model compares its "
                f"vectors by {self._distance}, by which nothing is ranked here. Leave it at 0."
            )
        interruption.parts.append(self._save_best)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Measure the untrained model, or what was left out when an epoch's last step was interrupted."""
        self._measure(state)

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        """Measure after an epoch; an interruption leaves that to whoever goes on from the checkpoint of this step."""
        if self._interruption.interrupted:
            return
        try:
            with self._given_up_when_interrupted():
                self._measure(state)
        except _GivenUpError:
            note("The validation is given up, since the training was told to stop.")

    def restore_best(self, checkpoint: Path) -> None:
        """Take the best weights out of a checkpoint.

        Raises:
            TrainingError: it has none.
        """
        if self._config.training.keep_best_epoch:
            try:
                shutil.copyfile(checkpoint / _BEST_FILE, self._best_path)
            except OSError as error:
                raise TrainingError(
                    f"The checkpoint lacks the weights of the best epoch ({error}). Delete the folder of checkpoints, "
                    "and start again."
                ) from error

    def finish(self, state: TrainerState) -> Validation:
        """Give the model the weights of the best epoch where these are to be kept, and return all scores.

        Raises:
            TrainingError: the weights cannot be read.
        """
        self._measure(state)  # where a training that was told to stop had no checkpoint to go on from
        scores = _scores(state)
        kept = best_score(scores) if self._config.training.keep_best_epoch else scores[-1]
        if kept != scores[-1]:
            try:
                load_model(self._model, self._best_path)
            except (OSError, RuntimeError, SafetensorError) as error:
                raise TrainingError(f"The weights of the best epoch cannot be read ({error}). Run again.") from error
        held_out = self._validation.held_out
        return Validation(self._validation.key, len(held_out.queries), len(held_out.index), scores, kept.epoch)

    def chosen(self, validation: Validation) -> dict[str, str]:
        """Return a sentence on the epoch whose weights were kept, by the option that chose it; none of the last."""
        if not self._config.training.keep_best_epoch:
            return {}
        best, epochs = validation.best, validation.scores[-1].epoch
        name = written_name(validation.metric)
        found = f"{best.value:.4f} on {validation.queries:,} validation queries"
        sentence = f"Epoch (keep_best_epoch): {best.epoch} of {epochs} was best, with {name} {found}."
        if best.epoch == 0:
            sentence = (
                f"Epoch (keep_best_epoch): none of {epochs} was better than the model before its training, which is "
                f"kept as it was, with {name} {found}."
            )
        return {"keep_best_epoch": sentence}

    def _save_best(self, checkpoint: Path) -> None:
        """Put the best weights into a checkpoint."""
        if self._config.training.keep_best_epoch:
            shutil.copyfile(self._best_path, checkpoint / _BEST_FILE)

    def _measure(self, state: TrainerState) -> None:
        """Measure where the last whole epoch was not measured yet; within an epoch it always was, before its steps."""
        epoch, before = state.global_step // self._batches, _scores(state)
        if before and before[-1].epoch == epoch:
            return
        with self._interruption.clock.paused():
            score = EpochScore(epoch, state.global_step, self._score())
            state.log_history.append({_KEY: score.value, "epoch": float(epoch), "step": score.step})
            note(self._sentence(score, before))
            if self._config.training.keep_best_epoch and best_score([*before, score]) == score:
                self._keep_best()

    def _keep_best(self) -> None:
        try:
            save_model(self._model, str(self._best_path))
        except (OSError, SafetensorError) as error:
            raise TrainingError(
                f"The weights of the best epoch cannot be kept in {self._best_path.parent} ({error}). Set TMPDIR to a "
                "folder with enough free space."
            ) from error

    @contextmanager
    def _given_up_when_interrupted(self) -> Iterator[None]:
        """Raise _GivenUpError as soon as the model is asked for vectors after an interruption."""

        def look(*_: object) -> None:
            if self._interruption.interrupted:
                raise _GivenUpError

        hook = self._model.register_forward_pre_hook(look)
        try:
            yield
        finally:
            hook.remove()

    def _score(self) -> float:
        """Measure, in float32 whatever is trained in: scores of several machines are compared, as evaluations are."""
        held_out, batch_size = self._validation.held_out, self._config.batch_size
        queries = encode_contents(
            self._model, held_out.queries, EncodingRole.QUERY, batch_size, "Validation, queries", FLOAT32
        )
        index_role = self._validation.index_role
        index = encode_contents(self._model, held_out.index, index_role, batch_size, "Validation, index", FLOAT32)
        return deciding_score(held_out.documents, Vectors(queries, index, self._distance), self._validation.metric)

    def _sentence(self, score: EpochScore, before: tuple[EpochScore, ...]) -> str:
        name = written_name(self._validation.key)
        if not before:
            return f"Validation before the training: {name} {score.value:.4f}."
        change = score.value - before[0].value
        return (
            f"Validation after epoch {score.epoch} of {self._config.epochs}: {name} {score.value:.4f} ({change:+.4f} "
            "since before the training)."
        )


def _scores(state: TrainerState) -> tuple[EpochScore, ...]:
    """Return the scores so far, those from before a resume included."""
    return tuple(
        EpochScore(int(entry["epoch"]), int(entry["step"]), float(entry[_KEY]))
        for entry in state.log_history
        if _KEY in entry
    )
