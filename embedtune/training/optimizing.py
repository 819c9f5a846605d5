"""Which weights are trained how fast: the one place that makes the groups of an optimizer.

transformers would leave out the weights of the loss, and sentence-transformers' own mapping of rates besides, where it
is told the optimizer's class.
"""

import inspect
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from embedtune.models.freezing import BLOCK, EMBEDDING
from embedtune.training.config import FinetuneConfig

VECTOR_LOSSES = ("ArcFaceLoss", "ProxyAnchorLoss")
"""Losses that learn a vector for each label, from scratch, beside a model that is trained already."""

VECTOR_RATE = 10.0
"""Factor of their rate; docs/defaults.md."""


_FUSED = ("Adam", "AdamW", "SGD")
"""Those that torch also has as one kernel over all weights of a group, on the CPU as on GPUs."""


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Return the class of torch.optim with this name."""
    found: type[torch.optim.Optimizer] = getattr(torch.optim, name)
    return found


def build_optimizer(
    model: nn.Module,
    objective: nn.Module,
    name: str,
    learning_rate: float,
    weight_decay: float | None = None,
    layer_decay: float = 1.0,
    loss_rate: float | None = None,
) -> torch.optim.Optimizer:
    """Build an optimizer over the model's and the loss's weights.

    Args:
        model: Its weights that require gradients are trained.
        objective: So are its own.
        name: Name of a class of torch.optim.
        learning_rate: Peak rate of the top layers, above 0.
        weight_decay: Decay of matrices; None is the optimizer's own default (0.01 for AdamW, 0 for most). Biases and
            the gains of normalisation, which have one dimension, and the weights of the loss never decay.
        layer_decay: Factor of the rate from each block of the model to the one below, above 0; 1 is the same for all
            (Howard and Ruder 2018, https://arxiv.org/abs/1801.06146, section 3.2).
        loss_rate: Peak rate of the loss's own weights, above 0; None is `learning_rate`.
    """
    kind = optimizer_class(name)
    decays = "weight_decay" in inspect.signature(kind).parameters
    still = {"weight_decay": 0.0} if decays else {}
    decaying = {"weight_decay": weight_decay} if decays and weight_decay is not None else {}
    groups: list[dict[str, object]] = []
    for rate, parameters in _by_rate(model, learning_rate, layer_decay).items():
        matrices = [parameter for parameter in parameters if parameter.dim() > 1]
        others = [parameter for parameter in parameters if parameter.dim() <= 1]
        groups += [{"params": matrices, "lr": rate, **decaying}, {"params": others, "lr": rate, **still}]
    own_rate = learning_rate if loss_rate is None else loss_rate
    groups.append({"params": list(own_parameters(objective, model)), "lr": own_rate, **still})
    fused: dict[str, Any] = {"fused": True} if name in _FUSED else {}
    return kind([group for group in groups if group["params"]], lr=learning_rate, **fused)  # type: ignore[call-arg]


def optimizer_of(model: nn.Module, objective: nn.Module, config: FinetuneConfig) -> torch.optim.Optimizer:
    """Build the optimizer of a training over the model's and the loss's weights."""
    options, rate = config.training, config.learning_rate
    own_rate = loss_rate(config.loss, rate, options.loss_learning_rate)
    return build_optimizer(
        model, objective, options.optimizer, rate, options.weight_decay, options.layer_decay, own_rate
    )


def loss_rate(loss: str, learning_rate: float, asked: float) -> float:
    """Return the peak rate of a loss's own weights.

    Args:
        loss: Name of the loss.
        learning_rate: The model's.
        asked: `TrainOptions.loss_learning_rate`.
    """
    if asked:
        return asked
    return learning_rate * VECTOR_RATE if loss in VECTOR_LOSSES else learning_rate


def own_parameters(objective: nn.Module, model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the trainable weights of a loss that are not the model's."""
    of_model = {id(parameter) for parameter in model.parameters()}
    for parameter in objective.parameters():
        if parameter.requires_grad and id(parameter) not in of_model:
            yield parameter


def _by_rate(model: nn.Module, learning_rate: float, layer_decay: float) -> dict[float, list[nn.Parameter]]:
    """Return the trainable weights by their rate: embeddings lie below all blocks, everything else above them."""
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    found = {name: BLOCK.match(name) for name, _ in named}
    blocks: dict[str, int] = {}
    for block in filter(None, found.values()):
        blocks[block[1]] = max(blocks.get(block[1], 0), int(block[2]) + 1)
    by_rate: dict[float, list[nn.Parameter]] = {}
    lowest = max(blocks.values(), default=0)
    for name, parameter in named:
        match = found[name]
        above = blocks[match[1]] - 1 - int(match[2]) if match else lowest if EMBEDDING.search(name) else 0
        by_rate.setdefault(learning_rate * layer_decay**above, []).append(parameter)
    return by_rate
