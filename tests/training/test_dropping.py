"""Dropout from cheaper random numbers has the statistics of torch's, and repeats itself."""

import pytest
import torch
from torch import nn

from embedtune.training.dropping import cheaper_dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 1 / 3])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_share_is_dropped_and_the_rest_scaled(share, kind):
    dropout, values = nn.Dropout(share), torch.ones(999, 1001, dtype=kind, requires_grad=True)
    torch.manual_seed(0)
    with cheaper_dropout(dropout):
        kept = dropout(values)
    kept.sum().backward()
    assert (kept == 0).float().mean().item() == pytest.approx(share, abs=0.002)
    assert kept.unique().tolist() == [0.0, pytest.approx(1 / (1 - share), rel=5e-3 if kind == torch.bfloat16 else 1e-4)]
    torch.testing.assert_close(values.grad, kept.detach())
    assert "forward" not in vars(dropout)


def test_the_share_of_each_row_and_of_each_neighbour_varies_as_it_should():
    """Four components share one number of 64 bits: they are dropped independently of each other."""
    torch.manual_seed(0)
    dropout = nn.Dropout(0.25)
    with cheaper_dropout(dropout):
        dropped = (dropout(torch.ones(250_000, 4)) == 0).float()
    covariance = torch.cov(dropped.T)
    expected = 0.25 * 0.75 * torch.eye(4)
    torch.testing.assert_close(covariance, expected, rtol=0, atol=2e-3)


def test_the_same_seed_drops_the_same():
    dropout, values = nn.Dropout(0.1), torch.ones(50, 50)
    with cheaper_dropout(dropout):
        torch.manual_seed(0)
        first, state = dropout(values), torch.get_rng_state()
        second = dropout(values)
        torch.manual_seed(0)
        assert torch.equal(dropout(values), first)
        torch.set_rng_state(state)
        assert torch.equal(dropout(values), second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_and_everything(share):
    dropout, values = nn.Dropout(share), torch.ones(5)
    with cheaper_dropout(dropout):
        assert dropout(values).tolist() == [1.0 - share] * 5
        assert dropout.eval()(values).tolist() == [1.0] * 5


def test_a_forward_of_a_module_s_own_is_left_alone_and_the_argument_may_be_named():
    model, values = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5)), torch.ones(10)
    own = model[0].forward = lambda given: given * 3
    with cheaper_dropout(model):
        assert model[0](values).tolist() == [3.0] * 10
        assert set(model[1](input=values).tolist()) <= {0.0, 2.0}
    assert model[0].forward is own
