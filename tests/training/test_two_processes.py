"""Two processes train on shares of one plan: together they see what one process sees, and go where it goes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

PROCESS = """
import json, sys
from contextlib import nullcontext
import numpy as np, torch
from pathlib import Path
from tempfile import TemporaryDirectory
from torch.multiprocessing import start_processes
from torch.optim.optimizer import register_optimizer_step_pre_hook

from embedtune.models.contents import Contents
from embedtune.models.loading import load_model
from embedtune.training import trainer
from embedtune.training.batches import share_of
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.processes import ALONE, joined

RANKS, PAIRS = 2, 32
rows, gradients = [], []
build_objective = trainer.build_objective


class Recording(trainer.Collator):
    def __call__(self, batch):
        share = share_of(np.stack(batch), self.processes.rank, self.processes.count)
        rows.append([row.tolist() for row in share])
        return super().__call__(batch)


class Scaled(torch.nn.Module):
    '''The loss, so small that no gradient is so long that it would be cut.'''

    def __init__(self, *arguments):
        super().__init__()
        self.whole = build_objective(*arguments)

    def forward(self, columns, targets):
        return 1e-2 * self.whole(columns, targets)


def note(optimizer, *_):
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in weights]
    gradients.append(torch.cat([part.flatten() for part in parts]).numpy())


def run(rank, backbone, folder):
    together = joined(rank, RANKS, folder / "meeting") if rank < RANKS else nullcontext(ALONE)
    torch.set_num_threads(1)
    trainer.Collator, trainer.build_objective = Recording, Scaled
    register_optimizer_step_pre_hook(note)
    model = load_model(backbone, 0)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # each process draws its own
    texts = ["abcdefghij"[number % 7 :] + "xyz"[: number % 4] for number in range(2 * PAIRS)]
    examples = TrainingSet(
        Contents.of_texts(texts),
        np.zeros(2 * PAIRS, np.int64),
        np.arange(2 * PAIRS).reshape(-1, 2),
        scores=np.linspace(0, 1, PAIRS, dtype=np.float32),
    )
    config = FinetuneConfig(
        backbone=backbone, loss="CoSENTLoss", epochs=2, batch_size=16, learning_rate=0.01,
        train_options='{"optimizer": "SGD", "warmup": 0.0, "precision": "float32"}',
    )
    with TemporaryDirectory() as scratch, together as processes:
        trainer.train(model, examples, config, CheckpointStore("", "digest", Path(scratch)), processes)
    weights = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    np.savez(folder / f"{rank}.npz", gradients=np.stack(gradients), weights=weights.numpy(), rows=json.dumps(rows))


if __name__ == "__main__":
    # Forked, so that the libraries, which take longer than all else here, are imported once.
    start_processes(run, (sys.argv[1], Path(sys.argv[2])), nprocs=RANKS + 1, start_method="fork")
"""
"""Trains a model on scored pairs in ranks 0 and 1, and alone in rank 2; each writes the rows and the gradient of each
step, and the weights at the end."""


@pytest.fixture(scope="module")
def trained(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What one process left behind, and then what each of two did."""
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, "-c", PROCESS, str(tiny_model_folder), str(folder)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    ended = subprocess.run(command, env=environment, stderr=subprocess.PIPE, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    return [dict(np.load(folder / f"{rank}.npz")) for rank in (2, 0, 1)]


def rows_of(left: dict[str, np.ndarray]) -> list[list[list[int]]]:
    found: list[list[list[int]]] = json.loads(str(left["rows"]))
    return found


def test_together_they_see_each_row_of_each_batch_once(trained):
    alone, *shares = (rows_of(left) for left in trained)
    assert len(alone) == len(shares[0]) == len(shares[1]) == 8
    for batch, *parts in zip(alone, *shares, strict=True):
        assert len(parts[0]) == len(parts[1])
        assert parts[0] + parts[1] == batch


def test_the_mean_of_their_gradients_is_that_of_one_process(trained):
    alone, *shares = (left["gradients"] for left in trained)
    longest = np.abs(alone).max()
    assert longest > 1e-4
    assert np.linalg.norm(alone, axis=1).max() < 0.5
    for gradients in shares:
        np.testing.assert_allclose(gradients, alone, rtol=0, atol=1e-5 * longest)


def test_they_end_with_the_weights_of_one_process(trained):
    alone, *shares = (left["weights"] for left in trained)
    for weights in shares:
        np.testing.assert_allclose(weights, alone, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(*shares)
