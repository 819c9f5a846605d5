"""A backbone's name or a model folder becomes an embedding model in memory.

Only safetensors weights are read and no code that comes with a model is ever run.
"""

import hashlib
import os
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from transformers.utils import logging as transformers_logging

from embedtune.errors import ModelError
from embedtune.models.backbones import Backbone, resolve_backbone


def load_model(name: str, max_length: int) -> SentenceTransformer:
    """Load an embedding model onto the GPU if there is one, else the CPU.

    Args:
        name: Model folder or Hugging Face id, see `resolve_backbone`.
        max_length: Tokens after which a text is cut; 0 keeps the model's own limit.

    Raises:
        ModelError: the model is not there, has no safetensors weights, needs its own code, or has a lower limit
            than `max_length`.
    """
    backbone = resolve_backbone(name)
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # bars litter a pod's log
    try:
        model = SentenceTransformer(
            backbone.location,
            trust_remote_code=False,
            local_files_only=backbone.is_local,
            model_kwargs={"use_safetensors": True},
        )
    except (OSError, ValueError, ImportError, KeyError) as error:
        raise ModelError(_load_failure(backbone, error)) from error
    _set_max_length(model, name, max_length)
    return model


def weights_digest(model: SentenceTransformer) -> str:
    """Return `sha256:` over all weights, whatever files they came from."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data if tensor.numel() else b"")
    return f"sha256:{digest.hexdigest()}"


def embedding_dimension(model: SentenceTransformer) -> int:
    """Return the number of components of the model's vectors.

    Raises:
        ModelError: the model has no fixed dimension.
    """
    dimension = model.get_embedding_dimension()
    if dimension is None:
        raise ModelError("The model does not say how many components its vectors have; use another backbone.")
    return dimension


def _set_max_length(model: SentenceTransformer, name: str, max_length: int) -> None:
    if max_length == 0:
        return
    config = model.transformers_model.config if model.transformers_model is not None else None
    positions = getattr(config, "max_position_embeddings", max_length)
    if not 1 <= max_length <= positions:
        raise ModelError(
            f"max_length {max_length} is outside what {name!r} can read: accepted are 0 (the model's own limit) "
            f"and 1 to {positions} tokens."
        )
    model.max_seq_length = max_length


def _load_failure(backbone: Backbone, error: Exception) -> str:
    cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if backbone.is_local:
        folder = Path(backbone.location)
        if not any(folder.rglob("*.safetensors")):
            return (
                f"Backbone {backbone.name!r}: the folder {folder} holds no .safetensors weights, the only kind that is "
                "loaded (pickled .bin files can run code). Convert the model with `save_pretrained`, or use another."
            )
        return f"Backbone {backbone.name!r} cannot be loaded from {folder}: {cause}"
    offline = " HF_HUB_OFFLINE is set, so nothing is downloaded." if os.environ.get("HF_HUB_OFFLINE") else ""
    return (
        f"Backbone {backbone.name!r} is neither a local folder nor loadable from the Hugging Face hub: {cause}"
        f"{offline} Check the name and the network, or give the path of a sentence-transformers folder with "
        "safetensors weights."
    )
