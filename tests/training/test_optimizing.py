"""Every weight that shall be trained is, at the rate it shall have."""

import pytest
import torch
from torch import nn

from embedtune.models.loading import load_model
from embedtune.training.config import LOSSES
from embedtune.training.objectives import build_objective
from embedtune.training.optimizing import build_optimizer, loss_rate, own_parameters
from embedtune.training.options import OPTIMIZERS

RATE = 1e-3


@pytest.fixture
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0)


def rates(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group["lr"]
        for group in optimizer.param_groups
        for parameter in group["params"]
        if id(parameter) in names
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_weight_is_in_one_group(model, name):
    objective = build_objective("ArcFaceLoss", model, 5, 32)
    optimizer = build_optimizer(model, objective, name, RATE)
    grouped = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in [*model.parameters(), *objective.parameters()])
    assert {group["lr"] for group in optimizer.param_groups} == {RATE}


def test_frozen_weights_are_left_out(model):
    for parameter in model[0].model.embeddings.parameters():
        parameter.requires_grad = False
    optimizer = build_optimizer(model, nn.Identity(), "AdamW", RATE)
    assert not any("embeddings" in name for name in rates(model, optimizer))
    assert len(rates(model, optimizer)) == sum(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(("asked", "found"), [(None, 0.01), (0.3, 0.3), (0.0, 0.0)])
def test_matrices_decay_and_nothing_else_does(model, asked, found):
    objective = build_objective("ArcFaceLoss", model, 5, 32)
    optimizer = build_optimizer(model, objective, "AdamW", RATE, asked)
    own = {id(parameter) for parameter in objective.parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (found if parameter.dim() > 1 and id(parameter) not in own else 0.0)


@pytest.mark.parametrize(("name", "decay"), [("AdamW", 0.01), ("Adam", 0.0), ("SGD", 0.0)])
def test_without_a_wish_the_decay_is_the_optimizers_own(model, name, decay):
    optimizer = build_optimizer(model, nn.Identity(), name, RATE)
    assert max(group["weight_decay"] for group in optimizer.param_groups) == decay


def test_adamw_is_not_adam(model):
    def weights_after(name: str) -> torch.Tensor:
        linear = nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            linear.weight.fill_(1.0)
        optimizer = build_optimizer(linear, nn.Identity(), name, 0.1)
        linear(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        return linear.weight.detach()

    torch.testing.assert_close(weights_after("Adam"), torch.full((3, 3), 0.9))
    torch.testing.assert_close(weights_after("AdamW"), torch.full((3, 3), 0.899))


def test_each_block_is_slower_than_the_one_above(model):
    blocks = len(model[0].model.encoder.layer)
    found = rates(model, build_optimizer(model, nn.Identity(), "AdamW", RATE, layer_decay=0.5))
    assert blocks > 1
    for name, rate in found.items():
        if ".layer." in name:
            number = int(name.split(".layer.")[1].split(".")[0])
            assert rate == pytest.approx(RATE * 0.5 ** (blocks - 1 - number)), name
        else:
            assert rate == pytest.approx(RATE * (0.5**blocks if "embeddings" in name else 1.0)), name


@pytest.mark.parametrize("name", LOSSES)
def test_no_weight_of_the_model_counts_as_one_of_the_loss(model, name):
    own = [parameter.shape for parameter in own_parameters(build_objective(name, model, 5, 32), model)]
    expected = {"ArcFaceLoss": [(32, 5)], "ProxyAnchorLoss": [(5, 32)], "CLIPLoss": [()]}
    assert own == [torch.Size(shape) for shape in expected.get(name, [])]


@pytest.mark.parametrize("name", ["ArcFaceLoss", "ProxyAnchorLoss", "CLIPLoss"])
def test_the_weights_of_a_loss_are_trained(run_training, examples, config, name, monkeypatch):
    seen = {}

    def watched(loss, model, labels, dimension):
        objective = build_objective(loss, model, labels, dimension)
        seen["objective"] = objective
        seen["before"] = [parameter.detach().clone() for parameter in objective.parameters()]
        return objective

    monkeypatch.setattr("embedtune.training.trainer.build_objective", watched)
    run_training(examples, config.__class__(**{**vars(config), "loss": name, "epochs": 1}))
    for before, after in zip(seen["before"], seen["objective"].parameters(), strict=True):
        assert (before - after).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("loss", "asked", "found"),
    [
        ("ArcFaceLoss", 0.0, 10 * RATE),
        ("ProxyAnchorLoss", 0.0, 10 * RATE),
        ("CLIPLoss", 0.0, RATE),
        ("MultipleNegativesRankingLoss", 0.0, RATE),
        ("ArcFaceLoss", 0.5, 0.5),
        ("CLIPLoss", 0.5, 0.5),
    ],
)
def test_a_losss_own_weights_have_a_rate_of_their_own(model, loss, asked, found):
    assert loss_rate(loss, RATE, asked) == found
    objective = build_objective(loss, model, 5, 32)
    optimizer = build_optimizer(model, objective, "AdamW", RATE, loss_rate=found)
    own = {id(parameter) for parameter in own_parameters(objective, model)}
    groups = [group for group in optimizer.param_groups if own & {id(one) for one in group["params"]}]
    assert [group["lr"] for group in groups] == [found] * bool(own)
    assert {group["lr"] for group in optimizer.param_groups if group not in groups} == {RATE}
