"""The training loop: sentence-transformers' trainer over our batches."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
from sentence_transformers.base.sampler import DefaultBatchSampler
from torch.utils.data import DataLoader
from transformers import PrinterCallback, TrainerCallback, TrainerState

from embedtune.models.card import EpochFacts, LossPoint, Validation
from embedtune.models.contents import Indices
from embedtune.models.loading import embedding_dimension
from embedtune.models.options import AUTO_PRECISION
from embedtune.models.precision import chosen_precision, precision_sentence
from embedtune.progress import note, progress
from embedtune.training.arguments import arguments, warmup_steps
from embedtune.training.augmenting import Augmentation
from embedtune.training.batch_size import TooLargeError, chosen_batch_size, least_batch
from embedtune.training.batches import BatchPlan
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.collating import Collator
from embedtune.training.config import FinetuneConfig
from embedtune.training.diagnosis import Course, remarks_on
from embedtune.training.dropping import cheaper_dropout
from embedtune.training.embedding import ColumnLoss
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import column_roles, plan_batches, searched_contents
from embedtune.training.objectives import build_objective
from embedtune.training.optimizing import loss_rate, optimizer_of, own_parameters
from embedtune.training.processes import ALONE, Processes
from embedtune.training.saving import CheckpointCallback
from embedtune.training.so_far import SoFar
from embedtune.training.stopping import told_to_stop
from embedtune.training.trial import step_fits
from embedtune.training.validating import ValidationCallback
from embedtune.training.validation_set import ValidationSet
from embedtune.training.watching import WatchCallback, loss_history

_MOST_LEFT_OUT = 0.2
"""Share of the contents that an epoch may leave out without a warning."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training was like; the model itself is changed in place."""

    history: tuple[LossPoint, ...]
    seconds: float
    """Wall time of the loop in all attempts, without the measuring on a validation set."""
    texts_per_second: float
    batch_size: int
    """Contents of a batch, after what was asked for and what fits."""
    epoch: EpochFacts
    """What its first epoch was like."""
    learned: dict[str, float]
    """The weights of the loss that are one number, by their names."""
    validation: Validation | None = None
    """How good the model was after each epoch; None in a process that measures nothing."""
    chosen: dict[str, str] = field(default_factory=dict)
    """A sentence on each option by which the training itself chose."""
    remarks: tuple[str, ...] = ()
    """What a person should know of how the loss went."""


def train(
    model: SentenceTransformer,
    examples: TrainingSet,
    config: FinetuneConfig,
    checkpoints: CheckpointStore,
    processes: Processes = ALONE,
    validation: ValidationSet | None = None,
) -> TrainingResult:
    """Fine-tune a model in place, resuming from a checkpoint where there is one.

    Several processes that do so together end with the same model. The first one's store has the checkpoints, and the
    first one alone measures on the validation set, and ends with the best epoch where that is to be kept.

    Raises:
        TooLargeError: a batch does not fit into the memory of the GPU.
        TrainingError: the contents make no batches, the training went wrong, or the process was told to stop (a
            checkpoint is kept then, if there is a store for it).
        ModelError: it is to be trained in a precision that nothing here has in hardware.
    """
    resumed = _restored(checkpoints, processes)
    config, chosen = _with_batch_size(model, examples, config, resumed, processes)
    plan = plan_batches(examples, config)
    epoch = plan.facts()
    note(_epoch_sentence(epoch, len(examples.contents)))
    loss = _build_loss(model, examples, config, processes)
    minutes = config.training.checkpoint_minutes
    interruption = CheckpointCallback(checkpoints, loss, config.batch_size, minutes, processes)
    validating = None
    if validation is not None and processes.first:
        validating = ValidationCallback(model, validation, config, plan.batches_per_epoch, interruption)
    course = _course(loss, config, plan)
    with progress("Fine-tuning", course.steps, "steps") as advance, told_to_stop(interruption.interrupt):
        watch = WatchCallback(advance, model, examples.contents, course)
        callbacks = [watch, *filter(None, [validating]), interruption]  # a kept checkpoint is complete
        trainer = _build_trainer(loss, examples, config, plan, interruption, callbacks, processes)
        trainer.watch = watch
        if resumed is not None and validating is not None:
            validating.restore_best(resumed)
        interruption.begin(resumed)
        try:
            _run(trainer, resumed, config)
            seconds = interruption.clock.seconds
        finally:
            checkpoints.settle()
    interruption.end(trainer.state)
    learned = {name: value.item() for name, value in loss.objective.named_parameters() if value.numel() == 1}
    history, chosen = loss_history(trainer.state), chosen | _chosen(loss, config)
    speed, remarks = loss.contents_seen / seconds, remarks_on(history, course)
    result = TrainingResult(history, seconds, speed, config.batch_size, epoch, learned, chosen=chosen, remarks=remarks)
    return result if validating is None else _validated(result, validating, trainer.state)


def _validated(result: TrainingResult, validating: ValidationCallback, state: TrainerState) -> TrainingResult:
    """Return the result with what the validation came to; the model is that of the epoch to be kept from here on."""
    validation = validating.finish(state)
    chosen = validating.chosen(validation)
    for sentence in chosen.values():
        note(sentence)
    return replace(result, validation=validation, chosen=result.chosen | chosen)


def _epoch_sentence(epoch: EpochFacts, contents: int) -> str:
    """Say what an epoch is like, and loudly if it leaves out much."""
    sizes = f"batches of {epoch.rows_per_batch:.1f} rows, each told apart from {epoch.negatives:.1f} other contents"
    left = contents - epoch.contents_used
    if left <= _MOST_LEFT_OUT * contents:
        return f"An epoch takes {epoch.contents_used:,} of {contents:,} training contents, in {sizes}."
    return (
        f"Look here: an epoch leaves out {left:,} of {contents:,} training contents, because nothing is left that they "
        f"could be told apart from in a batch; the others come in {sizes}. More labels or pairs help, or another loss."
    )


def _course(loss: ColumnLoss, config: FinetuneConfig, plan: BatchPlan) -> Course:
    has_weights = next(own_parameters(loss.objective, loss.model), None) is not None
    asked = config.training.loss_learning_rate
    own_rate = loss_rate(config.loss, config.learning_rate, asked) if has_weights else 0.0
    steps = plan.batches_per_epoch * config.epochs
    warmup = warmup_steps(config, steps)
    return Course(config.loss, config.learning_rate, own_rate, steps, plan.batches_per_epoch, warmup)


def _build_trainer(
    loss: ColumnLoss,
    examples: TrainingSet,
    config: FinetuneConfig,
    plan: BatchPlan,
    saving: CheckpointCallback,
    callbacks: list[TrainerCallback],
    processes: Processes,
) -> "_Trainer":
    model = loss.model
    roles, searched = column_roles(examples, plan), searched_contents(examples, plan)
    augmentation = Augmentation(**dict.fromkeys(config.training.augment, True))
    collator = Collator(model, examples.contents, plan, roles, searched, augmentation, config.seed, processes)
    trainer = _Trainer(
        model=model,
        args=arguments(config, plan, saving.scratch),
        train_dataset=Dataset.from_dict({"position": range(len(examples.contents))}),
        data_collator=collator,  # type: ignore[arg-type]  # it is asked for no more than ours has
        loss=loss,
        callbacks=callbacks,
    )
    trainer.collator, trainer.column_loss, trainer.config, trainer.processes = collator, loss, config, processes
    trainer.saving = saving
    trainer.remove_callback(PrinterCallback)
    return trainer


def _restored(checkpoints: CheckpointStore, processes: Processes) -> Path | None:
    """Return the folder of the checkpoint to go on from, the same for all processes of this machine."""
    found = checkpoints.restore()
    folder = processes.of_first("" if found is None else str(found))
    return Path(folder) if folder else None


def _with_batch_size(
    model: SentenceTransformer,
    examples: TrainingSet,
    config: FinetuneConfig,
    resumed: Path | None,
    processes: Processes,
) -> tuple[FinetuneConfig, dict[str, str]]:
    """Return the configuration with a batch size that fits, and a sentence where that is not the one asked for."""

    def fits(size: int) -> bool:
        plan = plan_batches(examples, replace(config, batch_size=least_batch(config)))
        share = -(-size // processes.count)
        return step_fits(model, share, examples, config, plan, lambda: _build_loss(model, examples, config, ALONE))

    found, chosen = chosen_batch_size(config, len(examples.contents), model.device, resumed, fits)
    for sentence in chosen.values():
        note(sentence)
    # Each process has a GPU of its own, and all take what fits into the first one's.
    return replace(config, batch_size=int(processes.of_first(str(found.batch_size)))), chosen


def _build_loss(
    model: SentenceTransformer, examples: TrainingSet, config: FinetuneConfig, processes: Processes
) -> ColumnLoss:
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # a loss with weights draws them
        labels = int(examples.labels.max()) + 1
        objective = build_objective(config.loss, model, labels, embedding_dimension(model))
        precision = processes.of_first(chosen_precision(model, config.training.precision))
        loss = ColumnLoss(model, objective, processes, precision, config.training.recompute)
    for sentence in _chosen(loss, config).values():
        note(sentence)
    return loss


def _chosen(loss: ColumnLoss, config: FinetuneConfig) -> dict[str, str]:
    """Return a sentence on the precision, where it was chosen by what is here."""
    if config.training.precision != AUTO_PRECISION:
        return {}
    return {"precision": precision_sentence(loss.model, loss.precision)}


def _run(trainer: "_Trainer", resumed: Path | None, config: FinetuneConfig) -> None:
    try:
        with cheaper_dropout(trainer.model):
            trainer.train(resume_from_checkpoint=str(resumed) if resumed is not None else None)
    except torch.OutOfMemoryError as error:
        raise TooLargeError(
            config.batch_size,
            f"The GPU has too little memory for batches of {config.batch_size} contents (max_length "
            f"{config.max_length}) at step {trainer.state.global_step + 1}. Halve batch_size or max_length, "
            "or set recompute of train_options to true, and run again.",
        ) from error


class _Rows:
    """Hands rows of positions through to the collator."""

    def __getitem__(self, row: Indices) -> Indices:
        return row


class _PlannedSampler(DefaultBatchSampler):
    """Hands out the batches of a plan, and tells the collator the epoch."""

    def __init__(self, collator: Collator) -> None:
        super().__init__(_Rows(), batch_size=1, drop_last=False)
        self._plan, self._collator = collator.plan, collator

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self._collator.epoch = epoch

    def __iter__(self) -> Iterator[list[Indices]]:  # type: ignore[override]
        yield from map(list, self._plan.epoch(self.epoch))

    def __len__(self) -> int:
        return self._plan.batches_per_epoch


class _Loader(DataLoader[Indices]):
    """A loader of planned batches, which the trainer tells the epoch."""

    def set_epoch(self, epoch: int) -> None:
        self.batch_sampler.set_epoch(epoch)  # type: ignore[union-attr]


class _Trainer(SentenceTransformerTrainer):
    """sentence-transformers' trainer with our batches and optimizer, without the model card it computes."""

    collator: Collator
    column_loss: ColumnLoss
    config: FinetuneConfig
    processes: Processes
    saving: CheckpointCallback
    watch: WatchCallback
    _loss: torch.Tensor

    def get_train_dataloader(self) -> _Loader:
        """Return the plan's batches; accelerate would drop all of another length than the first ones."""
        sampler = _PlannedSampler(self.collator)
        return _Loader(
            _Rows(),  # type: ignore[arg-type]
            batch_sampler=sampler,
            collate_fn=self.collator,
            pin_memory=self.args.dataloader_pin_memory,
        )

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Return the loss of a batch, whose gradient the weights have then, in all processes."""
        self.processes.draw_own(self.args.seed, self.state.global_step)
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        self.processes.add_gradients(self.model.parameters(), own_parameters(self.column_loss.objective, self.model))
        self._loss = loss
        return loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        """Cut the gradient, and have the step looked at before the weights are changed by it."""
        norm: torch.Tensor = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        group = self.create_optimizer().param_groups[0]  # every group's rate goes the same way
        rate = self.config.learning_rate * float(group["lr"] / group["initial_lr"])
        self.watch.record(self.state.global_step + 1, rate, self._loss, norm)
        return norm

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """Build the optimizer over the weights of model and loss."""
        if self.optimizer is None:
            self.optimizer = optimizer_of(self.model, self.column_loss.objective, self.config)
        return self.optimizer

    def _save_checkpoint(self, model: torch.nn.Module, trial: object) -> None:
        """Write a checkpoint of a sound training, with all that transformers leaves out."""
        self.watch.check(self.state)
        write = partial(super()._save_checkpoint, model, trial)
        self.saving.save(self.state.global_step, write, self._tr_loss.item(), self._globalstep_last_logged)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        """Take up the random states, and the losses since the last point of the history."""
        super()._load_rng_state(checkpoint)
        if checkpoint is not None:
            so_far = SoFar.load(Path(checkpoint))
            self._tr_loss = torch.full_like(self._tr_loss, so_far.unlogged_loss)
            self._globalstep_last_logged = so_far.logged_step

    def _save(self, output_dir: str | None = None, state_dict: dict[str, object] | None = None) -> None:
        """Write the model of a checkpoint; sentence-transformers' own also encodes examples for a model card."""
        folder = self.args.output_dir if output_dir is None else output_dir
        self.model.save_pretrained(str(folder), create_model_card=False)

    def add_model_card_callback(self, default_args_dict: dict[str, object]) -> None:
        """Add none: our model card is `embedtune.json`."""
