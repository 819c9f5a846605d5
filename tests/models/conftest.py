"""The tiny model in memory, and copies of its folder to damage."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedtune.models.loading import load_model


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def model(tiny_model_folder: Path) -> SentenceTransformer:
    return load_model(str(tiny_model_folder), 0)


@pytest.fixture
def copied(tiny_model_folder: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model_folder, tmp_path / "copy")


@pytest.fixture
def save_transformer(copied: Path, tmp_path: Path) -> Callable[[torch.nn.Module], Path]:
    """Save a transformers model with the tiny model's tokenizer, without what sentence-transformers adds."""

    def save(transformer: torch.nn.Module) -> Path:
        folder = tmp_path / type(transformer).__name__
        transformer.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copy(copied / name, folder / name)
        return folder

    return save
