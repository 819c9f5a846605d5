"""bfloat16 is for hardware that has it, and for the encoder alone."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from embedtune.errors import ModelError
from embedtune.models import precision
from embedtune.models.contents import Contents
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model
from embedtune.models.options import BFLOAT16, FLOAT32, ModelOptions
from embedtune.models.precision import chosen_precision, has_bfloat16, precision_sentence, vectors_of
from embedtune.models.roles import EncodingRole
from embedtune.models.tailoring import tailor

CPU = torch.device("cpu")


@pytest.fixture
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0).eval()


@pytest.mark.parametrize(
    ("said", "has_it"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "avx512_f": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_the_cpu_is_asked(monkeypatch, said, has_it):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: said)
    assert has_bfloat16(CPU) is has_it


def test_bfloat16_is_never_emulated(model, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)
    assert [chosen_precision(model, asked) for asked in ("auto", "float32", "bfloat16")] == [
        BFLOAT16,
        FLOAT32,
        BFLOAT16,
    ]
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: False)
    assert chosen_precision(model) == chosen_precision(model, "float32") == FLOAT32
    with pytest.raises(
        ModelError, match=r"precision is 'bfloat16', but this CPU has no .* Accepted here: auto, float32"
    ):
        chosen_precision(model, "bfloat16")


@pytest.fixture
def deberta(save_transformer) -> Path:
    """A tiny one, which hides padding by a number that bfloat16 has not."""
    config = transformers.DebertaConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        relative_attention=True,
        pos_att_type=["c2p", "p2c"],
    )
    return save_transformer(transformers.DebertaModel(config))


def test_a_backbone_that_cannot_calculate_in_it_stays_in_float32(deberta, monkeypatch, capsys):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)
    model, texts = load_model(str(deberta), 0), Contents.of_texts(["abc", "a longer text"])
    encode = [encode_contents(model, texts, EncodingRole.QUERY, 2, "", asked) for asked in ("auto", "auto", FLOAT32)]
    assert (encode[0] == encode[2]).all()
    assert capsys.readouterr().err.count("This backbone cannot calculate in bfloat16: ") == 1  # tried once
    sentence = "Precision (auto): float32, since this backbone cannot calculate in bfloat16."
    assert precision_sentence(model, chosen_precision(model)) == sentence
    with pytest.raises(ModelError, match=r"'bfloat16', but this backbone .* \(.+\)\. Accepted here: auto, float32"):
        chosen_precision(model, "bfloat16")


def test_to_try_it_changes_nothing(model, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)
    model.train()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    calls: list[int] = []
    model[0].register_forward_hook(lambda *_: calls.append(torch.rand(1).numel()))
    assert [chosen_precision(model), chosen_precision(model, BFLOAT16)] == [BFLOAT16, BFLOAT16]
    assert calls == [1]
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, torch.AcceleratorError, ValueError])
def test_other_errors_are_not_the_backbones(model, monkeypatch, error):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)

    def fail(*_):
        raise error("no")

    model[0].register_forward_pre_hook(fail)
    with pytest.raises(error):
        chosen_precision(model)


@pytest.mark.parametrize("kind", ["vit", "clip"])
def test_who_reads_images_stays_as_it_was(tiny_models, monkeypatch, kind):
    monkeypatch.setattr(precision, "has_bfloat16", lambda _device: True)
    images = load_model(str(tiny_models(kind)), 0)
    assert chosen_precision(images) == FLOAT32
    assert precision_sentence(images, FLOAT32) == "Precision (auto): float32, since the model reads more than texts."


def test_the_encoder_alone_calculates_in_it(model):
    tailored = tailor(model, ModelOptions(output_dim=8, normalize=True), 0)
    within, after = [], []
    tailored[0].register_forward_hook(lambda *_: within.append(torch.is_autocast_enabled("cpu")))
    for module in list(tailored)[1:]:
        module.register_forward_hook(lambda *_: after.append(torch.is_autocast_enabled("cpu")))
    features = tailored.preprocess(["abc", "xyz"])
    exact = vectors_of(tailored, dict(features), FLOAT32)
    found = vectors_of(tailored, dict(features), BFLOAT16)
    assert within == [False, True]
    assert after == [False] * (2 * (len(tailored) - 1))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(2), rtol=0, atol=1e-6)
    assert 0 < (found - exact).abs().max() < 0.02
    assert torch.nn.functional.cosine_similarity(found, exact).min() > 0.9995
