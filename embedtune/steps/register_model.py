"""Step 6: the tuned model becomes a version in the MLflow registry, and champion if it earned it."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError, InputError
from embedtune.registry.contents import check_model_name
from embedtune.registry.register import register_model as register
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.retrieval.comparison import Comparison
from embedtune.steps.evaluate_retrieval import COMPARISON_FILE, QUERY_SCORES_FILE, TREC_FILES
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

    def __post_init__(self) -> None:
        check_model_name(self.model_name)
        if not self.experiment.strip():
            raise ConfigError("experiment is blank; give the name of an MLflow experiment, such as embedtune.")
        if self.data_uri:
            parse_location(self.data_uri)


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
        RegistryError: MLflow cannot be reached or refuses.
    """
    if not (scores / COMPARISON_FILE).is_file():
        raise InputError(f"{scores} holds no {COMPARISON_FILE}. Give the 'scores' output of the evaluation step.")
    kept = tuple(scores / name for name in (QUERY_SCORES_FILE, *TREC_FILES))
    return register(
        RegistrationRequest(
            model_folder=model,
            comparison=Comparison.load(scores / COMPARISON_FILE),
            model_name=config.model_name,
            data_uri=config.data_uri,
            data_version=config.data_version,
            experiment=config.experiment,
            reports=(*reports, *(path for path in kept if path.exists())),
        )
    )
