"""What transformers' loop is told."""

from pathlib import Path

import torch
from sentence_transformers import SentenceTransformerTrainingArguments

from embedtune.training.batches import BatchPlan
from embedtune.training.config import FinetuneConfig

_LOSS_POINTS = 100
"""Points of the loss curve that a run aims at; logging each step of a long run would only cost."""


class OneDevice(SentenceTransformerTrainingArguments):
    """Settings of transformers' loop that keep a process to one device, whichever others it sees.

    With several it would wrap the model in DataParallel, which cuts the batches that were drawn as a whole.
    """

    @property
    def n_gpu(self) -> int:
        """Number of GPUs of this process."""
        visible: int = super().n_gpu
        return min(1, visible)


def arguments(config: FinetuneConfig, plan: BatchPlan, scratch: Path) -> OneDevice:
    """Return the settings of a training.

    Args:
        config: How to fine-tune.
        plan: Draws the batches.
        scratch: Folder for checkpoints.
    """
    steps = plan.batches_per_epoch * config.epochs
    return OneDevice(
        output_dir=str(scratch),
        num_train_epochs=config.epochs,
        per_device_train_batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=warmup_steps(config, steps),
        seed=config.seed,
        data_seed=config.seed,
        save_strategy="no",
        logging_steps=max(1, steps // _LOSS_POINTS),
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        use_cpu=not torch.accelerator.is_available(),
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to="none",
    )


def warmup_steps(config: FinetuneConfig, steps: int) -> int:
    """Return in how many of its steps a training's rate rises."""
    return round(config.training.warmup * steps)
