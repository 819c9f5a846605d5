"""A saved folder that gives other vectors than the model in memory is refused."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from embedtune.errors import ModelError
from embedtune.models.parity import TOLERANCE, check_parity
from embedtune.models.probes import PROBE_TEXTS
from embedtune.models.saving import save_model


def edit_weights(folder, name: str, change: float) -> None:
    weights = load_file(folder / "model.safetensors")
    weights[name].view(-1)[0] += change
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def edit_pooling(folder, **changes: object) -> None:
    path = folder / "1_Pooling" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.fixture
def saved(model, tmp_path):
    save_model(model, tmp_path / "saved")
    return tmp_path / "saved"


def test_the_same_model_differs_by_nothing(model, saved):
    assert check_parity(model, saved) == 0.0


def test_a_model_left_in_training_mode_is_probed_without_dropout(model, saved):
    model.train()
    assert check_parity(model, saved) == 0.0


def test_the_difference_is_the_largest_of_all_components(model, saved):
    edit_weights(saved, "encoder.layer.1.output.LayerNorm.bias", 5e-6)
    difference = check_parity(model, saved)
    edited = type(model)(str(saved), device="cpu")
    texts = list(PROBE_TEXTS)
    assert difference == np.abs(model.encode(texts) - edited.encode(texts)).max()
    assert 4e-6 < difference <= TOLERANCE


@pytest.mark.parametrize(
    "tamper",
    [
        lambda folder: edit_weights(folder, "encoder.layer.1.output.LayerNorm.bias", 2e-5),
        lambda folder: edit_weights(folder, "encoder.layer.1.output.LayerNorm.bias", float("nan")),
        lambda folder: edit_pooling(folder, pooling_mode="cls"),
        lambda folder: edit_pooling(folder, pooling_mode=["mean", "cls"]),
        lambda folder: (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 10}'),
    ],
    ids=["one weight", "no number", "pooling", "twice the components", "cut earlier"],
)
def test_a_tampered_folder(model, saved, tamper):
    tamper(saved)
    with pytest.raises(ModelError, match=r"gives other vectors than the trained one.*accepted is 1e-05"):
        check_parity(model, saved)


def test_vectors_that_are_no_numbers(model, saved):
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(ModelError, match=r"no numbers\. Lower the learning rate"):
        check_parity(model, saved)
