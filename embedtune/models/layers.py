"""What a model is made of, one line for each layer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from embedtune.models.probes import probes


@dataclass(frozen=True)
class Layer:
    """A part of a model that is not divided further: a block of a stack, or what stands outside of them."""

    name: str
    """Its path in the model, as `ModelOptions.freeze` takes it."""
    kind: str
    """Name of its class."""
    shape: tuple[int, ...]
    """Of what it gives for one short content, without the batch; () where that is no tensor or it was not run."""
    parameters: int
    trainable: int
    """How many of the parameters are trained."""


_PROBE = 1
"""Which of the fixed contents of a kind: a short text, a small image, a cloud of some hundred points."""


def layers_of(model: SentenceTransformer) -> list[Layer]:
    """List a model's layers in the order in which they stand.

    Args:
        model: The model; one content of each kind that it reads is sent through it to learn the shapes.
    """
    parts = list(_parts(model, ""))
    shapes: dict[str, tuple[int, ...]] = {}

    def watch(name: str) -> Any:
        def note_shape(_module: nn.Module, _inputs: object, output: object) -> None:
            shapes.setdefault(name, _shape(output))

        return note_shape

    hooks = [part.register_forward_hook(watch(name)) for name, part in parts]
    try:
        with torch.no_grad():
            for contents in probes(model.modalities):
                model.encode([contents[_PROBE]], show_progress_bar=False)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        Layer(
            name,
            type(part).__name__.lstrip("_"),
            shapes.get(name, ()),
            sum(weight.numel() for weight in part.parameters()),
            sum(weight.numel() for weight in part.parameters() if weight.requires_grad),
        )
        for name, part in parts
    ]


def _parts(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """Go into whatever holds a stack of blocks, and no further."""
    is_stack = isinstance(module, nn.ModuleList | SentenceTransformer)
    if not is_stack and not any(isinstance(part, nn.ModuleList) for part in module.modules()):
        yield name, module
        return
    for child_name, child in module.named_children():
        path = f"{name}.{child_name}" if name else child_name
        if isinstance(module, nn.ModuleList):
            yield path, child
        else:
            yield from _parts(child, path)


def _shape(output: object) -> tuple[int, ...]:
    if isinstance(output, Mapping):
        output = output.get("sentence_embedding", output.get("token_embeddings"))
    if isinstance(output, tuple | list) and output:
        output = output[0]
    return tuple(output.shape[1:]) if isinstance(output, Tensor) else ()
