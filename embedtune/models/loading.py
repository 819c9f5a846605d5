"""A backbone's name or a model folder becomes an embedding model in memory.

No code that comes with a model is ever run. The transformer's weights are read from safetensors only; a small head that
has none is read by torch's weights-only reader, which builds tensors and nothing else.
"""

import hashlib
import logging
import pickle
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants as hub_constants
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling
from transformers.utils import logging as transformers_logging

from embedtune.errors import ModelError, UnfitModelError
from embedtune.models.backbones import (
    ACCEPTED,
    WITHOUT_NETWORK,
    Backbone,
    Place,
    hint,
    hub_cache,
    open_backbone,
    what_lacks,
)
from embedtune.models.catalogue import known_model
from embedtune.models.contents import READ_AS
from embedtune.models.hub import cached_snapshot
from embedtune.models.modules.pointnet import PointNet
from embedtune.models.own_modules import load_folder
from embedtune.progress import note

_LOAD_ERRORS = (OSError, ValueError, ImportError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What transformers and sentence-transformers raise for folders that are incomplete, damaged or of another kind."""

# Our folders hold the older names beside the new ones, for servers; sentence-transformers warns of each.
logging.getLogger("sentence_transformers.util.decorators").setLevel(logging.ERROR)

_MODULES_FILE = "modules.json"

_CLASS_TOKEN = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit", "deit", "beit")
"""Types of image models whose first token stands for the whole picture; without a pooling of its own in the folder,
sentence-transformers 6 would take the mean of all tokens."""

_FIXED_LENGTH = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")
"""Types of models whose text tower reads the last position, and so needs texts of one length: sentence-transformers 6
pads to the longest of a batch, and gives a text another vector in other company."""
_TO_FIXED_LENGTH = "max_length"

_SHORT = ("clip_text_model", "siglip_text_model", "siglip2_text_model")
"""Types of the text towers of models of texts and images: like these, they read fewer tokens than runs ask for."""


def load_model(name: str, max_length: int) -> SentenceTransformer:
    """Load the present version of an embedding model; see `load_backbone`.

    Args:
        name: Model folder, its address on the object store, Hugging Face id, or known name; see `resolve_backbone`.
        max_length: Tokens after which a text is cut; 0 keeps the model's own limit.
    """
    with open_backbone(name, "") as backbone:
        return load_backbone(backbone, max_length)


def load_backbone(backbone: Backbone, max_length: int) -> SentenceTransformer:
    """Load an embedding model in float32 onto the GPU if there is one, else the CPU.

    Args:
        backbone: A model in a folder or on the hub.
        max_length: Tokens after which a text is cut; 0 keeps the model's own limit.

    Raises:
        ModelError: the model is not there, has no safetensors weights or no tokenizer, needs its own code, reads
            neither texts nor images nor points, or has a lower limit than `max_length`.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # bars litter a pod's log
    try:
        model = _load(backbone)
    except (*_LOAD_ERRORS, pickle.UnpicklingError) as error:
        raise ModelError(_load_failure(backbone, error)) from error
    if not set(READ_AS.values()) & set(model.modalities):
        raise ModelError(
            f"Backbone {backbone.name!r} reads {' and '.join(map(str, model.modalities))}, but texts, images or points "
            "are needed. Use another backbone."
        )
    _pool_class_token(model, backbone)
    _add_prompts(model, backbone)
    if "text" in model.modalities:
        _check_tokenizer(model, backbone.name)
        _set_max_length(model, backbone.name, max_length)
        _fix_length(model)
    return model


def weights_digest(model: SentenceTransformer) -> str:
    """Return `sha256:` over all weights, whatever files they came from."""
    digest = hashlib.sha256()
    for key, tensor in sorted(model.state_dict().items()):
        digest.update(f"{key}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.detach().cpu().flatten().view(torch.uint8).numpy().data if tensor.numel() else b"")
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


def has_fixed_length(model: torch.nn.Module) -> bool:
    """Tell whether a model reads texts of one length only, so that their padding is no waste."""
    options = getattr(next(model.children(), None), "processing_kwargs", {})
    return bool(options.get("text", {}).get("padding") == _TO_FIXED_LENGTH)


def _load(backbone: Backbone) -> SentenceTransformer:
    # A checkpoint of a masked language model lacks the pooling layer, which is then drawn at random although no vector
    # depends on it; drawn from a fixed seed, the weights have the same digest in every process.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        if backbone.place is Place.MADE:
            return SentenceTransformer(modules=[PointNet()])
        return load_folder(
            backbone.location,
            revision=backbone.commit if backbone.commit else None,
            local_files_only=backbone.place is Place.FOLDER,
            # Training in the half precision that some backbones are stored in loses small updates, or overflows.
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
        )


def _pool_class_token(model: SentenceTransformer, backbone: Backbone) -> None:
    """Give an image model that comes without a pooling the one it was made for."""
    config = model.transformers_model.config if model.transformers_model is not None else None
    if getattr(config, "model_type", "") not in _CLASS_TOKEN or _has_modules(backbone):
        return
    for place, part in enumerate(model):
        if isinstance(part, Pooling):
            model[place] = Pooling(embedding_dimension(model), "cls")


def _add_prompts(model: SentenceTransformer, backbone: Backbone) -> None:
    """Give a model of the hub whose repository names no prompts those that its authors ask for on its page."""
    known = known_model(backbone.location) if backbone.place is Place.HUB else None
    if known is not None and not any(model.prompts.values()):
        model.prompts.update(query=known.query_prompt, document=known.document_prompt)


def _has_modules(backbone: Backbone) -> bool:
    """Whether a backbone says itself which modules it is made of."""
    if backbone.place is Place.FOLDER:
        return (Path(backbone.location) / _MODULES_FILE).is_file()
    revision = backbone.commit if backbone.commit else None
    found = try_to_load_from_cache(backbone.location, _MODULES_FILE, hub_cache(), revision)
    return isinstance(found, str)


def _fix_length(model: SentenceTransformer) -> None:
    config = model.transformers_model.config if model.transformers_model is not None else None
    if getattr(config, "model_type", "") in _FIXED_LENGTH:
        padding = {"padding": _TO_FIXED_LENGTH, "max_length": model.max_seq_length}
        transformer: Any = model[0]
        transformer.processing_kwargs = {**transformer.processing_kwargs, "text": padding}


def _check_tokenizer(model: SentenceTransformer, name: str) -> None:
    tokenizer = model.tokenizer
    if model.transformers_model is not None and len(tokenizer) <= len(tokenizer.all_special_ids):
        raise ModelError(
            f"Backbone {name!r} has a tokenizer that knows no words, which happens where its files are missing. "
            "Copy tokenizer.json to the model's folder, or use another backbone."
        )


def _set_max_length(model: SentenceTransformer, name: str, max_length: int) -> None:
    if model.transformers_model is None:
        if max_length != 0:
            raise UnfitModelError(f"{name!r} reads texts of any length: max_length is {max_length}, accepted is 0.")
        return
    longest = _readable_tokens(model)
    is_short = "image" in model.modalities or model.transformers_model.config.model_type in _SHORT
    if is_short and longest is not None and max_length > longest:
        note(f"{name} reads {longest} tokens at most; its texts are cut there, not at {max_length}.")
        max_length = 0
    if max_length == 0:
        own = model.max_seq_length
        model.max_seq_length = longest if own is None or (longest is not None and own > longest) else own
        return
    shortest = model.tokenizer.num_special_tokens_to_add() + 1
    if max_length < shortest or (longest is not None and max_length > longest):
        bounds = f"{shortest} or more" if longest is None else f"{shortest} to {longest}"
        raise UnfitModelError(
            f"max_length {max_length} is outside what {name!r} can read: accepted are 0 (the model's own limit) "
            f"and {bounds} tokens."
        )
    model.max_seq_length = max_length


def _readable_tokens(model: SentenceTransformer) -> int | None:
    """Return how many tokens the model has positions for; None where there is no limit."""
    for path, module in model.named_modules():
        if path.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            # RoBERTa and its kin number positions from the one after padding.
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    config = model.transformers_model.config if model.transformers_model is not None else None
    config = getattr(config, "text_config", config)  # of a model of texts and images
    positions = int(getattr(config, "max_position_embeddings", -1))
    return positions if positions > 0 else None  # XLNet says -1 for no limit


def _load_failure(backbone: Backbone, error: Exception) -> str:
    cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if backbone.place is Place.FOLDER:
        folder = Path(backbone.location)
        lack = what_lacks(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
        if lack:
            return f"Backbone {backbone.name!r}: the folder {folder} {lack}"
        return f"Backbone {backbone.name!r} cannot be loaded from {folder}: {cause}"
    if Path(backbone.location).is_file():
        return f"Backbone {backbone.name!r} is a file. {ACCEPTED}"
    if hub_constants.HF_HUB_OFFLINE and cached_snapshot(backbone.location) is None:
        cause = "HF_HUB_OFFLINE is set, so nothing is downloaded, and the cache of the hub does not hold it."
    return (
        f"Backbone {backbone.name!r} is neither a local folder nor loadable from the Hugging Face hub: {cause}"
        f"{hint(backbone.name)} Check the name and the network. {WITHOUT_NETWORK}"
    )
