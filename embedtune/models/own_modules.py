"""Folders of models that hold our own modules are loaded without running code that comes with a model."""

from typing import Any

from sentence_transformers import SentenceTransformer

from embedtune.models.modules.gem import GeM
from embedtune.models.modules.pointnet import PointNet

OWN_MODULES: dict[str, type] = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (GeM, PointNet)}
"""Our modules by what `modules.json` calls them."""


def load_folder(location: str, **options: Any) -> SentenceTransformer:
    """Load a model, taking our modules from here.

    sentence-transformers refuses every class that is not its own unless code from outside is trusted, which this never
    does; it has no public way to name further ones (6.2).

    Args:
        location: Folder, or id on the hub.
        options: Arguments of `SentenceTransformer`.
    """
    return SentenceTransformer._load_with_module_classes(location, OWN_MODULES, trust_remote_code=False, **options)
