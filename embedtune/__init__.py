"""Fine-tune embedding models on your own Kubeflow cluster."""

# Type checkers take this for typing.TYPE_CHECKING, whose import would take longer than all the rest of this one.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from embedtune.cli.models import describe_models
    from embedtune.datasets.catalogue import list_datasets
    from embedtune.datasets.pull import pull
    from embedtune.models.catalogue import list_models
    from embedtune.steps.push_data import push

__all__ = ["__version__", "describe_models", "list_datasets", "list_models", "pull", "push"]

__version__ = "0.1.0"

_HOMES = {
    "describe_models": "embedtune.cli.models",
    "list_datasets": "embedtune.datasets.catalogue",
    "list_models": "embedtune.models.catalogue",
    "pull": "embedtune.datasets.pull",
    "push": "embedtune.steps.push_data",
}


def __getattr__(name: str) -> object:
    """Import what is asked for (PEP 562), since docarray and minio take half a second."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
