"""Step 1: which version of data, backbone and champion is there now? Never cached; later steps are cached on that."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from embedtune.errors import ConfigError
from embedtune.models.backbone_versions import backbone_version, trains_here
from embedtune.records.csv_options import AUTO
from embedtune.records.layouts import Layout
from embedtune.records.request import CSV_LAYOUTS, IngestRequest
from embedtune.registry.contents import check_model_name
from embedtune.retrieval.options import EvalOptions
from embedtune.steps.champion import champion_now
from embedtune.steps.evaluations import evaluation_versions
from embedtune.steps.running import step
from embedtune.steps.sources import check_address, data_version
from embedtune.training.config import AUTO_LOSS, LOSSES, FinetuneConfig
from embedtune.training.fits import check_fits

_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""An extended resource: a domain and a name (kubernetes.io/docs, "Extended resources")."""


@dataclass(frozen=True)
class ResolveDataConfig:
    """Configuration of the step."""

    uri: str
    """Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version."""
    backbone: str
    """Model that the run starts from, see `finetune`; '' looks at none."""
    model_name: str = ""
    """Registered model whose champion is looked up, to compare with; '' looks up none."""
    gpu_count: str = "0"
    """GPUs that the training asks for; looked for here where the training will run here as well."""
    gpu_type: str = "nvidia.com/gpu"
    """Name by which Kubernetes counts them, such as nvidia.com/gpu or amd.com/gpu; not used elsewhere."""
    eval_options: str = "{}"
    """JSON object with any of the fields of EvalOptions; the versions of its evaluations are looked up."""
    layout: str = field(default=AUTO, metadata={"choices": (AUTO, *map(str, CSV_LAYOUTS))})
    """What a row of a CSV is, see `ingest_csv`; where it is named, a loss that does not fit it is refused."""
    loss: str = field(default=AUTO_LOSS, metadata={"choices": (AUTO_LOSS, *LOSSES)})
    """Loss that will be trained with, see `finetune`."""

    def __post_init__(self) -> None:
        check_address(self.uri)
        IngestRequest(layout=self.layout)
        FinetuneConfig(loss=self.loss, gpu_count=self.gpu_count)
        if not _RESOURCE.fullmatch(self.gpu_type):
            raise ConfigError(
                f"gpu_type is {self.gpu_type!r}; accepted: the name of a resource of Kubernetes, such as "
                "nvidia.com/gpu (kubectl describe nodes shows those of your nodes)."
            )
        if self.layout != AUTO and self.loss != AUTO_LOSS:
            check_fits(Layout(self.layout), (), self.loss)
        if self.model_name:
            check_model_name(self.model_name)
        EvalOptions.from_json(self.eval_options)


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


@step
def resolve_data(config: ResolveDataConfig) -> Resolved:
    """Find out the versions of data, backbone and champion, and refuse a backbone or GPUs that cannot be had.

    Raises:
        ModelError: there is no such backbone, or it holds no weights that are loaded.
        InputError: a folder of the evaluations holds no queries with an index.
        StorageError: the data, the backbone or the evaluations are missing or cannot be reached.
        RegistryError: the backbone cannot be had from MLflow.
        TrainingError: there are fewer GPUs than asked for.
    """
    started = datetime.now(UTC).isoformat(timespec="seconds")
    if int(config.gpu_count) and trains_here():
        from embedtune.models.devices import check_gpus  # torch takes seconds, which a run on the CPU need not wait for

        check_gpus(int(config.gpu_count))
    backbone = backbone_version(config.backbone) if config.backbone else ""
    champion = champion_now(config.model_name) if config.model_name else ""
    evaluations = evaluation_versions(EvalOptions.from_json(config.eval_options))
    return Resolved(data_version(config.uri), backbone, champion, evaluations, started)
