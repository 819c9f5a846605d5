"""What several test folders share: tiny models with random weights, and a server. No test needs the internet."""

import os
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.mlflow_server import mlflow_serving

# Read once, when huggingface_hub is imported.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(scope="session")
def tiny_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A BERT of 2 layers and 32 components that reads 64 tokens, one per character; share it, change only copies."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    characters = string.ascii_lowercase + string.digits + "./:-,;"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{c}" for c in characters)]
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    bert = tmp_path_factory.mktemp("bert")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        BertModel(config).save_pretrained(bert)
    BertTokenizerFast(vocab={word: number for number, word in enumerate(words)}).save_pretrained(bert)
    folder = tmp_path_factory.mktemp("tiny")
    SentenceTransformer(str(bert), device="cpu").save(str(folder), create_model_card=False)
    return folder


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny random models of transformers, as a hub gives them: `tiny_models('vit')`; see that file."""
    from tests.tiny_models import save_tiny

    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            save_tiny(kind, made[kind])
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server; whoever shares it registers models of their own names."""
    with mlflow_serving(tmp_path_factory.mktemp("server")) as url:
        yield url
