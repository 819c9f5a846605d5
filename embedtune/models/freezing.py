"""Which weights of a model are not trained.

A frozen module stays in evaluation mode: the trainer calls `train()` before each step, which would let a frozen layer's
dropout drop and the statistics of its batch normalisation move.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense
from torch import nn

from embedtune.errors import UnfitModelError
from embedtune.models.options import FREEZE_ALL

BLOCK = re.compile(r"^(.*?\.(?:layers?|blocks?|h|stages|levels))\.(\d+)\.")
"""The start of a weight's name in a stack of like blocks, as transformers names them."""

EMBEDDING = re.compile(r"embed|\.w[tp]e\.")
"""A part of the names of what stands below the blocks."""


def freeze(model: SentenceTransformer, what: str) -> None:
    """Freeze weights, for good.

    Args:
        model: The model.
        what: See `ModelOptions.freeze`.

    Raises:
        UnfitModelError: nothing matches a name, or nothing is left to train.
    """
    names = [name for name, _ in model.named_parameters()]
    frozen = set(_chosen(model, names, what.strip()))
    for name, parameter in model.named_parameters():
        if name in frozen:
            parameter.requires_grad = False
    if frozen and all(not parameter.requires_grad for parameter in model.parameters()):
        head = " Put on a head with output_dim." if what.strip() == FREEZE_ALL else ""
        raise UnfitModelError(f"model_options: freeze is {what!r}, which leaves nothing to train.{head}")
    for module in model.modules():
        weights = list(module.parameters())
        if weights and not any(weight.requires_grad for weight in weights):
            _stay_in_evaluation(module)


def _chosen(model: SentenceTransformer, names: list[str], what: str) -> Iterable[str]:
    if not what:
        return ()
    if what == FREEZE_ALL:
        heads = {f"{number}." for number, part in enumerate(model) if isinstance(part, Dense)}
        return [name for name in names if not name.startswith(tuple(heads))]
    if what.isdecimal():
        _check_blocks(names, int(what))
        return [name for name in names if _is_below(name, int(what))]
    patterns = [pattern.strip() for pattern in what.split(",") if pattern.strip()]
    for pattern in patterns:
        if not any(_matches(name, pattern) for name in names):
            raise UnfitModelError(
                f"model_options: freeze names {pattern!r}, which matches no layer. 'embedtune tailor --model MODEL' "
                "lists them; '*' stands for anything."
            )
    return [name for name in names if any(_matches(name, pattern) for pattern in patterns)]


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern names a weight, or a module that holds it."""
    parts = name.split(".")
    return any(fnmatchcase(".".join(parts[:end]), pattern) for end in range(1, len(parts) + 1))


def _check_blocks(names: Iterable[str], asked: int) -> None:
    there = max((int(block[2]) + 1 for name in names if (block := BLOCK.match(name)) is not None), default=0)
    if asked > there:
        raise UnfitModelError(
            f"model_options: freeze is '{asked}', but the model has {there} blocks; accepted: 0 (the embeddings alone) "
            f"to {there}, or names. 'embedtune tailor --model MODEL' lists its layers."
        )


def _is_below(name: str, blocks: int) -> bool:
    block = BLOCK.match(name)
    return int(block[2]) < blocks if block is not None else EMBEDDING.search(name) is not None


def _stay_in_evaluation(module: nn.Module) -> None:
    module.eval()
    module.train = lambda mode=True: module  # type: ignore[method-assign]  # noqa: ARG005
