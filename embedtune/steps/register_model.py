"""Step 6: the tuned model becomes a version in the MLflow registry, and champion if it earned it."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.registry.register import register_model as register
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.retrieval.comparison import Comparison
from embedtune.steps.evaluate_retrieval import COMPARISON_FILE, QUERY_SCORES_FILE, TREC_FILES
from embedtune.steps.running import step


@dataclass(frozen=True)
class RegisterModelConfig:
    """Configuration of the step. Where MLflow is comes from the environment: MLFLOW_TRACKING_URI."""

    model_name: str
    """Name of the registered model: letters, digits, space, and . _ -"""
    experiment: str = "embedtune"
    """MLflow experiment of the run."""
    data_uri: str = ""
    """Where the training data came from, for the record."""
    data_version: str = ""
    """Version of the training data, for the record."""


@step
def register_model(config: RegisterModelConfig, model: Path, scores: Path, reports: tuple[Path, ...]) -> Registration:
    """Register a model with everything known about it.

    Args:
        config: The configuration.
        model: Model folder of the fine-tuning step.
        scores: Scores folder of the evaluation step.
        reports: Files to keep with the MLflow run.

    Raises:
        RegistryError: MLflow cannot be reached or refuses.
    """
    kept = tuple(scores / name for name in (COMPARISON_FILE, QUERY_SCORES_FILE, *TREC_FILES))
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
