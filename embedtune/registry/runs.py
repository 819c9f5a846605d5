"""The MLflow run behind a model version: parameters, metrics, the dataset and the reports."""

import dataclasses
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedtune.documents.summary import DataSummary
from embedtune.errors import RegistryError
from embedtune.mlflow.artifacts import open_artifacts
from embedtune.mlflow.beside_database import database_path
from embedtune.mlflow.local_database import artifact_location
from embedtune.models.card import EpochFacts, ModelCard
from embedtune.progress import note
from embedtune.registry.contents import public_uri
from embedtune.registry.request import RegistrationRequest
from embedtune.registry.state import REGISTRATION_TAG
from embedtune.retrieval.sides import BASE, TUNED
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput, Metric, Run

RUN_VARIABLE = "MLFLOW_RUN_ID"
OWN_RUN_TAG = "embedtune.own_run"
"""Tag of runs that a registration has created."""

DATA_VERSION_TAG = "data_version"
"""Tag of runs, model versions and logged data sets with the whole version of the data."""

PIPELINE_RUN_TAG = "pipeline_run"
"""Tag of runs and model versions with the id of the pipeline's run."""

_RUNNING, _FINISHED = "RUNNING", "FINISHED"
_PARAMETERS_PER_REQUEST = 100
_METRICS_PER_REQUEST = 1000
_PARAMETER_LIMIT = 500
_DATASET_DIGEST_LIMIT = 36
"""Limits of MLflow servers; for parameters that of 1.x and 2.x, which is lower than that of 3.x."""

_REPORTS = "reports"
REPORT_PAGE = f"{_REPORTS}/report.html"
"""Path of the report's page among the files of a run."""
_DOCTYPE = b"<!doctype html>"


@contextmanager
def open_run(
    client: "MlflowClient", request: RegistrationRequest, card: ModelCard, tracking_uri: str, digest: str
) -> "Iterator[Run]":
    """Yield the run to log to, and mark it as failed where that fails; `finish_run` ends it.

    The run that MLFLOW_RUN_ID names belongs to whoever started it (Kubeflow's MLflow plugin), who also ends it. Without
    one, the run of an earlier attempt at the same registration is continued, or a new one is created.

    Raises:
        RegistryError: the experiment was deleted.
    """
    from mlflow.exceptions import MlflowException

    platform_run = os.environ.get(RUN_VARIABLE, "")
    if platform_run:
        yield client.get_run(platform_run)
        return
    run = _own_run(client, request, card, tracking_uri, digest)
    try:
        yield run
    except BaseException:
        with suppress(MlflowException):  # why it failed matters more than that MLflow cannot be told
            client.set_terminated(run.info.run_id, "FAILED")
        raise


def is_own_run(run: "Run") -> bool:
    """Tell whether a registration has created a run, and not the platform."""
    return OWN_RUN_TAG in run.data.tags


def finish_run(client: "MlflowClient", run: "Run", request: RegistrationRequest, card: ModelCard, version: int) -> None:
    """End a run of our own and call it after the version that it led to; a run of the platform's stays as it is."""
    name = f"{request.model_name} v{version}: {_what_was_trained(card)}"
    if is_own_run(run) and (run.info.status, run.info.run_name) != (_FINISHED, name):
        client.update_run(run.info.run_id, name=name)
        client.set_terminated(run.info.run_id, _FINISHED)


def _own_run(
    client: "MlflowClient", request: RegistrationRequest, card: ModelCard, tracking_uri: str, digest: str
) -> "Run":
    experiment = _experiment_id(client, request.experiment, tracking_uri)
    found = _own_runs(client, experiment, digest)
    if not found:
        made = client.create_run(
            experiment,
            start_time=_start_milliseconds(request, card),
            tags={REGISTRATION_TAG: digest, OWN_RUN_TAG: "true"},
            run_name=f"{request.model_name}: {_what_was_trained(card)}",
        )
        found = _own_runs(client, experiment, digest)
        if found[0].info.run_id != made.info.run_id:
            client.delete_run(made.info.run_id)  # nothing was logged to it
    if found[0].info.status != _RUNNING:
        client.update_run(found[0].info.run_id, status=_RUNNING)
    return found[0]


def _own_runs(client: "MlflowClient", experiment: str, digest: str) -> "list[Run]":
    """Return the runs that a registration has created, the one to go on with first: the same to all attempts."""
    of_registration = f"tags.`{REGISTRATION_TAG}` = '{digest}' and tags.`{OWN_RUN_TAG}` = 'true'"
    return sorted(client.search_runs([experiment], of_registration), key=lambda run: run.info.run_id)


def _start_milliseconds(request: RegistrationRequest, card: ModelCard) -> int:
    """Return when the work began as far as is known, so that MLflow's duration tells more than the registration.

    Steps that came from a cache ran before the pipeline's run did.
    """
    training = time.time() - card.seconds
    started = training if request.started is None else min(training, request.started.timestamp())
    return round(started * 1000)


def _what_was_trained(card: ModelCard) -> str:
    epochs = card.options.get("epochs")
    backbone = PurePosixPath(card.backbone).name
    return f"{backbone}, {card.options.get('loss')}, {epochs} {'epoch' if epochs == 1 else 'epochs'}"


def _experiment_id(client: "MlflowClient", name: str, tracking_uri: str) -> str:
    from mlflow.exceptions import MlflowException

    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        database = database_path(tracking_uri)
        location = None if database is None else artifact_location(database)  # None: the server's own place
        try:
            return client.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            experiment = client.get_experiment_by_name(name)
    if experiment is None or experiment.lifecycle_stage != "active":
        raise RegistryError(
            f"The experiment {name!r} was deleted. Restore it with 'mlflow experiments restore' or give another name."
        )
    return experiment.experiment_id


def log_facts(client: "MlflowClient", run: "Run", request: RegistrationRequest, card: ModelCard, digest: str) -> None:
    """Log parameters, tags, the datasets and the report files. Logging the same again changes nothing."""
    run_id = run.info.run_id
    client.set_tag(run_id, REGISTRATION_TAG, digest)
    client.set_tag(run_id, DATA_VERSION_TAG, request.data_version)
    if request.pipeline_run:
        client.set_tag(run_id, PIPELINE_RUN_TAG, request.pipeline_run)
    _log_parameters(client, run, _parameters(request, card))
    if request.data_uri:
        _log_datasets(client, run_id, request)
    log_files(client, run, request)


def log_files(client: "MlflowClient", run: "Run", request: RegistrationRequest) -> None:
    """Put the comparison and the reports among a run's files, in place of those of the same names."""
    with tempfile.TemporaryDirectory() as temporary:
        comparison = Path(temporary, "comparison.json")
        request.comparison.save(comparison)
        files = open_artifacts(client, run.info.artifact_uri)
        for path in (comparison, *(_with_ending(path, Path(temporary)) for path in request.reports)):
            files.put_file(f"{_REPORTS}/{path.name}", path)


def _log_parameters(client: "MlflowClient", run: "Run", parameters: dict[str, str]) -> None:
    """Log parameters, of which MLflow refuses a whole batch where one has another value already.

    That is so where the platform's run had an earlier registration, or code of somebody else's, logging to it.
    """
    from mlflow.entities import Param

    there = run.data.params
    wanted = {key: shortened(value, _PARAMETER_LIMIT) for key, value in parameters.items()}
    new = [Param(key, value) for key, value in wanted.items() if key not in there]
    for start in range(0, len(new), _PARAMETERS_PER_REQUEST):
        client.log_batch(run.info.run_id, params=new[start : start + _PARAMETERS_PER_REQUEST])
    for key in sorted(key for key, value in wanted.items() if there.get(key, value) != value):
        note(
            f"The MLflow run {run.info.run_id} says that {key} is {there[key]!r}, which stays; this registration has "
            f"{wanted[key]!r}."
        )


def _with_ending(report: Path, scratch: Path) -> Path:
    """Return a report under a name that MLflow can show."""
    if report.suffix:
        return report
    content = report.read_bytes()
    is_html = content.lstrip()[: len(_DOCTYPE)].lower() == _DOCTYPE
    named = scratch / f"report.{'html' if is_html else 'md'}"
    named.write_bytes(content)
    return named


def _parameters(request: RegistrationRequest, card: ModelCard) -> dict[str, str]:
    """Return parameters by name.

    Each has a prefix, because Kubeflow's plugin logs the task's inputs to the same run under their bare names, and
    MLflow drops a whole batch in which one parameter has another value than before.
    """
    comparison = request.comparison
    facts: dict[str, object] = {f"finetune.{key}": value for key, value in card.options.items()}
    facts |= {
        "model.backbone": card.backbone,
        "model.backbone_version": card.backbone_version,
        "model.backbone_digest": card.backbone_digest,
        "model.dimension": card.dimension,
        "model.max_length": card.max_length,
        "model.layout": card.layout,
        "data.uri": public_uri(request.data_uri),
        "data.version": request.data_version,
        "data.csv_options": request.csv_options,
        "data.max_bad_share": request.max_bad_share,
        "data.train_documents": card.train_documents,
        "data.train_digest": card.data_digest,
        **_data_parameters(request.data),
        **_epoch_parameters(card.epoch),
        "evaluation.digest": comparison.evaluation_digest,
        "evaluation.metric": comparison.decision.metric,
        "evaluation.min_gain": comparison.decision.min_gain,
        "evaluation.min_lower_bound": comparison.decision.min_lower_bound,
        "evaluation.queries": comparison.queries,
        "evaluation.index_documents": comparison.index_documents,
        "evaluation.confidence": comparison.confidence,
        "evaluation.resamples": comparison.resamples,
        "evaluation.seed": comparison.seed,
    }
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def _data_parameters(data: DataSummary | None) -> dict[str, object]:
    """Return what the data were made into, with the options that decided it."""
    if data is None:
        return {}
    return {
        "data.read": "" if data.reading is None else data.reading.how(),
        "data.rows": data.rows,
        "data.set_aside": data.quarantined + (0 if data.reading is None else data.reading.bad_rows),
        "data.split_rule": data.split_rule,
        "data.split_seed": data.seed,
        "data.eval_share": data.eval_share,
    }


def _epoch_parameters(epoch: EpochFacts | None) -> dict[str, object]:
    """Return what an epoch of the training was like; its negatives teach more about a batch than its size does."""
    return {} if epoch is None else {f"training.{name}": value for name, value in dataclasses.asdict(epoch).items()}


def _log_datasets(client: "MlflowClient", run_id: str, request: RegistrationRequest) -> None:
    """Log what the model was trained on and, as far as its comparison tells, what was held out of the same data."""
    comparison = request.comparison
    inputs = [_dataset_input(request.data_uri, "training", DATA_VERSION_TAG, request.data_version)]
    if comparison.evaluation_digest:
        size = {"queries": comparison.queries, "index_documents": comparison.index_documents}
        inputs.append(
            _dataset_input(request.data_uri, "evaluation", "evaluation_digest", comparison.evaluation_digest, size)
        )
    client.log_inputs(run_id, inputs)


def _dataset_input(
    data_uri: str, context: str, key: str, version: str, size: dict[str, int] | None = None
) -> "DatasetInput":
    """Return data as MLflow names them.

    Args:
        data_uri: Where they come from.
        context: What they are to the run, in MLflow's word.
        key: Tag with their whole version, of which MLflow's digest holds less than a sha256.
        version: Hash or etag.
        size: What is in them, None where nothing is told.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    uri = public_uri(data_uri)
    scheme = urlsplit(uri).scheme
    web = scheme in ("http", "https")
    dataset = Dataset(
        name=PurePosixPath(urlsplit(uri).path).name or uri,
        digest=version.rpartition(":")[2][:_DATASET_DIGEST_LIMIT],
        source_type="http" if web else "s3" if scheme in ("s3", "minio") else "local",
        source=json.dumps({"url" if web else "uri": uri}),
        profile=None if size is None else json.dumps(size),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", context), InputTag(key, version)])


def log_metrics(
    client: "MlflowClient", run: "Run", request: RegistrationRequest, card: ModelCard, model_id: str
) -> None:
    """Log all metrics to the run, and those of the tuned model to the logged model too."""
    metrics = list(_metrics(run, request, card, model_id))
    for start in range(0, len(metrics), _METRICS_PER_REQUEST):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + _METRICS_PER_REQUEST])


def _metrics(run: "Run", request: RegistrationRequest, card: ModelCard, model_id: str) -> "Iterator[Metric]":
    from mlflow.entities import Metric

    # MLflow keeps one point per name, time, step and value: with the run's own start, a retry adds no second one.
    time = run.info.start_time
    for metric in request.comparison.metrics:
        for side, value in metric.values.items():
            yield Metric(f"{side}/{metric.name}", value, time, 0, model_id=model_id if side == TUNED else None)
    for found in request.comparison.differences:
        against = "" if found.against == BASE else f"_to_{found.against}"
        for name, value in (("difference", found.value), ("lower", found.lower), ("upper", found.upper)):
            yield Metric(f"{name}{against}/{found.metric}", value, time, 0, model_id=model_id)
    for table in request.comparison.side_tables:
        for metric in table.metrics:
            for side, value in metric.values.items():
                name = f"evaluations/{table.name}/{side}/{metric.name}"
                yield Metric(name, value, time, 0, model_id=model_id if side == TUNED else None)
    for name, value, step in _of_training(card):
        yield Metric(name, value, time, step)


def _of_training(card: ModelCard) -> "Iterator[tuple[str, float, int]]":
    """Yield name, value and optimizer step of what the training logged, and of what it came to."""
    for point in card.history:
        yield "train/loss", point.loss, point.step
    if card.validation is not None:
        for score in card.validation.scores:
            yield f"validation/{card.validation.metric}", score.value, score.step
    yield "train/seconds", card.seconds, 0
    yield "train/texts_per_second", card.texts_per_second, 0
    yield "parity/max_difference", card.parity_max_difference, 0
