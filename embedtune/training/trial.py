"""A step on trial: whether a batch of the longest contents fits into the memory of a GPU."""

from collections.abc import Callable

import torch
from sentence_transformers import SentenceTransformer

from embedtune.training.augmenting import Augmentation
from embedtune.training.batch_size import free_memory, longest_rows, put_back
from embedtune.training.batches import BatchPlan
from embedtune.training.collating import Collator
from embedtune.training.config import FinetuneConfig
from embedtune.training.embedding import ColumnLoss
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import column_roles, searched_contents
from embedtune.training.optimizing import optimizer_of


def step_fits(
    model: SentenceTransformer,
    size: int,
    examples: TrainingSet,
    config: FinetuneConfig,
    plan: BatchPlan,
    build_loss: Callable[[], ColumnLoss],
) -> bool:
    """Make a step with the longest contents, and tell whether memory was enough; nothing is left of it.

    Args:
        model: The model.
        size: Contents of the batch, or of this process's share of one.
        examples: The training set.
        config: How to fine-tune.
        plan: Draws batches as those of the training, of whatever size.
        build_loss: Makes a loss over the model, with weights of its own.
    """
    try:
        with put_back(model):
            _step(build_loss(), size, examples, config, plan)
    except torch.OutOfMemoryError:
        fitted = False
    else:
        fitted = True
    free_memory()
    return fitted


def _step(loss: ColumnLoss, size: int, examples: TrainingSet, config: FinetuneConfig, plan: BatchPlan) -> None:
    model: SentenceTransformer = loss.model
    roles, searched = column_roles(examples, plan), searched_contents(examples, plan)
    collator = Collator(model, examples.contents, plan, roles, searched, Augmentation(), config.seed)
    inputs = collator(list(longest_rows(examples, plan.columns, size)))
    on_device = {
        name: value.to(model.device) if isinstance(value, torch.Tensor) else value for name, value in inputs.items()
    }
    prefixes = [f"c{number}_" for number in range(plan.columns)]
    columns = [
        {name.removeprefix(prefix): value for name, value in on_device.items() if name.startswith(prefix)}
        for prefix in prefixes
    ]
    model.train()
    optimizer = optimizer_of(model, loss.objective.to(model.device), config)
    loss(columns, on_device["label"]).backward()
    optimizer.step()
