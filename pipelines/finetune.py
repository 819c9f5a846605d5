"""Two pipelines: data become a better, registered retrieval model, read by one task or by one task for each file."""

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Dict, NamedTuple

from kfp import dsl
from kfp.dsl import HTML, Artifact, Model, PipelineTask
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
from pipelines.form import with_form
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


def build_at_once(version: PipelineParameterChannel, reading: Dict[str, Any], building: Dict[str, Any]) -> Documents:
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


Build = Callable[[PipelineParameterChannel, Dict[str, Any], Dict[str, Any]], Documents]
"""Adds the tasks that turn data into documents: of a version of the data, how they are read, and how built."""


def resolve(given: Dict[str, Any], **kind: Any) -> PipelineTask:
    """Add the task that checks every parameter and finds out the versions; `kind` is what it does not find there."""
    task = with_hub(with_mlflow(on_cluster(resolve_data(**given, **kind), SMALL)))
    return task.set_caching_options(False)


def build_with(build: Build, given: Dict[str, Any], version: PipelineParameterChannel) -> Documents:
    """Add the tasks that turn the data into documents."""
    reading = {
        "uri": given["data_uri"],
        "layout": given["data_layout"],
        "csv_options": given["data_csv_options"],
        "max_bad_share": given["data_max_bad_share"],
    }
    building = {
        "eval_share": given["eval_share"],
        "split": given["eval_split"],
        "seed": given["train_seed"],
        "max_bad_share": given["data_max_bad_share"],
    }
    return build(version, reading, building)


def with_model(task: PipelineTask, given: Dict[str, Any], resolved: PipelineTask, gpus: Any) -> PipelineTask:
    """Give a task what one that runs a model needs of the cluster.

    Args:
        task: The task.
        given: The pipeline's parameters.
        resolved: The first task, which knows whether GPUs are wanted.
        gpus: How many of them this one takes.
    """
    on_cluster(task, train_size(given["train_cpu"], given["train_memory"]))
    placing = resolved.outputs
    on_gpu(task, given["gpu_type"], gpus, placing["node_selector"], placing["tolerations"])
    return with_hub(with_mlflow(task))


def judge(
    given: Dict[str, Any], resolved: PipelineTask, documents: Documents, model: PipelineArtifactChannel
) -> Dict[str, Any]:
    """Add the tasks that judge a model and register it, and return what every pipeline hands to its caller."""
    versions = resolved.outputs
    evaluated = with_model(
        evaluate_retrieval(
            model=model,
            evaluation=documents.evaluation,
            train=documents.train,
            title=given["register_model_name"],
            metric=given["eval_metric"],
            min_gain=given["register_min_gain"],
            min_lower_bound=given["register_min_lower_bound"],
            eval_options=given["eval_options"],
            evaluation_versions=versions["evaluation_versions"],
            champion=versions["champion"],
            seed=given["train_seed"],
        ),
        given,
        resolved,
        versions["evaluation_gpus"],
    )
    registered = register_model(
        model=model,
        scores=evaluated.outputs["scores"],
        report=evaluated.outputs["report"],
        summary=evaluated.outputs["summary"],
        model_name=given["register_model_name"],
        experiment=given["register_experiment"],
        data_uri=given["data_uri"],
        data_version=versions["data_version"],
        csv_options=given["data_csv_options"],
        max_bad_share=given["data_max_bad_share"],
        pipeline_run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        started=versions["started"],
    )
    found = with_mlflow(on_cluster(registered, SMALL).set_caching_options(False)).outputs
    return {
        "model": model,
        "report": evaluated.outputs["report"],
        "scores": evaluated.outputs["scores"],
        "data_page": documents.data_page,
        **{name: found[name] for name in ("name", "version", "aliases", "reason", "run_id", "champion")},
        "data_version": versions["data_version"],
    }


def _define(name: str, description: str, build: Build) -> Definition:
    """Return the pipeline that builds its documents in this way."""

    def add_tasks(given: Dict[str, Any]) -> Outputs:
        resolved = resolve(given, train_grid="{}", by_file=build is _build_by_file, sweep=False)
        documents = build_with(build, given, resolved.outputs["data_version"])
        tuned = finetune_model(
            documents=documents.train,
            backbone=given["model_backbone"],
            max_length=given["model_max_length"],
            model_options=given["model_options"],
            loss=given["train_loss"],
            epochs=given["train_epochs"],
            batch_size=given["train_batch_size"],
            learning_rate=given["train_learning_rate"],
            seed=given["train_seed"],
            train_options=given["train_options"],
            backbone_version=resolved.outputs["backbone_version"],
            gpu_count=given["gpu_count"],
        )
        with_model(tuned, given, resolved, given["gpu_count"])
        return Outputs(**judge(given, resolved, documents, tuned.outputs["model"]))

    return Definition(name, description, with_form(add_tasks, Outputs))


PROMISE = (
    "The tuned model becomes champion only if it is better than the one it started from on held-out data, with the "
    "confidence interval above zero."
)
finetune = _define(
    "embedtune-finetune",
    f"Fine-tune an embedding model on your data, measure it, and register it. {PROMISE}",
    build_at_once,
)
finetune_sharded = _define(
    "embedtune-finetune-sharded",
    "The same for data in many files: each is read and built in a task of its own, which pays above a minute or so of "
    f"work per file, such as loading images. {PROMISE}",
    _build_by_file,
)
