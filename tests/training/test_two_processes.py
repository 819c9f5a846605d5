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
from torch.optim.optimizer import register_optimizer_step_pre_hook

from embedtune.models.contents import Contents
from embedtune.models.loading import load_model
from embedtune.training import trainer
from embedtune.training.batches import share_of
from embedtune.training.checkpoints import CheckpointStore
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.processes import ALONE, joined

backbone, target, pairs = sys.argv[1], Path(sys.argv[2]), 32
together = joined(int(sys.argv[3]), 2, Path(sys.argv[4])) if len(sys.argv) > 3 else nullcontext(ALONE)
torch.set_num_threads(1)
rows, gradients = [], []


class Recording(trainer.Collator):
    def __call__(self, batch):
        share = share_of(np.stack(batch), self.processes.rank, self.processes.count)
        rows.append([row.tolist() for row in share])
        return super().__call__(batch)


class RowLoss(torch.nn.Module):
    '''The mean over rows of how far each is from its score; no row depends on another.'''

    def forward(self, columns, targets):
        scale = 1e-3  # no gradient is so long that it would be cut
        return scale * ((columns[0] - columns[1]).square().sum(dim=1) - 30 * targets).square().mean()


def note(optimizer, *_):
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    parts = [torch.zeros_like(each) if each.grad is None else each.grad for each in weights]
    gradients.append(torch.cat([part.flatten() for part in parts]).numpy())


trainer.Collator, trainer.build_objective = Recording, lambda *_: RowLoss()
register_optimizer_step_pre_hook(note)
model = load_model(backbone, 0)
for module in model.modules():
    if isinstance(module, torch.nn.Dropout):
        module.p = 0.0  # each process draws its own
texts = ["abcdefghij"[number % 7 :] + "xyz"[: number % 4] for number in range(2 * pairs)]
examples = TrainingSet(
    Contents.of_texts(texts),
    np.zeros(2 * pairs, np.int64),
    np.arange(2 * pairs).reshape(-1, 2),
    scores=np.linspace(0, 1, pairs, dtype=np.float32),
)
config = FinetuneConfig(
    backbone=backbone, loss="CoSENTLoss", epochs=2, batch_size=16, learning_rate=0.01,
    train_options='{"optimizer": "SGD", "warmup": 0.0}',
)
with TemporaryDirectory() as scratch, together as processes:
    trainer.train(model, examples, config, CheckpointStore("", "digest", Path(scratch)), processes)
weights = torch.cat([weight.detach().flatten() for weight in model.parameters()])
np.savez(target, gradients=np.stack(gradients), weights=weights.numpy(), rows=json.dumps(rows))
"""
"""Trains a model on scored pairs, and writes each step's rows and gradient, and the weights at the end."""

RANKS = 2


def start(backbone: Path, target: Path, rank: int | None, meeting: Path) -> subprocess.Popen[str]:
    """Start a process; alone where it has no rank."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    group = [] if rank is None else [str(rank), str(meeting)]
    command = [sys.executable, "-c", PROCESS, str(backbone), str(target), *group]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def trained(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, np.ndarray]]:
    """What one process left behind, and then what each of two did."""
    folder = tmp_path_factory.mktemp("processes")
    targets = [folder / f"{name}.npz" for name in ("alone", "0", "1")]
    running = [
        start(tiny_model_folder, target, rank, folder / "meeting")
        for target, rank in zip(targets, (None, *range(RANKS)), strict=True)
    ]
    try:
        for process in running:
            told = process.communicate(timeout=240)[1]
            assert process.returncode == 0, told
    finally:
        for process in running:  # one waits for ever for another that failed
            process.kill()
    return [dict(np.load(target)) for target in targets]


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
    assert 1e-4 < longest < 0.5
    for gradients in shares:
        np.testing.assert_allclose(gradients, alone, rtol=0, atol=1e-5 * longest)


def test_they_end_with_the_weights_of_one_process(trained):
    alone, *shares = (left["weights"] for left in trained)
    for weights in shares:
        np.testing.assert_allclose(weights, alone, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(*shares)
