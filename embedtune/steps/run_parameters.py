"""Every parameter of a run, checked as its steps will check them, before the first of them has done anything."""

from dataclasses import dataclass, field

from embedtune.documents.schema import BuildOptions, SplitRule
from embedtune.documents.split import check_rule
from embedtune.errors import ConfigError
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.records.csv.options import AUTO, CSV_LAYOUTS, IngestRequest
from embedtune.records.layouts import Layout, Modality
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig
from embedtune.steps.ingest_csv import IngestCSVConfig
from embedtune.steps.pod_settings import check_cpu, check_gpu_type, check_memory, check_node_selector, check_tolerations
from embedtune.steps.register_model import RegisterModelConfig
from embedtune.training.config import AUTO_LOSS, LOSSES, FinetuneConfig
from embedtune.training.fits import check_augment, check_decides_alike, check_fits, check_tower, untrainable


def _gpu_taint() -> list[dict[str, str]]:
    return [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


@dataclass(frozen=True)
class RunParameters:
    """Every parameter of a pipeline, and how it reads its files."""

    data_uri: str
    """Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version."""
    data_layout: str = field(default=AUTO, metadata={"choices": (AUTO, *map(str, CSV_LAYOUTS))})
    """What a row of a CSV is; 'auto' detects it."""
    data_csv_options: str = "{}"
    """JSON object with any of the fields of CSVOptions, such as dialect, header or task."""
    data_max_bad_share: float = 0.01
    """Largest accepted share of rows that cannot be used, 0 to 1."""
    model_backbone: str = DEFAULT_BACKBONE
    """Model to start from: one of `embedtune models`, a Hugging Face id, a folder or its address."""
    model_max_length: int = 128
    """Tokens after which a text is cut; 0 keeps the backbone's own limit."""
    model_options: str = "{}"
    """JSON object with any of the fields of ModelOptions, such as pooling, output_dim or freeze."""
    train_loss: str = field(default=AUTO_LOSS, metadata={"choices": (AUTO_LOSS, *LOSSES)})
    """Loss by name; 'auto' chooses by layout and labels. docs/defaults.md has the rules."""
    train_epochs: int = 0
    """Passes over the training documents; 0 chooses by layout and number of rows."""
    train_batch_size: int = 64
    """Contents per optimizer step, 4 or more; 0: what fits into a GPU, 64 on a CPU."""
    train_learning_rate: float = 0.0
    """Peak learning rate; 0 chooses by the size of the backbone and the optimizer."""
    train_seed: int = 42
    """Seed of split, batches, dropout and bootstrap."""
    train_options: str = "{}"
    """JSON object with any of the fields of TrainOptions, such as optimizer, warmup or augment."""
    train_cpu: str = "1"
    """Cores for the pods of training and evaluation, such as '4' or '500m'; not used without a cluster."""
    train_memory: str = "8Gi"
    """Memory for each of them, /dev/shm counted in, such as '16Gi'; not used without a cluster."""
    eval_share: float = 0.2
    """Share of the documents to hold out for evaluation, above 0 and below 1."""
    eval_split: str = field(default=str(SplitRule.AUTO), metadata={"choices": tuple(map(str, SplitRule))})
    """'auto', 'stratified' (new rows of known labels) or 'group' (whole labels or connected pairs)."""
    eval_metric: str = "ndcg_at_10"
    """Metric that decides about promotion, such as ndcg_at_10 or map_at_20."""
    eval_options: str = "{}"
    """JSON object with any of the fields of EvalOptions, such as cutoffs, distance or batch_size."""
    register_model_name: str = "embeddings"
    """Name of the registered model in MLflow."""
    register_experiment: str = "embedtune"
    """MLflow experiment of the run."""
    register_min_gain: float = 0.0
    """Least gain of eval_metric, 0 to 1, for a promotion."""
    register_min_lower_bound: float = 0.0
    """Bound, 0 to 1, that the gain's interval must lie above, for a promotion."""
    gpu_count: str = "0"
    """Number of GPUs for training and evaluation; '0' uses the CPU."""
    gpu_type: str = "nvidia.com/gpu"
    """Resource name of the GPU."""
    gpu_node_selector: dict[str, str] = field(default_factory=dict)
    """Labels a GPU node must have."""
    gpu_tolerations: list[dict[str, str]] = field(default_factory=_gpu_taint)
    """Taints of GPU nodes to tolerate."""
    train_grid: str = "{}"
    """JSON object with lists of values to try, such as {"train_epochs": [5, 10]}; {} tries three rates."""
    by_file: bool = False
    """Whether each file is read by a task of its own, as in finetune-sharded, so that none knows the rows of all."""
    sweep: bool = False
    """Whether the combinations of train_grid are trained, as in the pipeline sweep."""

    def __post_init__(self) -> None:
        """Make the configuration of every step, which refuses what the step would.

        Raises:
            ConfigError: a value is not accepted.
            InputError: nothing can be learned from such data, or not with this loss or these options.
            StorageError: an address is none, or carries credentials.
        """
        reading = self._reading()
        self._building()
        training = self.training()
        self._evaluation()
        self._registration()
        self._check_together(reading.request, training)
        check_cpu("train_cpu", self.train_cpu)
        check_memory("train_memory", self.train_memory)
        check_gpu_type(self.gpu_type)
        check_node_selector(self.gpu_node_selector)
        check_tolerations(self.gpu_tolerations)

    def _reading(self) -> IngestCSVConfig:
        reading = IngestCSVConfig(
            uri=self.data_uri,
            layout=self.data_layout,
            csv_options=self.data_csv_options,
            max_bad_share=self.data_max_bad_share,
            whole=not self.by_file,
        )
        if self.by_file and reading.options.size is not None:
            raise ConfigError(
                "The CSV option size counts the rows of all files, which finetune-sharded reads one by one. Use "
                "sampling_rate, which keeps the same rows either way, or the pipeline finetune."
            )
        return reading

    def _building(self) -> BuildOptions:
        return BuildOptions(
            eval_share=self.eval_share,
            split=self.eval_split,
            seed=self.train_seed,
            max_bad_share=self.data_max_bad_share,
        )

    def training(self) -> FinetuneConfig:
        """Return the configuration of the fine-tuning step, of whatever content the backbone has now."""
        return FinetuneConfig(
            backbone=self.model_backbone,
            max_length=self.model_max_length,
            model_options=self.model_options,
            loss=self.train_loss,
            epochs=self.train_epochs,
            batch_size=self.train_batch_size,
            learning_rate=self.train_learning_rate,
            seed=self.train_seed,
            train_options=self.train_options,
            gpu_count=self.gpu_count,
        )

    def _evaluation(self) -> EvaluateRetrievalConfig:
        return EvaluateRetrievalConfig(
            title=self.register_model_name,
            metric=self.eval_metric,
            min_gain=self.register_min_gain,
            min_lower_bound=self.register_min_lower_bound,
            eval_options=self.eval_options,
            seed=self.train_seed,
        )

    def _registration(self) -> RegisterModelConfig:
        return RegisterModelConfig(
            model_name=self.register_model_name,
            experiment=self.register_experiment,
            data_uri=self.data_uri,
            csv_options=self.data_csv_options,
            max_bad_share=self.data_max_bad_share,
        )

    def _check_together(self, request: IngestRequest, training: FinetuneConfig) -> None:
        """Refuse what building and training would, of data whose layout or contents are named."""
        layout, modalities, options = request.wanted, _modalities(request), request.options
        if layout is None or not layout.has_scores:
            check_decides_alike(training.training, self.eval_metric)
        if layout is not None:
            check_rule(layout, SplitRule(self.eval_split))
        lacking = {Modality.IMAGE: not options.convert_to_blob, Modality.MESH: not options.create_point_clouds}
        loaded = not any(lacking.get(modality, False) for modality in modalities)
        error = untrainable("The data", layout, modalities, loaded)
        if error is not None:
            raise error
        if layout is not None and self.train_loss != AUTO_LOSS:
            check_fits(layout, modalities, self.train_loss)
        if modalities:
            check_augment(modalities, training.training.augment)
            check_tower(modalities, training.tailoring.select_model)


def _modalities(request: IngestRequest) -> tuple[Modality, ...]:
    """Return what the contents of a row are, as far as layout and task say it; none where the data decide."""
    if request.wanted is Layout.TEXT_IMAGE:
        return (Modality.TEXT, Modality.IMAGE)
    return () if request.task.modality is None else (request.task.modality,)
