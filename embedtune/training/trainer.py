"""The training loop: sentence-transformers' trainer over our batches."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.base.sampler import DefaultBatchSampler
from transformers import PrinterCallback

from embedtune.errors import TrainingError
from embedtune.models.card import LossPoint
from embedtune.progress import progress
from embedtune.training.batches import BatchPlan
from embedtune.training.callbacks import CheckpointCallback, WatchCallback, loss_history
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingExamples
from embedtune.training.losses import build_loss, optimizer_class, plan_batches

_LOSS_POINTS = 100
"""Points of the loss curve that a run aims at; logging each step of a long run would only cost."""


@dataclass(frozen=True)
class TrainingResult:
    """What a training was like; the model itself is changed in place."""

    history: tuple[LossPoint, ...]
    seconds: float
    """Wall time of the loop, without what a resumed run did before."""
    texts_per_second: float


def train(
    model: SentenceTransformer, examples: TrainingExamples, config: FinetuneConfig, checkpoints: CheckpointStore
) -> TrainingResult:
    """Fine-tune a model in place, resuming from a checkpoint where there is one.

    Raises:
        TrainingError: the texts make no batches, the loss is no number, memory ran out, or the process was told to
            stop (a checkpoint is kept then, if there is a store for it).
    """
    plan = plan_batches(examples, config)
    arguments = _arguments(config, plan, checkpoints.scratch)
    interruption = CheckpointCallback(checkpoints)
    total = plan.batches_per_epoch * config.epochs
    with progress("Fine-tuning", total, "steps") as advance, interruption.listening():
        loss = build_loss(model, config.loss)
        trainer = _Trainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_dict({"text": list(examples.texts), "label": examples.labels}),
            loss=loss,
            callbacks=[WatchCallback(advance), interruption],
            optimizer_cls_and_kwargs=(optimizer_class(config.optimizer), {"lr": config.learning_rate}),
        )
        trainer.plan = plan
        trainer.remove_callback(PrinterCallback)
        resumed = checkpoints.restore()
        started = time.perf_counter()
        _run(trainer, resumed, config)
    if interruption.interrupted:
        left = "a checkpoint is kept, run again to go on" if checkpoints.kept else "nothing is kept, run again to start"
        raise TrainingError(f"Stopped at step {trainer.state.global_step} of {total}: {left}.")
    seconds = time.perf_counter() - started
    return TrainingResult(loss_history(trainer.state), seconds, loss.texts_seen / seconds)


def _run(trainer: "_Trainer", resumed: Path | None, config: FinetuneConfig) -> None:
    try:
        trainer.train(resume_from_checkpoint=str(resumed) if resumed is not None else None)
    except torch.cuda.OutOfMemoryError as error:
        raise TrainingError(
            f"The GPU has too little memory for batches of {config.batch_size} texts (max_length {config.max_length}). "
            "Halve batch_size or max_length and run again."
        ) from error


def _arguments(config: FinetuneConfig, plan: BatchPlan, scratch: Path) -> SentenceTransformerTrainingArguments:
    steps = plan.batches_per_epoch * config.epochs
    return SentenceTransformerTrainingArguments(
        output_dir=str(scratch),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=round(config.warmup * steps),
        seed=config.seed,
        data_seed=config.seed,
        save_strategy="no",
        logging_steps=max(1, steps // _LOSS_POINTS),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
    )


class _PlannedSampler(DefaultBatchSampler):
    """Hands the trainer the batches of a plan."""

    def __init__(self, dataset: Dataset, plan: BatchPlan, batch_size: int) -> None:
        super().__init__(dataset, batch_size=batch_size, drop_last=False)
        self._plan = plan

    def __iter__(self) -> Iterator[list[int]]:
        return self._plan.epoch(self.epoch)

    def __len__(self) -> int:
        return self._plan.batches_per_epoch


class _Trainer(SentenceTransformerTrainer):
    """sentence-transformers' trainer with our batches, without the model card it computes from the data."""

    plan: BatchPlan

    def get_batch_sampler(
        self,
        dataset: Dataset,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
    ) -> _PlannedSampler:
        """Return the plan's batches; a sampler in the arguments could not be saved in a checkpoint."""
        return _PlannedSampler(dataset, self.plan, batch_size)

    def add_model_card_callback(self, default_args_dict: dict[str, object]) -> None:
        """Add none: our model card is `embedtune.json`."""
