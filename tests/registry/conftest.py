"""A tiny model with random weights, made from a config, and one MLflow database for the whole folder."""

import dataclasses
import string
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer
from transformers import BertConfig, BertModel, BertTokenizerFast

from embedtune.models.card import LossPoint, ModelCard
from embedtune.registry.request import RegistrationRequest
from embedtune.registry.tracking import local_artifact_location, local_tracking_uri
from embedtune.retrieval.comparison import METRIC_NAMES, Comparison, Decision, MetricComparison

CHARACTERS = string.ascii_lowercase + string.digits + "./:-,;"
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
    seconds=3.0,
    texts_per_second=8.0,
    versions={"torch": "2.13.0+cpu", "transformers": "5.23.0", "sentence-transformers": "6.2.0", "numpy": "2.4.6"},
    parity_max_difference=1e-7,
)


@dataclasses.dataclass(frozen=True)
class Registry:
    tracking_uri: str
    artifact_location: str


@pytest.fixture(autouse=True)
def _no_platform_run(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_ID"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *CHARACTERS, *(f"##{c}" for c in CHARACTERS)]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    bert = tmp_path_factory.mktemp("bert")
    BertModel(config).save_pretrained(bert)
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(bert)
    folder = tmp_path_factory.mktemp("model")
    SentenceTransformer(str(bert), device="cpu").save(str(folder), create_model_card=False)
    CARD.save(folder)
    return folder


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    folder = tmp_path_factory.mktemp("mlflow")
    return Registry(local_tracking_uri(folder), local_artifact_location(folder))


@pytest.fixture(scope="session")
def make_request(model_folder: Path, registry: Registry) -> Callable[..., RegistrationRequest]:
    def make(name: str, gain: float = 0.1, promoted: bool = True, **changes: object) -> RegistrationRequest:
        request = RegistrationRequest(
            model_folder=model_folder,
            comparison=comparison(gain, promoted),
            model_name=name,
            data_uri="s3://user:hunter2@bucket/data/train.csv?X-Amz-Signature=hunter2",
            data_version="sha256:" + "ab" * 32,
            tracking_uri=registry.tracking_uri,
            run_tags={"kfp.run_id": "run-1"},
        )
        return dataclasses.replace(request, **changes)

    return make


def comparison(gain: float, promoted: bool) -> Comparison:
    metrics = (MetricComparison(name, 0.5, 0.5 + gain, gain, gain - 0.01, gain + 0.01) for name in METRIC_NAMES)
    return Comparison(
        metrics=tuple(metrics),
        decision=Decision(promoted, "nDCG@10 rose enough.", "ndcg_at_10", 0.0),
        queries=10,
        queries_without_relevant=0,
        index_documents=20,
        base_tied_queries=0,
        tuned_tied_queries=0,
        tuned_mean_cosine=0.2,
        confidence=0.95,
        resamples=1000,
        seed=42,
        examples=(),
    )
