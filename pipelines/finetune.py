"""The pipelines: data become a better, registered retrieval model, read by one task or by one task for each file."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Dict, List, NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Model
from kfp.dsl.pipeline_channel import PipelineArtifactChannel, PipelineParameterChannel

from components.build_documents.component import build_documents
from components.build_shard.component import build_shard
from components.evaluate_retrieval.component import evaluate_retrieval
from components.finetune.component import finetune as finetune_model
from components.ingest_csv.component import ingest_csv
from components.list_sources.component import list_sources
from components.merge_documents.component import merge_documents
from components.plan_documents.component import plan_documents
from components.register_model.component import register_model
from components.resolve_data.component import resolve_data
from embedtune.steps.run_parameters import RunParameters
from pipelines.builds import Definition
from pipelines.task_options import DATA, SMALL, on_cluster, on_gpu, train_size, with_hub, with_mlflow

LITERALS = {
    field.name: list(field.metadata["choices"]) for field in fields(RunParameters) if "choices" in field.metadata
}
"""Closed choices; Kubeflow's form shows them as dropdowns."""


def check_finetune(arguments: Dict[str, Any]) -> None:
    """Check the arguments as the first task will, which refuses whatever a later one would.

    Args:
        arguments: Every parameter of the pipeline.

    Raises:
        ConfigError: a value is not accepted.
        InputError: nothing can be learned from such data, or not with this loss or these options.
        StorageError: an address is none, or carries credentials.
    """
    RunParameters(**arguments)


def check_finetune_sharded(arguments: Dict[str, Any]) -> None:
    """Check the arguments as `check_finetune` does, and what a task that reads one file cannot know.

    Args:
        arguments: Every parameter of the pipeline.

    Raises:
        ConfigError: a value is not accepted.
        InputError: nothing can be learned from such data, or not with this loss or these options.
        StorageError: an address is none, or carries credentials.
    """
    RunParameters(**arguments, by_file=True)


class Outputs(NamedTuple):
    """What the pipeline hands to its caller."""

    model: Model
    report: HTML
    scores: Artifact
    data_page: HTML
    name: str
    version: int
    aliases: str
    reason: str
    run_id: str
    champion: dict
    data_version: str


class Documents(NamedTuple):
    """What the model is trained and judged on."""

    train: PipelineArtifactChannel
    evaluation: PipelineArtifactChannel
    data_page: PipelineArtifactChannel


MOST_SHARDS_AT_ONCE = 8
"""Files that are read at the same time on a cluster."""


def _build_at_once(version: PipelineParameterChannel, reading: Dict[str, Any], building: Dict[str, Any]) -> Documents:
    """Read all data in one task and build the documents in another."""
    ingested = on_cluster(ingest_csv(version=version, whole=True, **reading), DATA)
    rows, rejected = ingested.outputs["rows"], ingested.outputs["quarantine"]
    built = on_cluster(build_documents(rows=rows, rejected=rejected, **building), DATA).outputs
    return Documents(built["train"], built["evaluation"], built["data_page"])


def _build_by_file(version: PipelineParameterChannel, reading: Dict[str, Any], building: Dict[str, Any]) -> Documents:
    """Read and build each file in a task of its own; only the plan of the split sees all of them.

    Inside a loop kfp.local 2.17 hands on loop items, artifacts and pipeline parameters rightly, but no value that an
    earlier task returned: so each item carries its version, and the address of its rows.
    """
    sources = on_cluster(list_sources(uri=reading["uri"], version=version), SMALL)
    settings = {name: value for name, value in reading.items() if name != "uri"}
    with dsl.ParallelFor(items=sources.output, parallelism=MOST_SHARDS_AT_ONCE) as source:
        ingested = on_cluster(ingest_csv(uri=source.uri, version=source.version, whole=False, **settings), DATA)
    plan = on_cluster(plan_documents(rows=dsl.Collected(ingested.outputs["rows"]), **building), DATA)
    with dsl.ParallelFor(items=plan.outputs["Output"], parallelism=MOST_SHARDS_AT_ONCE) as shard:
        part = on_cluster(build_shard(plan=plan.outputs["plan"], rows_uri=shard.rows_uri, number=shard.number), DATA)
    merged = on_cluster(
        merge_documents(
            plan=plan.outputs["plan"],
            rejected=dsl.Collected(ingested.outputs["quarantine"]),
            train_parts=dsl.Collected(part.outputs["train_uri"]),
            evaluation_parts=dsl.Collected(part.outputs["evaluation_uri"]),
        ),
        DATA,
    ).outputs
    return Documents(merged["train"], merged["evaluation"], merged["data_page"])


def _define(
    name: str, description: str, build: Callable[[PipelineParameterChannel, Dict[str, Any], Dict[str, Any]], Documents]
) -> Definition:
    """Return the pipeline that builds its documents in this way.

    Args:
        name: Its name.
        description: What it does, for people who choose one.
        build: Adds the tasks that turn the data into documents.
    """

    def finetune(
        data_uri: str,
        data_layout: str = "auto",
        data_csv_options: str = "{}",
        data_max_bad_share: float = 0.01,
        model_backbone: str = "sentence-transformers/all-MiniLM-L6-v2",
        model_max_length: int = 128,
        model_options: str = "{}",
        train_loss: str = "auto",
        train_epochs: int = 0,
        train_batch_size: int = 64,
        train_learning_rate: float = 0.0,
        train_seed: int = 42,
        train_options: str = "{}",
        train_cpu: str = "1",
        train_memory: str = "8Gi",
        eval_share: float = 0.2,
        eval_split: str = "auto",
        eval_metric: str = "ndcg_at_10",
        eval_options: str = "{}",
        register_model_name: str = "embeddings",
        register_experiment: str = "embedtune",
        register_min_gain: float = 0.0,
        register_min_lower_bound: float = 0.0,
        gpu_count: str = "0",
        gpu_type: str = "nvidia.com/gpu",
        gpu_node_selector: Dict[str, str] = {},  # noqa: B006 - kfp reads it, nothing changes it
        gpu_tolerations: List[Dict[str, str]] = [  # noqa: B006
            {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
        ],
    ) -> Outputs:
        """Fine-tune an embedding model on a CSV, measure it against the model it started from, and register it.

        The tuned model becomes champion only if it is better on held-out data with the confidence interval above zero.

        Args:
            data_uri: Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version.
            data_layout: What a row of a CSV is; 'auto' detects it.
            data_csv_options: JSON object with any of the fields of CSVOptions, such as dialect, header or task.
            data_max_bad_share: Largest accepted share of rows that cannot be used, 0 to 1.
            model_backbone: Model to start from: one of `embedtune models`, a Hugging Face id, a folder or its address.
            model_max_length: Tokens after which a text is cut; 0 keeps the backbone's own limit.
            model_options: JSON object with any of the fields of ModelOptions, such as pooling, output_dim or freeze.
            train_loss: Loss by name; 'auto' chooses by layout and labels. docs/defaults.md has the rules.
            train_epochs: Passes over the training documents; 0 chooses by layout and number of rows.
            train_batch_size: Contents per optimizer step, 4 or more; 0: what fits into a GPU, 64 on a CPU.
            train_learning_rate: Peak learning rate; 0 chooses by the size of the backbone and the optimizer.
            train_seed: Seed of split, batches, dropout and bootstrap.
            train_options: JSON object with any of the fields of TrainOptions, such as optimizer, warmup or augment.
            train_cpu: Cores for the pods of training and evaluation, such as '4' or '500m'; not used without a cluster.
            train_memory: Memory for each of them, /dev/shm counted in, such as '16Gi'; not used without a cluster.
            eval_share: Share of the documents to hold out for evaluation, above 0 and below 1.
            eval_split: 'auto', 'stratified' (new rows of known labels) or 'group' (whole labels or connected pairs).
            eval_metric: Metric that decides about promotion, such as ndcg_at_10 or map_at_20.
            eval_options: JSON object with any of the fields of EvalOptions, such as cutoffs, distance or batch_size.
            register_model_name: Name of the registered model in MLflow.
            register_experiment: MLflow experiment of the run.
            register_min_gain: Least gain of eval_metric, 0 to 1, for a promotion.
            register_min_lower_bound: Bound, 0 to 1, that the gain's interval must lie above, for a promotion.
            gpu_count: Number of GPUs for training and evaluation; '0' uses the CPU.
            gpu_type: Resource name of the GPU.
            gpu_node_selector: Labels a GPU node must have.
            gpu_tolerations: Taints of GPU nodes to tolerate.
        """
        resolved = on_cluster(
            resolve_data(
                data_uri=data_uri,
                data_layout=data_layout,
                data_csv_options=data_csv_options,
                data_max_bad_share=data_max_bad_share,
                model_backbone=model_backbone,
                model_max_length=model_max_length,
                model_options=model_options,
                train_loss=train_loss,
                train_epochs=train_epochs,
                train_batch_size=train_batch_size,
                train_learning_rate=train_learning_rate,
                train_seed=train_seed,
                train_options=train_options,
                train_cpu=train_cpu,
                train_memory=train_memory,
                eval_share=eval_share,
                eval_split=eval_split,
                eval_metric=eval_metric,
                eval_options=eval_options,
                register_model_name=register_model_name,
                register_experiment=register_experiment,
                register_min_gain=register_min_gain,
                register_min_lower_bound=register_min_lower_bound,
                gpu_count=gpu_count,
                gpu_type=gpu_type,
                gpu_node_selector=gpu_node_selector,
                gpu_tolerations=gpu_tolerations,
                by_file=build is _build_by_file,
            ),
            SMALL,
        )
        version = resolved.set_caching_options(False).outputs["data_version"]
        reading = {
            "uri": data_uri,
            "layout": data_layout,
            "csv_options": data_csv_options,
            "max_bad_share": data_max_bad_share,
        }
        building = {
            "eval_share": eval_share,
            "split": eval_split,
            "seed": train_seed,
            "max_bad_share": data_max_bad_share,
        }
        documents = build(version, reading, building)
        size = train_size(train_cpu, train_memory)
        tuned = on_cluster(
            finetune_model(
                documents=documents.train,
                backbone=model_backbone,
                max_length=model_max_length,
                model_options=model_options,
                loss=train_loss,
                epochs=train_epochs,
                batch_size=train_batch_size,
                learning_rate=train_learning_rate,
                seed=train_seed,
                train_options=train_options,
                backbone_version=resolved.outputs["backbone_version"],
                gpu_count=gpu_count,
            ),
            size,
        )
        evaluated = on_cluster(
            evaluate_retrieval(
                model=tuned.outputs["model"],
                evaluation=documents.evaluation,
                train=documents.train,
                title=register_model_name,
                metric=eval_metric,
                min_gain=register_min_gain,
                min_lower_bound=register_min_lower_bound,
                eval_options=eval_options,
                evaluation_versions=resolved.outputs["evaluation_versions"],
                champion=resolved.outputs["champion"],
                seed=train_seed,
            ),
            size,
        )
        placing = resolved.outputs
        for task, count in ((tuned, gpu_count), (evaluated, placing["evaluation_gpus"])):
            on_gpu(task, gpu_type, count, placing["node_selector"], placing["tolerations"])
        registered = on_cluster(
            register_model(
                model=tuned.outputs["model"],
                scores=evaluated.outputs["scores"],
                report=evaluated.outputs["report"],
                summary=evaluated.outputs["summary"],
                model_name=register_model_name,
                experiment=register_experiment,
                data_uri=data_uri,
                data_version=version,
                csv_options=data_csv_options,
                max_bad_share=data_max_bad_share,
                pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
                started=resolved.outputs["started"],
            ),
            SMALL,
        ).set_caching_options(False)
        for task in (resolved, tuned, evaluated, registered):
            with_mlflow(task)
        for task in (resolved, tuned, evaluated):
            with_hub(task)
        return Outputs(
            model=tuned.outputs["model"],
            report=evaluated.outputs["report"],
            scores=evaluated.outputs["scores"],
            data_page=documents.data_page,
            name=registered.outputs["name"],
            version=registered.outputs["version"],
            aliases=registered.outputs["aliases"],
            reason=registered.outputs["reason"],
            run_id=registered.outputs["run_id"],
            champion=registered.outputs["champion"],
            data_version=version,
        )

    return Definition(name, description, finetune)


_PROMISE = (
    "The tuned model becomes champion only if it is better than the one it started from on held-out data, with the "
    "confidence interval above zero."
)
finetune = _define(
    "embedtune-finetune",
    f"Fine-tune an embedding model on your data, measure it, and register it. {_PROMISE}",
    _build_at_once,
)
finetune_sharded = _define(
    "embedtune-finetune-sharded",
    "The same for data in many files: each is read and built in a task of its own, which pays above a minute or so of "
    f"work per file, such as loading images. {_PROMISE}",
    _build_by_file,
)
