"""Which servers of embeddings can run a saved model, and why others cannot. Imports no torch.

A fact for the model's card, never a refusal: MLflow serves every model of ours.
"""

import json
from pathlib import Path
from typing import Any

_MODULES = "modules.json"
_OWN_KEYS = "modality_config"
_TEI_POOLINGS = ("pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_lasttoken")
_OTHER_POOLINGS = (
    "pooling_mode_max_tokens",
    "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens",
)
_TEI_ACTIVATIONS = ("torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity")
_KNOWN = ("Transformer", "Pooling", "Dense", "Normalize")


def servers_of(folder: Path) -> dict[str, str]:
    """Tell which servers can run a model folder.

    The rules are those of text-embeddings-inference 1.9 (router/src/lib.rs, backends/src/lib.rs, candle's dense.rs) and
    of vLLM 0.10, which read the same files.

    Args:
        folder: A model folder of ours.

    Returns:
        For each server '' if it can, else why not.
    """
    modules = json.loads((folder / _MODULES).read_text(encoding="utf-8"))
    reason = _reason(folder, modules)
    return {"text-embeddings-inference": reason, "vllm": reason}


def _reason(folder: Path, modules: list[dict[str, Any]]) -> str:
    for module in modules:
        name = str(module["type"]).rpartition(".")[2]
        if name not in _KNOWN:
            return f"it knows no module {name}"
        config = folder / str(module["path"]) / "config.json"
        if name == "Pooling":
            pooling = json.loads(config.read_text(encoding="utf-8"))
            chosen = [key for key in _OTHER_POOLINGS if pooling.get(key)]
            if chosen or not any(pooling.get(key) for key in _TEI_POOLINGS):
                return f"it knows no pooling of the kind {pooling.get('pooling_mode', chosen)}"
        if name == "Dense":
            activation = json.loads(config.read_text(encoding="utf-8")).get("activation_function")
            if activation not in _TEI_ACTIVATIONS:
                return f"its dense layers know no activation {str(activation).rpartition('.')[2]}"
    transformer = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))
    other = sorted(kind for kind in transformer.get(_OWN_KEYS, {"text": {}}) if kind != "text")
    return f"it reads texts only, the model {' and '.join(other)} too" if other else ""
