"""Thin component of `embedtune.steps.resolve_data`."""

from typing import NamedTuple

from components.images import data_component


@data_component
def resolve_data(uri: str, backbone: str, model_name: str = "", gpu_count: str = "0") -> NamedTuple(
    "Versions", [("data_version", str), ("backbone_version", str), ("champion", str), ("started", str)]
):
    """Find out which version of the data and of the backbone there is now, and which registered version is champion.

    Never cached: every later step is cached on its answers, so a schedule retrains exactly when one of them changed.

    Args:
        uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.
        backbone: Model that the run starts from; '' looks at none.
        model_name: Registered model whose champion is looked up, to compare with; '' looks up none.
        gpu_count: GPUs that the training asks for; looked for where the training runs in the same environment.

    Returns:
        data_version: sha256 of a file or of several, or etag and size of an object.
        backbone_version: sha256 of a folder or prefix, commit on the hub, or version in MLflow; '' if not known.
        champion: The registered version that is champion; '' where there is none or it is not known.
        started: When the run began, in ISO 8601 and UTC.
    """
    from embedtune.steps.resolve_data import ResolveDataConfig
    from embedtune.steps.resolve_data import resolve_data as step

    found = step(ResolveDataConfig(uri=uri, backbone=backbone, model_name=model_name, gpu_count=gpu_count))
    return found.data_version, found.backbone_version, found.champion, found.started
