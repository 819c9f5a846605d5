"""Queries and index, encoded by a tuned model and the very weights it was tuned from, one after the other."""

import gc
import weakref

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from embedtune.errors import ModelError
from embedtune.models import comparing
from embedtune.models.card import CutTexts, ModelCard
from embedtune.models.comparing import Encoded, ModelToEncode, encode_all
from embedtune.models.contents import Contents
from embedtune.models.cut_texts import cut_texts, save_training_tokens
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_backbone, load_model, weights_digest
from embedtune.models.roles import EncodingRole
from embedtune.models.saving import save_model

QUERIES, INDEX = ["hello", "abc " * 60], ["b", "hello world", "xyz " * 60]
CONTENTS = (Contents.of_texts(QUERIES), Contents.of_texts(INDEX))


def card_of(backbone: str, max_length: int) -> ModelCard:
    digest = weights_digest(load_model(backbone, max_length))
    return ModelCard(backbone, digest, 32, max_length, "labelled", 2, "sha256:11", {}, (), 1.0, 1.0, {}, 0.0)


def encode_with_both(card: ModelCard, folder, queries: Contents, index: Contents) -> tuple[Encoded, Encoded]:
    models = {"base": ModelToEncode.backbone_of(card), "tuned": ModelToEncode.tuned(folder)}
    encoded = encode_all(models, queries, index, 2)
    return encoded["base"], encoded["tuned"]


def save_tuned(backbone: str, max_length: int, folder) -> None:
    tuned = load_model(backbone, max_length)
    with torch.no_grad():
        tuned[0].model.encoder.layer[0].output.LayerNorm.bias.add_(torch.linspace(0, 1, 32))
    card = card_of(backbone, max_length)
    save_model(tuned, folder)
    card.save(folder)


def test_each_model_cuts_at_its_own_length(copied, tmp_path):
    save_tuned(str(copied), 20, tmp_path / "tuned")
    base, tuned = encode_with_both(card_of(str(copied), 20), tmp_path / "tuned", *CONTENTS)
    for side, model in ((base, load_model(str(copied), 0)), (tuned, load_model(str(tmp_path / "tuned"), 20))):
        for vectors, contents in zip((side.queries, side.index), CONTENTS, strict=True):
            alone = encode_contents(model, contents, EncodingRole.QUERY, 8, "")
            np.testing.assert_allclose(vectors, alone, rtol=0, atol=1e-6)
    assert np.abs(base.queries - tuned.queries).max() > 1e-2
    assert (base.query_texts.max_length, tuned.query_texts.max_length) == (64, 20)


def test_one_model_is_in_memory_at_a_time(copied, tmp_path, monkeypatch):
    save_tuned(str(copied), 20, tmp_path / "tuned")
    card = card_of(str(copied), 20)
    of_model = []

    def load(backbone, max_length):
        assert all(weight() is None for weight in of_model)
        model = load_backbone(backbone, max_length)
        of_model.extend(map(weakref.ref, model.parameters()))
        return model

    monkeypatch.setattr(comparing, "load_backbone", load)
    gc.disable()  # by itself it would run at some time, which may be too late
    try:
        encode_with_both(card, tmp_path / "tuned", *CONTENTS)
    finally:
        gc.enable()
    assert len(of_model) == 2 * len(list(load_model(str(copied), 0).parameters()))


def test_a_point_that_comes_last_is_read_by_a_base_that_can(copied, tmp_path):
    """Texts that differ only behind the tuned model's length: the base tells them apart, as it would alone."""
    save_tuned(str(copied), 20, tmp_path / "tuned")
    texts = Contents.of_texts([f"{'same start ' * 3}{point}" for point in ("kettle", "lawn", "ticket")])
    base, tuned = encode_with_both(card_of(str(copied), 20), tmp_path / "tuned", texts, texts)
    assert [len(np.unique(side.index.round(4), axis=0)) for side in (base, tuned)] == [3, 1]
    assert (base.query_texts.cut, tuned.query_texts.cut) == (0, 3)


def test_a_backbone_with_other_weights_now(copied, tmp_path):
    save_tuned(str(copied), 20, tmp_path / "tuned")
    card = card_of(str(copied), 20)
    save_tuned(str(copied), 20, copied)
    with pytest.raises(ModelError, match=f"Backbone '{copied}' has other weights now.*Fine-tune again"):
        encode_with_both(card, tmp_path / "tuned", *CONTENTS)


def test_a_backbone_without_pooling_layer_is_recognised(save_transformer, tmp_path):
    config = BertConfig(vocab_size=89, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64)
    folder = str(save_transformer(BertForMaskedLM(config)))
    save_tuned(folder, 20, tmp_path / "tuned")
    base, _ = encode_with_both(card_of(folder, 20), tmp_path / "tuned", *CONTENTS)
    assert base.queries.shape == (2, 32)


def test_what_was_read_of_the_held_out_texts(copied, tmp_path):
    save_tuned(str(copied), 20, tmp_path / "tuned")
    card = card_of(str(copied), 20)
    _, tuned = encode_with_both(card, tmp_path / "tuned", *CONTENTS)
    assert tuned.query_texts == CutTexts(texts=2, cut=1, alike=0, unknown=0, max_length=20)
    assert (tuned.index_texts.cut, tuned.seen_queries, tuned.seen_index) == (1, 0, 0)
    _, tokens = cut_texts(load_model(str(copied), 20), ["b", "abc " * 70, "not held out"])
    save_training_tokens(tmp_path / "tuned", tokens)
    _, tuned = encode_with_both(card, tmp_path / "tuned", *CONTENTS)
    assert (tuned.seen_queries, tuned.seen_index) == (1, 1)
