"""A loss that gets the state of another one goes on as that one would: with its weights, queues and positions."""

import functools
import json
import random

import numpy as np
import pytest
import torch
from pytorch_metric_learning import losses, miners
from torch import nn

from embedtune.errors import TrainingError
from embedtune.training.config import LOSSES
from embedtune.training.loss_state import check_loss_state, restore_loss_state, save_loss_state
from embedtune.training.objectives import LabelObjective, build_objective

ROWS, DIMENSION, LABELS = 8, 6, 4


def columns(seed: int) -> list[torch.Tensor]:
    return [torch.randn(ROWS, DIMENSION, generator=torch.Generator().manual_seed(seed))]


def cross_batch(memory_size: int) -> nn.Module:
    inner = losses.NTXentLoss()
    miner = miners.MultiSimilarityMiner()
    return LabelObjective(losses.CrossBatchMemory(inner, DIMENSION, memory_size=memory_size, miner=miner))


@pytest.mark.parametrize("steps", [1, 2, 5])  # of 8 rows in a queue of 20: filled in the third
def test_a_queue_goes_on_where_it_was(tmp_path, steps):
    targets = torch.arange(ROWS) % LABELS
    first, second = cross_batch(20), cross_batch(20)
    for step in range(steps):
        first(columns(step), targets)
    save_loss_state(first, tmp_path)
    restore_loss_state(second, tmp_path)
    assert second.loss.queue_idx == steps * ROWS % 20
    for step in (7, 8, 9):
        assert second(columns(step), targets).item() == first(columns(step), targets).item()


def test_without_its_attributes_a_queue_would_begin_anew():
    """What makes this more than `state_dict`."""
    targets = torch.arange(ROWS) % LABELS
    first, second = cross_batch(20), cross_batch(20)
    first(columns(0), targets)
    second.load_state_dict(first.state_dict())
    assert second(columns(1), targets).item() != first(columns(1), targets).item()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_kept(name, tmp_path):
    def build(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        return build_objective(name, nn.Module(), LABELS, DIMENSION)

    with torch.random.fork_rng():
        first, second = build(0), build(1)
    if name in ("ArcFaceLoss", "ProxyAnchorLoss"):
        assert not torch.equal(next(first.parameters()), next(second.parameters()))
    save_loss_state(first, tmp_path)
    restore_loss_state(second, tmp_path)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


class Stateful(nn.Module):
    """State of every kind, which changes at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))
        self.register_buffer("left_out", torch.zeros(3), persistent=False)
        self.position, self.filled, self.factor, self.last = 0, False, 0.1, None
        self.margin, self.seen = np.float64(0.5), np.zeros(2, np.int32)
        self.queue: list[torch.Tensor] = []
        self.nested = {"pair": (torch.zeros(1), 0)}
        self.inner = nn.Module()
        self.inner.settings = type("Settings", (), {})()
        self.inner.settings.count = 0
        self.function = functools.partial(torch.add, 1)

    def step(self) -> None:
        with torch.no_grad():
            self.weight += 1
        self.left_out += 2
        self.position, self.filled, self.factor = self.position + 1, True, self.factor / 3
        self.margin, self.seen = self.margin / 3, self.seen + 1
        self.queue = [*self.queue, self.weight.detach().clone()]
        self.last = self.queue[-1]
        self.nested = {"pair": (self.nested["pair"][0] + 1, self.position)}
        self.inner.settings.count += 1


def test_state_of_every_kind(tmp_path):
    first, second = Stateful(), Stateful()
    first.step()
    first.step()
    save_loss_state(first, tmp_path)
    restore_loss_state(second, tmp_path)
    assert torch.equal(second.weight, first.weight)
    assert second.weight.requires_grad
    assert torch.equal(second.left_out, first.left_out)
    assert (second.position, second.filled, second.factor) == (2, True, 0.1 / 9)
    assert isinstance(second.margin, np.float64)
    assert second.margin == first.margin
    np.testing.assert_array_equal(second.seen, first.seen)
    assert [one.tolist() for one in second.queue] == [[2.0, 2.0], [3.0, 3.0]]
    assert torch.equal(second.last, first.last)
    assert second.nested == {"pair": (torch.full((1,), 2.0), 2)}
    assert second.inner.settings.count == 2
    assert second.function(2) == 3


@pytest.mark.parametrize("value", [random.Random(0), torch.Generator(), {1, 2}, {1: 2}, np.random.default_rng(0)])
def test_what_no_checkpoint_can_hold_is_refused(value):
    objective = Stateful()
    objective.inner.hidden = value
    with pytest.raises(TrainingError, match=rf"can hold: Module\.hidden, of the type {type(value).__name__}\."):
        check_loss_state(objective)


@pytest.mark.parametrize("damage", ["weights", "values", "kind", "shape"])
def test_a_checkpoint_that_does_not_fit(tmp_path, damage):
    first, second = Stateful(), Stateful()
    save_loss_state(first, tmp_path)
    if damage == "weights":
        second.register_parameter("more", nn.Parameter(torch.zeros(1)))
    elif damage == "values":
        (tmp_path / "loss.json").write_text("{")
    elif damage == "kind":
        (tmp_path / "loss.json").write_text(json.dumps({"": {"last": {"tensor": "nowhere"}}}))
    else:
        second.weight = nn.Parameter(torch.ones(3))
    with pytest.raises(TrainingError, match=r"does not fit the loss .* Delete the folder of checkpoints"):
        restore_loss_state(second, tmp_path)
