"""Fine-tuning, in a process for each GPU. Of the libraries that train it loads torch alone until it trains itself."""

import dataclasses
import os
import sys
from pathlib import Path

from embedtune.errors import TrainingError
from embedtune.importing import importing
from embedtune.models.card import ModelCard
from embedtune.models.devices import check_gpus, gpu_environments
from embedtune.training.checkpoints import Keeping
from embedtune.training.config import FinetuneConfig
from embedtune.training.launching import run_together

_MEMBER = (sys.executable, "-P", "-m", "embedtune.training.member")


def finetune_model(
    documents: Path, model_folder: Path, config: FinetuneConfig, checkpoint_root: str, keep_finished: bool = False
) -> ModelCard:
    """Fine-tune a backbone and save it with its card, in a process for each GPU where there are to be several.

    Args:
        documents: Training documents folder.
        model_folder: Where the model goes; it appears whole or not at all.
        config: How to fine-tune.
        checkpoint_root: URI below which checkpoints are kept, '' for none.
        keep_finished: Whether to keep the finished model there as well, and to take the one that is there, because the
            output may be lost after the training: it stays until `checkpoints.forget_finished` is called.

    Raises:
        InputError: nothing can be learned from such documents, or not with this loss or these options.
        ModelError: the backbone cannot be loaded or changed, or the saved model gives other vectors.
        StorageError: the documents cannot be read, or the model cannot be written.
        TrainingError: a GPU that was asked for is not there, or this is one of several processes already; see
            `trainer.train`.
    """
    started_as_one_of = os.environ.get("WORLD_SIZE", "1")
    if started_as_one_of != "1":
        raise TrainingError(
            f"WORLD_SIZE is {started_as_one_of}, as torchrun sets it, but the fine-tuning step starts a process for "
            "each GPU itself: run it once, without torchrun, and give gpu_count the number of GPUs."
        )
    count = int(config.gpu_count)
    if count < 2:
        check_gpus(count)
        with importing("sentence_transformers"):  # seconds and memory, which who starts others can spare
            from embedtune.training.processes import ALONE
            from embedtune.training.taking_part import take_part

        take_part(documents, model_folder, config, Keeping(checkpoint_root, keep_finished), ALONE)
    else:
        job = {
            "documents": str(documents.absolute()),
            "model_folder": str(model_folder.absolute()),
            "config": dataclasses.asdict(config),
            "keeping": dataclasses.asdict(Keeping(checkpoint_root, keep_finished)),
        }
        run_together(_MEMBER, gpu_environments(count), job)
    return ModelCard.load(model_folder)
