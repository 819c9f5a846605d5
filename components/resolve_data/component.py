"""Thin component of `embedtune.steps.resolve_data`."""

from typing import NamedTuple

from components.images import data_component


@data_component
def resolve_data(
    uri: str,
    backbone: str,
    model_name: str = "",
    gpu_count: str = "0",
    gpu_type: str = "nvidia.com/gpu",
    eval_options: str = "{}",
    layout: str = "auto",
    loss: str = "auto",
) -> NamedTuple(
    "Versions",
    [
        ("data_version", str),
        ("backbone_version", str),
        ("champion", str),
        ("evaluation_versions", str),
        ("started", str),
    ],
):
    """Find out which version of data, backbone and further evaluations there is now, and which model is champion.

    Never cached: every later step is cached on its answers, so a schedule retrains exactly when one of them changed.

    Args:
        uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.
        backbone: Model that the run starts from; '' looks at none.
        model_name: Registered model whose champion is looked up, to compare with; '' looks up none.
        gpu_count: GPUs that the training asks for; looked for where the training runs in the same environment.
        gpu_type: Name by which Kubernetes counts them, such as nvidia.com/gpu or amd.com/gpu; not used elsewhere.
        eval_options: JSON object with any of the fields of EvalOptions; the versions of its evaluations are looked up.
        layout: What a row of a CSV is; where it is named, a loss that does not fit it is refused.
        loss: Loss that will be trained with.

    Returns:
        data_version: sha256 of a file or of several, or etag and size of an object.
        backbone_version: sha256 of a folder or prefix, commit on the hub, or version in MLflow; '' if not known.
        champion: The registered version that is champion; '' where there is none or it is not known.
        evaluation_versions: JSON object with the version of each of the evaluations by its name.
        started: When the run began, in ISO 8601 and UTC.
    """
    from embedtune.steps.resolve_data import ResolveDataConfig
    from embedtune.steps.resolve_data import resolve_data as step

    config = ResolveDataConfig(
        uri=uri,
        backbone=backbone,
        model_name=model_name,
        gpu_count=gpu_count,
        gpu_type=gpu_type,
        eval_options=eval_options,
        layout=layout,
        loss=loss,
    )
    found = step(config)
    return found.data_version, found.backbone_version, found.champion, found.evaluation_versions, found.started
