"""All state of a loss, in a checkpoint: its weights, and the queues and positions that it keeps beside them.

`state_dict` has weights and registered buffers. pytorch-metric-learning's CrossBatchMemory keeps the position
in its queue, and whether that was filled once, as plain attributes, and would go on with an empty one. So the
attributes of the loss and of all its parts are kept too: tensors as safetensors, the others as JSON, nothing pickled.
"""

import functools
import json
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from embedtune.errors import TrainingError

_TENSORS_FILE, _VALUES_FILE = "loss.safetensors", "loss.json"

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
"""Attributes of torch's own: weights, buffers and parts, which are kept by name, and whether it is in training."""
_CONSTANTS = (
    nn.Module,
    type,
    types.ModuleType,
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    functools.partial,
    torch.dtype,
    torch.device,
)
"""What a loss is made of and does not change: the parts are looked into one by one."""


def check_loss_state(objective: nn.Module) -> None:
    """Refuse a loss that keeps something that no checkpoint can hold.

    Raises:
        TrainingError: it does.
    """
    _collect(objective)


def save_loss_state(objective: nn.Module, folder: Path) -> None:
    """Write all state of a loss into the folder of a checkpoint.

    Raises:
        OSError: it cannot be written.
        SafetensorError: the same, of the tensors.
        TrainingError: it keeps something that no checkpoint can hold.
    """
    values, tensors = _collect(objective)
    save_file(tensors, folder / _TENSORS_FILE)
    (folder / _VALUES_FILE).write_text(json.dumps(values), encoding="utf-8")


def restore_loss_state(objective: nn.Module, folder: Path) -> None:
    """Give a loss, just built, the state of a checkpoint.

    Raises:
        TrainingError: the checkpoint is of another loss, or damaged.
    """
    try:
        tensors = load_file(folder / _TENSORS_FILE)
        values = json.loads((folder / _VALUES_FILE).read_text(encoding="utf-8"))
        _restore(objective, values, tensors)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise TrainingError(
            f"The checkpoint does not fit the loss ({error}). Delete the folder of checkpoints, and start again."
        ) from error


def _collect(objective: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the attributes of each part of a loss by its name, as JSON, and all tensors by theirs."""
    tensors = {name: _held(tensor) for name, tensor in _weights_and_buffers(objective)}
    values: dict[str, Any] = {}
    for part, module in objective.named_modules():
        if type(module).get_extra_state is not nn.Module.get_extra_state:
            raise _cannot_be_kept(f"{type(module).__name__}.get_extra_state")
        for name, value in vars(module).items():
            if name not in _OF_EVERY_MODULE and not isinstance(value, _CONSTANTS):
                where = f"{type(module).__name__}.{name}"
                values.setdefault(part, {})[name] = _written(value, where, f"attribute {part}.{name}", tensors)
    return values, tensors


def _weights_and_buffers(objective: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield all that torch knows of by name, also buffers that are left out of `state_dict`."""
    yield from objective.named_parameters(remove_duplicate=False)
    yield from objective.named_buffers(remove_duplicate=False)


def _held(tensor: Tensor) -> Tensor:
    """Return what can be written: tensors that share memory are refused otherwise."""
    return tensor.detach().cpu().contiguous().clone()


def _written(value: Any, where: str, key: str, tensors: dict[str, Tensor]) -> Any:
    """Return a value as JSON: simple ones as they are, others as an object of what they are and what they hold."""

    def write_all(items: Iterable[tuple[object, Any]]) -> dict[object, Any]:
        return {name: _written(each, where, f"{key}.{name}", tensors) for name, each in items}

    kind: Any = type(value)
    held: tuple[str, Any]
    if kind in (bool, int, float, str, types.NoneType):
        return value
    if isinstance(value, Tensor):
        tensors[key], held = _held(value), ("tensor", key)
    elif isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "biuf":
        tensors[key], held = torch.from_numpy(np.array(value)), ("numpy", key)
    elif kind in (list, tuple):
        held = (kind.__name__, list(write_all(enumerate(value)).values()))
    elif kind is dict and all(type(name) is str for name in value):
        held = ("dict", write_all(value.items()))
    elif isinstance(value, _CONSTANTS):
        held = ("constant", None)
    elif _is_plain(value):
        held = ("object", write_all(vars(value).items()))
    else:
        raise _cannot_be_kept(f"{where}, of the type {kind.__name__}")
    return dict([held])


def _is_plain(value: object) -> bool:
    """Tell whether the attributes of an object are all that it is, which is not so of one with a state of its own."""
    kind = type(value)
    usual = kind.__getstate__ is object.__getstate__ and kind.__reduce__ is object.__reduce__
    return usual and hasattr(value, "__dict__")


def _cannot_be_kept(what: str) -> TrainingError:
    return TrainingError(
        f"The loss keeps something that no checkpoint can hold: {what}. Choose another loss, or set "
        "EMBEDTUNE_CHECKPOINTS=off and keep none."
    )


def _restore(objective: nn.Module, values: Mapping[str, Mapping[str, Any]], tensors: Mapping[str, Tensor]) -> None:
    there = dict(_weights_and_buffers(objective))
    wanted = {name for name in tensors if not name.startswith("attribute ")}
    if wanted != set(there):
        raise ValueError(f"it has {sorted(wanted)}, and not {sorted(there)}")
    with torch.no_grad():
        for name, tensor in there.items():
            if tensor.shape != tensors[name].shape:
                raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)}, and not {tuple(tensor.shape)}")
            tensor.copy_(tensors[name])
    device = next((tensor.device for tensor in there.values()), torch.device("cpu"))
    for part, attributes in values.items():
        module = objective.get_submodule(part)
        for name, value in attributes.items():
            before = vars(module).get(name)
            setattr(
                module, name, _read(value, before, before.device if isinstance(before, Tensor) else device, tensors)
            )


def _read(value: Any, before: Any, device: torch.device, tensors: Mapping[str, Tensor]) -> Any:
    """Return what `_written` was given; what a loss is made of is what it was built with."""
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    found: Any = before
    match kind:
        case "tensor":
            found = tensors[held].to(before.device if isinstance(before, Tensor) else device)
        case "numpy":
            found = tensors[held].numpy()[()]
        case "dict":
            known = before if isinstance(before, dict) else {}
            found = {name: _read(each, known.get(name), device, tensors) for name, each in held.items()}
        case "list" | "tuple":
            several = before if isinstance(before, list | tuple) and len(before) == len(held) else [None] * len(held)
            read = [_read(each, one, device, tensors) for each, one in zip(held, several, strict=True)]
            found = read if kind == "list" else tuple(read)
        case "object":
            for name, each in held.items():
                setattr(before, name, _read(each, vars(before).get(name), device, tensors))
    return found
