"""One tower of a model of texts and images becomes a model of its own.

The towers of CLIP and SigLIP share no weights: each gives the same vectors without the other. A tower is saved as the
class that transformers has for it, and loaded by sentence-transformers alone.
"""

import copy
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Transformer

from embedtune.errors import UnfitModelError
from embedtune.models.contents import READ_AS
from embedtune.models.options import TOWERS
from embedtune.models.parity import TOLERANCE, largest_difference, probe_vectors
from embedtune.records.layouts import Modality

_CLIP = {
    Modality.TEXT: (transformers.CLIPTextModelWithProjection, "text_embeds"),
    Modality.IMAGE: (transformers.CLIPVisionModelWithProjection, "image_embeds"),
}
_SIGLIP = {
    Modality.TEXT: (transformers.SiglipTextModel, "pooler_output"),
    Modality.IMAGE: (transformers.SiglipVisionModel, "pooler_output"),
}
_SIGLIP2 = {
    Modality.TEXT: (transformers.Siglip2TextModel, "pooler_output"),
    Modality.IMAGE: (transformers.Siglip2VisionModel, "pooler_output"),
}
_CLASSES: dict[str, dict[Modality, tuple[type[Any], str]]] = {"clip": _CLIP, "siglip": _SIGLIP, "siglip2": _SIGLIP2}
"""By the type of the whole model: the class of each tower, and which of its outputs is the vector."""

_PARTS = {Modality.TEXT: ("text_model", "tokenizer"), Modality.IMAGE: ("vision_model", "image_processor")}
"""How the whole model calls a tower, and its processor what prepares contents for it."""

_TASK = "retrieval"
"""Of sentence-transformers 6: it takes the class that `config.json` names under `architectures`. Of the other tasks
none knows SigLIP's text tower, and 'feature-extraction' would leave out CLIP's projections."""

_OF_WHOLE = "processor_class"
"""What the files of a tokenizer or image processor name, if they were part of a processor of both."""


def has_towers(model: SentenceTransformer) -> bool:
    """Whether a model has a tower for texts and one for images."""
    return _type_of(model) in _CLASSES


def take_tower(model: SentenceTransformer, name: str) -> list[torch.nn.Module]:
    """Return the modules of a model with one tower in place of both.

    Args:
        model: The model.
        name: Of `options.TOWERS`.

    Raises:
        UnfitModelError: it has no two towers, or the tower would give other vectors alone.
    """
    if not has_towers(model):
        read = " and ".join(map(str, model.modalities))
        raise UnfitModelError(
            f"model_options: select_model is {name!r}, but the model has no two towers: it reads {read}. Leave "
            "select_model empty, or choose a model of the kind of CLIP or SigLIP."
        )
    whole: Any = model[0]
    modality = TOWERS[name]
    kind, output = _CLASSES[_type_of(model)][modality]
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        _tower(whole.model, modality, kind).save_pretrained(scratch)
        getattr(whole.processor, _PARTS[modality][1]).save_pretrained(scratch)
        _forget_whole(Path(scratch))
        tower = Transformer(
            scratch,
            transformer_task=_TASK,
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            processing_kwargs={key: value for key, value in whole.processing_kwargs.items() if key == modality.value},
            modality_config={modality.value: {"method": "forward", "method_output_name": output}},
            module_output_name="sentence_embedding",
        )
    if modality is Modality.TEXT:
        tower.max_seq_length = whole.max_seq_length
    parts = [tower, *list(model)[1:]]
    _check(model, parts, name)
    return parts


def _check(model: SentenceTransformer, parts: list[torch.nn.Module], name: str) -> None:
    # Made anew, both are without the model's prompts, which would stand before the texts of one of them only.
    both = (SentenceTransformer(modules=each, device=str(model.device)) for each in (list(model), parts))
    difference = largest_difference(*(probe_vectors(each, {READ_AS[TOWERS[name]]}) for each in both))
    if not difference <= TOLERANCE:
        raise UnfitModelError(
            f"model_options: select_model is {name!r}, but this tower gives other vectors alone than in the model: "
            f"they differ by up to {difference:.2e}, accepted is {TOLERANCE:.0e}. Leave select_model empty, and please "
            "report this model."
        )


def _type_of(model: SentenceTransformer) -> str:
    whole = model.transformers_model
    return "" if whole is None else str(whole.config.model_type)


def _tower(whole: Any, modality: Modality, kind: type[Any]) -> Any:
    """Return a tower with its projection; its weights are those of the whole model."""
    inner = getattr(whole, _PARTS[modality][0])
    if isinstance(inner, kind):
        return inner
    config = copy.deepcopy(inner.config)
    config.projection_dim = whole.config.projection_dim
    with torch.device("meta"):
        tower = kind(config)
    for name, _ in list(tower.named_children()):
        setattr(tower, name, getattr(whole, name))
    return tower


def _forget_whole(folder: Path) -> None:
    for path in folder.glob("*.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(facts, dict) and _OF_WHOLE in facts:
            del facts[_OF_WHOLE]
            path.write_text(json.dumps(facts), encoding="utf-8")
