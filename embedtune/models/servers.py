"""Which servers of embeddings can run a saved model, and why others cannot. Imports no torch.

A fact for the model's card, never a refusal: MLflow serves every model of ours.
"""

import json
from pathlib import Path
from typing import Any

SERVED_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")
"""Module classes that servers know, all as `sentence_transformers.models.<name>`."""

_TOKENS = "last_hidden_state"
"""What servers pool; as `modality_config` says where another output is taken."""
_FLAG = "pooling_mode_"
_SERVED_POOLINGS = ("cls_token", "mean_tokens", "lasttoken")
_SERVED_ACTIVATIONS = ("torch.nn.modules.activation.Tanh", "torch.nn.modules.linear.Identity")


def servers_of(folder: Path) -> dict[str, str]:
    """Tell which servers can run a model folder.

    The rules are those of text-embeddings-inference 1.9 (router/src/lib.rs, backends/src/lib.rs, candle's dense.rs) and
    of vLLM 0.10, which read the same files.

    Args:
        folder: A model folder of ours.

    Returns:
        For each server '' if it can, else why not.
    """
    reason = _reason(folder)
    return {"text-embeddings-inference": reason, "vllm": reason}


def _reason(folder: Path) -> str:
    found = _read(folder / "modules.json")
    modules = [(module["type"].rpartition(".")[2], folder / module["path"] / "config.json") for module in found]
    for name, _ in modules:
        if name not in SERVED_MODULES:
            return f"it knows no module {name}"
    kinds = _read(folder / "sentence_bert_config.json").get("modality_config", {"text": {}})
    if set(kinds) != {"text"}:
        return f"it reads texts only, the model {' and '.join(sorted(kinds))}"
    if kinds["text"].get("method_output_name", _TOKENS) != _TOKENS:
        return "it knows no model that gives one vector for a text by itself"
    for name, config in modules:
        if name == "Pooling":
            flags = [key for key, value in _read(config).items() if value and key.startswith(_FLAG)]
            chosen = [flag.removeprefix(_FLAG) for flag in flags]
            if len(chosen) != 1 or chosen[0] not in _SERVED_POOLINGS:
                return f"it knows no pooling by {' and '.join(chosen)}"
        if name == "Dense":
            activation = _read(config).get("activation_function")
            if activation not in _SERVED_ACTIVATIONS:
                return f"its dense layers know no activation {str(activation).rpartition('.')[2]}"
    return ""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
