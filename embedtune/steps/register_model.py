"""Step 6: the tuned model becomes a version in the MLflow registry, and champion if it earned it."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from embedtune.cluster.links import kubeflow_run, mlflow_file, mlflow_run, mlflow_version
from embedtune.documents.summary import DataSummary
from embedtune.errors import ConfigError, InputError
from embedtune.mlflow.patience import patiently
from embedtune.registry.contents import check_model_name
from embedtune.registry.register import register_model as register
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import REPORT_PAGE
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.score_files import COMPARISON_FILE, LABEL_NOISE_FILE, MAP_FILE, QUERY_SCORES_FILE, TREC_FILES
from embedtune.steps.evaluate_retrieval import DATA_FILE
from embedtune.steps.running import step
from embedtune.storage.locations import parse_location


@dataclass(frozen=True)
class RegisterModelConfig:
    """Configuration of the step. Where MLflow is comes from the environment: MLFLOW_TRACKING_URI."""

    model_name: str
    """Name of the registered model: letters, digits, space, and . _ -"""
    experiment: str = "embedtune"
    """MLflow experiment of the run."""
    data_uri: str = ""
    """Where the training data came from, for the record; '' if that is not known."""
    data_version: str = ""
    """Version of the training data, for the record."""
    csv_options: str = "{}"
    """CSV options that the data were read with, for the record."""
    max_bad_share: float = 0.01
    """Share of rows that could not be used and was accepted, for the record."""
    pipeline_run: str = ""
    """Id of the pipeline's run, for the record; '' if that is not known."""
    started: str = ""
    """When the run began, in ISO 8601 with its time zone, for the record; '' if that is not known."""

    def __post_init__(self) -> None:
        self.start()
        check_model_name(self.model_name)
        if not self.experiment.strip():
            raise ConfigError("experiment is blank; give the name of an MLflow experiment, such as embedtune.")
        if self.data_uri:
            parse_location(self.data_uri)

    def start(self) -> datetime | None:
        """Return `started` as a time, None where it is not known.

        Raises:
            ConfigError: it is no time with a time zone.
        """
        if not self.started:
            return None
        try:
            time = datetime.fromisoformat(self.started)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            raise ConfigError(f"started is {self.started!r}; accepted: '' or a time such as 2026-01-31T12:00:00+00:00.")
        return time


@step
def register_model(config: RegisterModelConfig, model: Path, scores: Path, reports: tuple[Path, ...]) -> Registration:
    """Register a model with everything known about it.

    Args:
        config: The configuration.
        model: Model folder of the fine-tuning step.
        scores: Scores folder of the evaluation step.
        reports: Files to keep with the MLflow run.

    Raises:
        InputError: the scores folder holds no comparison.
        ModelError: the model folder was not written by the fine-tuning step.
        RegistryError: MLflow cannot be reached for minutes, or refuses.
    """
    if not (scores / COMPARISON_FILE).is_file():
        raise InputError(f"{scores} holds no {COMPARISON_FILE}. Give the 'scores' output of the evaluation step.")
    kept = tuple(scores / name for name in (QUERY_SCORES_FILE, LABEL_NOISE_FILE, DATA_FILE, MAP_FILE, *TREC_FILES))
    request = RegistrationRequest(
        model_folder=model,
        comparison=Comparison.load(scores / COMPARISON_FILE),
        model_name=config.model_name,
        data_uri=config.data_uri,
        data_version=config.data_version,
        data=DataSummary.load(scores / DATA_FILE) if (scores / DATA_FILE).is_file() else None,
        csv_options=config.csv_options,
        max_bad_share=config.max_bad_share,
        started=config.start(),
        pipeline_run=config.pipeline_run,
        experiment=config.experiment,
        reports=(*reports, *(path for path in kept if path.exists())),
    )
    return patiently("MLflow", lambda: register(request))  # which goes on where it was broken off


def registration_page(made: Registration, pipeline_run: str) -> str:
    """Return what Kubeflow shows of a registration, with links where the environment says what they begin with.

    Args:
        made: The registration.
        pipeline_run: Id of the pipeline's run, '' if that is not known.
    """
    pages = {
        "The version in MLflow": mlflow_version(made.name, made.version),
        "Its run in MLflow": mlflow_run(made.run_id),
        "The report": mlflow_file(made.run_id, REPORT_PAGE),
        "The run in Kubeflow": kubeflow_run(pipeline_run) if pipeline_run else "",
    }
    return made.to_markdown({name: address for name, address in pages.items() if address})
