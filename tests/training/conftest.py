"""Short trainings of the tiny model, straight or interrupted."""

import gc
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedtune.models.contents import Contents
from embedtune.models.loading import load_model, weights_digest
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.trainer import TrainingResult, train
from embedtune.training.validation_set import ValidationSet
from embedtune.training.watching import WatchCallback


@dataclass(frozen=True)
class Run:
    """A finished training."""

    model: SentenceTransformer
    result: TrainingResult

    @property
    def weights(self) -> str:
        return weights_digest(self.model)

    @property
    def losses(self) -> list[float]:
        return [point.loss for point in self.result.history]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    torch.set_num_threads(1)
    # accelerate collects garbage before each training, which takes half a second over all that is imported.
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def examples() -> TrainingSet:
    """Random texts: 40 of 8 labels."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh "), rng.integers(2, 30))) for _ in range(40)]
    return TrainingSet(Contents.of_texts(texts), np.arange(40) % 8)


@pytest.fixture(scope="session")
def config(tiny_model_folder: Path) -> FinetuneConfig:
    """Three epochs of six steps: five of 4 pairs, and one of the odd ones out."""
    return FinetuneConfig(
        backbone=str(tiny_model_folder),
        max_length=32,
        loss="MultipleNegativesRankingLoss",
        epochs=3,
        batch_size=8,
        learning_rate=1e-3,
        train_options='{"items_per_label": 2}',
    )


@pytest.fixture(scope="session")
def run_training() -> Callable[..., Run]:
    """Train as the fine-tuning step does: `run_training(examples, config, root, digest, validation)`."""

    def run(
        examples: TrainingSet,
        config: FinetuneConfig,
        root: str = "",
        digest: str = "digest",
        validation: ValidationSet | None = None,
    ) -> Run:
        model = load_model(config.backbone, config.max_length)
        with TemporaryDirectory() as scratch:
            checkpoints = CheckpointStore(root, digest, Path(scratch))
            return Run(model, train(model, examples, config, checkpoints, validation=validation))

    return run


@pytest.fixture
def at_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], None]:
    """Do something once, in the middle of a training: `at_step(4, terminate)`."""
    counted = WatchCallback.on_step_end

    def arrange(step: int, act: Callable[[], None]) -> None:
        done: list[int] = []

        def on_step_end(self, args, state, control, **kwargs):
            counted(self, args, state, control, **kwargs)
            if state.global_step == step and not done:
                done.append(step)
                act()

        monkeypatch.setattr(WatchCallback, "on_step_end", on_step_end)

    return arrange


@pytest.fixture
def terminate() -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), signal.SIGTERM)
