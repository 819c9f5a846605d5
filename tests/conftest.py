"""What several test folders share: tiny models with random weights, and a server. No test needs the internet."""

import os
import string
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from embedtune.importing import importing
from tests.mlflow_server import mlflow_serving

# Read once, when huggingface_hub is imported.
os.environ["HF_HUB_OFFLINE"] = "1"

SHARING_RUNS = tuple(
    f"tests/local/test_{name}.py" for name in ("backbones", "broken_runs", "finished_runs", "life_of_a_run")
)
"""Files that look at the same runs of the whole pipeline."""
SLOWEST = (
    *SHARING_RUNS,
    "tests/steps/test_several_processes.py",
    "tests/local/test_four_tasks.py",
    "tests/local/test_champion_stays.py",
    "tests/registry/test_moved_folder.py",
    "tests/registry/test_at_once.py",
    "tests/training/test_two_processes.py",
    "tests/registry/test_serving.py",
)
"""Files that take from half a minute to minutes, the slowest first, so that none is left to one process at the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give the tests to several processes by file, so that none makes for itself what a file's tests share."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return SHARING_RUNS[0] if file in SHARING_RUNS else file

    config.option.loadscopereorder = False  # by the number of tests, of which the slowest files have few
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {file: place for place, file in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(SLOWEST)))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Import all that the tests import without looking for garbage, neither now nor in each test that collects it."""
    with importing("sentence_transformers"):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _float32_on_every_machine() -> Iterator[None]:
    """Let tests come to the same numbers whether or not the machine has bfloat16; those of it say so themselves."""
    from embedtune.models import precision

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "has_bfloat16", lambda _device: False)
        yield


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
