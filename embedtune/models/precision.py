"""In which numbers a model calculates: float32, or bfloat16 where the hardware has it. Imports torch."""

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device
from torch import Tensor

from embedtune.errors import ModelError
from embedtune.models.options import AUTO_PRECISION, BFLOAT16, FLOAT32
from embedtune.models.probes import probes
from embedtune.progress import note

_IN_HARDWARE = ("avx512_bf16", "amx_bf16")
"""What a CPU says that has it, by torch's names; without either it is emulated, a hundred times slower than float32."""

_REFUSALS: WeakKeyDictionary[SentenceTransformer, str] = WeakKeyDictionary()
"""What each model that was tried has against bfloat16; '' for nothing."""


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies matrices of bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found: Mapping[str, Any] = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    return any(found.get(name, False) for name in _IN_HARDWARE)


def chosen_precision(model: SentenceTransformer, asked: str = AUTO_PRECISION) -> str:
    """Return 'float32' or 'bfloat16'.

    Args:
        model: Where it is says on what device it calculates. One that reads more than texts is left at float32.
        asked: One of `options.PRECISIONS`; 'auto' is bfloat16 where that is fast, and the backbone can.

    Raises:
        ModelError: bfloat16 is asked for, and the device has it not or the backbone cannot calculate in it.
    """
    if asked == AUTO_PRECISION:
        fast = _reads_texts_alone(model) and has_bfloat16(model.device)
        return BFLOAT16 if fast and not _refusal(model) else FLOAT32
    if asked == BFLOAT16 and not has_bfloat16(model.device):
        raise ModelError(
            f"precision is {asked!r}, but this {_device(model)} has no bfloat16 in hardware (a CPU has AVX512-BF16 or "
            "AMX for it) and would be a hundred times slower than in float32. Accepted here: auto, float32."
        )
    if asked == BFLOAT16 and _refusal(model):
        raise ModelError(
            f"precision is {asked!r}, but this backbone cannot calculate in it ({_refusal(model)}). Accepted here: "
            "auto, float32."
        )
    return asked


def precision_sentence(model: SentenceTransformer, precision: str) -> str:
    """Say what 'auto' chose, and why."""
    device = _device(model)
    if precision == BFLOAT16:
        return f"Precision (auto): bfloat16, which this {device} has in hardware; weights and loss are float32."
    if not has_bfloat16(model.device):
        return f"Precision (auto): float32, since this {device} has no bfloat16 in hardware."
    why = "since this backbone cannot calculate in bfloat16" if _REFUSALS.get(model) else "as the training began"
    why = why if _reads_texts_alone(model) else "since the model reads more than texts"
    return f"Precision (auto): float32, {why}."


def precision_to_go_on(model: SentenceTransformer, begun: str, now: str) -> str:
    """Return the precision of a training that is resumed, and say so where it is not what would be chosen now.

    Args:
        model: The model being trained.
        begun: Precision that the training began in.
        now: What would be chosen here.
    """
    if begun == now:
        return begun
    if begun == BFLOAT16 and not has_bfloat16(model.device):
        note(
            f"The training began in bfloat16 and goes on in float32, since this {_device(model)} has no bfloat16 in "
            "hardware: it comes to slightly other weights."
        )
        return now
    note(f"The training goes on in {begun}, as it began, and not in {now}.")
    return begun


def vectors_of(model: SentenceTransformer, features: dict[str, Any], precision: str) -> Tensor:
    """Return the vectors (B, d), in float32.

    Args:
        model: Its first module, the encoder, calculates in `precision`; pooling, head and normalisation in float32.
        features: What `preprocess` returned, on the model's device.
        precision: 'float32' or 'bfloat16'.
    """
    if precision == FLOAT32:
        whole: Tensor = model(features)["sentence_embedding"]
        return whole
    encoder, *others = model
    # Weights are cast anew for each part of a batch, so that gradients are added up in float32, for 1 to 3 % of a step.
    with torch.autocast(model.device.type, torch.bfloat16):
        features = encoder(features)
    features = {name: _as_float32(value) for name, value in features.items()}
    for module in others:
        features = module(features)
    vectors: Tensor = features["sentence_embedding"]
    return vectors


def _as_float32(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype == torch.bfloat16 else value


def _refusal(model: SentenceTransformer) -> str:
    """Return what a model has against bfloat16, '' for nothing: it is tried once, with two short contents.

    DeBERTa hides padding by the least number of float32, which bfloat16 has not.
    """
    if model not in _REFUSALS:
        _REFUSALS[model] = _tried(model)
        if _REFUSALS[model]:
            note(f"This backbone cannot calculate in bfloat16: {_REFUSALS[model]}.")
    return _REFUSALS[model]


def _tried(model: SentenceTransformer) -> str:
    modes = {module: module.training for module in model.modules()}
    gpus = [model.device] if model.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=gpus), torch.no_grad():
            features = batch_to_device(model.eval().preprocess(probes(model.modalities)[0][:2]), model.device)
            vectors_of(model, features, BFLOAT16)
    except (torch.OutOfMemoryError, torch.AcceleratorError):  # say nothing of the backbone
        raise
    except RuntimeError as error:
        return str(error).partition("\n")[0].rstrip(".")
    finally:
        for module, mode in modes.items():
            module.training = mode
    return ""


def _reads_texts_alone(model: SentenceTransformer) -> bool:
    return set(map(str, model.modalities)) == {"text"}


def _device(model: SentenceTransformer) -> str:
    return {"cpu": "CPU", "cuda": "GPU"}.get(model.device.type, model.device.type)
