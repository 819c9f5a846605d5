"""The tiny model with a card, and one MLflow database for the whole folder."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from embedtune.mlflow.connection import TRACKING_VARIABLE, local_tracking_uri
from embedtune.mlflow.local_database import artifact_location
from embedtune.models.card import EpochFacts, LossPoint, ModelCard
from embedtune.registry.request import RegistrationRequest
from embedtune.retrieval.comparison import Comparison, Decision
from embedtune.retrieval.metric_names import METRIC_NAMES
from tests.comparisons import two_sides

CARD = ModelCard(
    backbone="tiny-bert",
    backbone_digest="sha256:00",
    dimension=32,
    max_length=64,
    layout="labeled",
    train_documents=12,
    data_digest="sha256:11",
    options={"epochs": 3, "learning_rate": 1e-4, "loss": "TripletMarginLoss", "long": "x" * 2000},
    history=(LossPoint(1, 0.5, 2.0), LossPoint(2, 1.0, 1.5)),
    epoch=EpochFacts(contents_used=12, rows_per_batch=6.0, negatives=4.5),
    seconds=3.0,
    texts_per_second=8.0,
    image="registry.example.org/embedtune-train:1.2",
    versions={"torch": "2.13.0+cpu", "transformers": "5.23.0", "sentence-transformers": "6.2.0", "numpy": "2.4.6"},
    parity_max_difference=1e-7,
    servers={"text-embeddings-inference": "", "vllm": "it knows no module GeM"},
)


@dataclasses.dataclass(frozen=True)
class Registry:
    tracking_uri: str
    artifact_location: str


@pytest.fixture(autouse=True)
def _no_platform_run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(variable, raising=False)
    if "registry" in request.fixturenames:
        # Each folder that takes the fixture has one of its own, and files come in any order.
        monkeypatch.setenv(TRACKING_VARIABLE, request.getfixturevalue("registry").tracking_uri)


@pytest.fixture(scope="session")
def model_folder(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registered") / "model"
    shutil.copytree(tiny_model_folder, folder)
    CARD.save(folder)
    return folder


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(local_tracking_uri(folder), artifact_location(folder / "mlflow.db"))


@pytest.fixture(scope="session")
def make_request(model_folder: Path, registry: Registry) -> Callable[..., RegistrationRequest]:
    def make(name: str, gain: float = 0.1, better: bool = True, **changes: object) -> RegistrationRequest:
        request = RegistrationRequest(
            model_folder=model_folder,
            comparison=comparison(gain, better),
            model_name=name,
            data_uri="s3://user:hunter2@bucket/data/train.csv?X-Amz-Signature=hunter2",
            data_version="sha256:" + "ab" * 32,
        )
        return dataclasses.replace(request, **changes)

    return make


def comparison(gain: float, better: bool) -> Comparison:
    numbers = [(name, 0.5, 0.5 + gain, gain, gain - 0.01, gain + 0.01) for name in METRIC_NAMES]
    decision = Decision(better, "nDCG@10 rose enough.", "ndcg_at_10", 0.0)
    return two_sides(numbers, decision, evaluation_digest="sha256:" + "e1" * 32)
