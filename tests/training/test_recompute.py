"""Recomputing gives the same training in less memory, and is refused where it would be another one."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image

from embedtune.errors import ConfigError
from embedtune.models import parts
from embedtune.models.freezing import freeze
from embedtune.models.loading import load_model
from embedtune.models.options import FLOAT32
from embedtune.models.parts import vectors_in_parts
from embedtune.training.config import FinetuneConfig
from embedtune.training.processes import ALONE
from embedtune.training.taking_part import check_batch_norms

RECOMPUTED = FinetuneConfig(train_options='{"recompute": true}')


@pytest.mark.parametrize("loss", ["MultipleNegativesRankingLoss", "SupConLoss", "CLIPLoss", "ArcFaceLoss"])
def test_the_same_training_bit_by_bit(run_training, examples, config, monkeypatch, loss):
    """Dropout is on, and each batch goes through the model in several parts."""
    monkeypatch.setattr(parts, "_CELLS", 60)
    config = dataclasses.replace(config, loss=loss, epochs=1)
    plain = run_training(examples, config)
    options = json.dumps({**json.loads(config.train_options), "recompute": True})
    again = run_training(examples, dataclasses.replace(config, train_options=options))
    assert again.result.history == plain.result.history
    assert again.weights == plain.weights


def kept_bytes(model, features, recompute: bool) -> int:
    """Return how much is kept for the gradient, beside the weights."""
    weights, kept = {weight.data_ptr() for weight in model.parameters()}, {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        vectors_in_parts(model, features, FLOAT32, recompute).sum()
    return sum(kept.values())


def test_little_more_than_the_vectors_is_kept(tiny_model_folder):
    model = load_model(str(tiny_model_folder), 0)
    features = model.preprocess(["abc " * (number % 12) for number in range(128)])
    assert kept_bytes(model, features, recompute=True) * 20 < kept_bytes(model, features, recompute=False)


def test_images_are_recomputed_in_parts_of_64(tiny_models, monkeypatch):
    model = load_model(str(tiny_models("vit")), 0).train()
    rng = np.random.default_rng(0)
    features = model.preprocess([Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)) for _ in range(66)])
    seen: list[int] = []
    model[0].register_forward_pre_hook(lambda _module, given: seen.append(len(given[0]["pixel_values"])))
    vectors = vectors_in_parts(model, features, FLOAT32, recompute=True)
    vectors.pow(3).sum().backward()
    assert seen[:2] == [64, 2]
    assert sorted(seen[2:]) == [2, 64]
    gradients = [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]
    model.zero_grad()
    whole = vectors_in_parts(model, features, FLOAT32)
    whole.pow(3).sum().backward()
    torch.testing.assert_close(vectors, whole)
    wholes = [weight.grad for weight in model.parameters() if weight.grad is not None]
    for one, other in zip(gradients, wholes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6 * float(other.abs().max() + 1))


def test_a_model_that_normalises_over_a_batch_is_refused_unless_that_is_frozen(tiny_models):
    model = load_model(str(tiny_models("resnet")), 0)
    with pytest.raises(
        ConfigError, match=r"recompute is true, but .* normalises over a batch in \d+ layers \(such as 0"
    ):
        check_batch_norms(model, RECOMPUTED, ALONE)
    check_batch_norms(model, FinetuneConfig(), ALONE)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.requires_grad = module.bias.requires_grad = False
    names = [name for name, _ in model.named_parameters() if "normalization" in name]
    freeze(model, ",".join(sorted({name.rsplit(".", 1)[0] for name in names})))
    check_batch_norms(model, RECOMPUTED, ALONE)
