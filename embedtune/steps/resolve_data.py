"""Step 1: can the run go through, and which version of data, backbone and champion is there now?

Never cached; later steps are cached on its answers.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from embedtune.models.backbone_versions import backbone_version, trains_here
from embedtune.progress import note
from embedtune.retrieval.options import EvalOptions
from embedtune.steps.champion import champion_now
from embedtune.steps.evaluations import evaluation_versions
from embedtune.steps.run_parameters import RunParameters
from embedtune.steps.running import step
from embedtune.steps.sources import data_version
from embedtune.steps.sweep_grid import candidates_of, sweep_plan


@dataclass(frozen=True)
class Resolved:
    """The versions of what a run starts from."""

    data_version: str
    """`sha256:<hex>` of a local file or of several files, `etag:<etag>-<bytes>` of an object, `dataset:<version>`."""
    backbone_version: str
    """`sha256:<hex>` of a folder or object prefix, `hub:<id>@<commit>`, `registered:<name>/<version>@<milliseconds>` of
    a version in MLflow; '' where it is not known to this step."""
    champion: str
    """`registered:<name>/<version>@<milliseconds>`; '' where there is no champion, or that cannot be known here."""
    evaluation_versions: str
    """JSON object with the version of each of the evaluations by its name, in the forms of data_version."""
    started: str
    """When this step, and with it the run, began, in ISO 8601 and UTC."""
    evaluation_gpus: str
    """GPUs for the evaluation, which uses one at most; a text, since Kubeflow's driver drops a number."""
    node_selector: dict[str, str]
    """Labels that the nodes of training and evaluation must have; none of a run on the CPU."""
    tolerations: list[dict[str, str]]
    """Taints that their pods tolerate; none of a run on the CPU, which would take the place of one that needs a GPU."""
    candidates: list[dict[str, str]]
    """Of a sweep the combinations of settings, each the `settings` of finetune_candidate; none of another run."""


@step
def resolve_data(config: RunParameters) -> Resolved:
    """Check every parameter of a run, and find out the versions of data, backbone and champion.

    Raises:
        ConfigError: a combination of train_grid is not accepted.
        ModelError: there is no such backbone, or it holds no weights that are loaded.
        InputError: a folder of the evaluations holds no queries with an index.
        StorageError: the data, the backbone or the evaluations are missing or cannot be reached.
        RegistryError: the backbone cannot be had from MLflow.
        TrainingError: there are fewer GPUs than asked for.
    """
    if config.sweep:
        candidates_of(config)  # before anything is asked for that takes time
    started = datetime.now(UTC).isoformat(timespec="seconds")
    if int(config.gpu_count) and trains_here():
        from embedtune.models.devices import check_gpus  # torch takes seconds, which a run on the CPU need not wait for

        check_gpus(int(config.gpu_count))
    backbone, champion = backbone_version(config.model_backbone), champion_now(config.register_model_name)
    evaluations = evaluation_versions(EvalOptions.from_json(config.eval_options))
    with_gpu = int(config.gpu_count) > 0
    candidates = candidates_of(config, backbone) if config.sweep else ()
    if candidates:
        note(sweep_plan(config, candidates))
    return Resolved(
        data_version=data_version(config.data_uri),
        backbone_version=backbone,
        champion=champion,
        evaluation_versions=evaluations,
        started=started,
        evaluation_gpus="1" if with_gpu else "0",
        node_selector=config.gpu_node_selector if with_gpu else {},
        tolerations=config.gpu_tolerations if with_gpu else [],
        candidates=[{"settings": each.to_json()} for each in candidates],
    )
