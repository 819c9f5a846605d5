"""Texts go through a model in parts that hold little padding, and come out as from one pass."""

import pytest
import torch

from embedtune.models import parts
from embedtune.models.loading import load_model
from embedtune.models.options import FLOAT32
from embedtune.models.parts import vectors_in_parts


@pytest.fixture
def model(tiny_model_folder):
    return load_model(str(tiny_model_folder), 0).eval()


@pytest.fixture
def shapes(model):
    """The shape of each batch of tokens that the encoder was given."""
    seen = []
    model[0].model.embeddings.word_embeddings.register_forward_pre_hook(
        lambda _module, given: seen.append(tuple(given[0].shape))
    )
    return seen


def test_parts_hold_so_many_tokens_with_their_padding(model, shapes, monkeypatch):
    monkeypatch.setattr(parts, "_CELLS", 40)
    features = model.preprocess(["a" * length for length in (3, 30, 1, 8, 50, 2)])
    vectors = vectors_in_parts(model, features, FLOAT32)
    assert shapes == [(4, 10), (1, 32), (1, 52)]  # two tokens of each are special; the last is longer alone
    torch.testing.assert_close(vectors, model(features)["sentence_embedding"], rtol=0, atol=2e-6)


def test_words_are_looked_up_once_and_learn_what_all_parts_say(model, monkeypatch):
    features = model.preprocess(["abc", "a" * 30, "bcd" * 9])
    words = model[0].model.embeddings.word_embeddings
    model(features)["sentence_embedding"].pow(3).sum().backward()
    expected, words.weight.grad = words.weight.grad, None
    monkeypatch.setattr(parts, "_CELLS", 1)
    look_up, from_vocabulary = torch.nn.functional.embedding, []

    def counted(ids, weights, *more):
        from_vocabulary.append(weights is words.weight)
        return look_up(ids, weights, *more)

    monkeypatch.setattr(torch.nn.functional, "embedding", counted)
    vectors_in_parts(model, features, FLOAT32).pow(3).sum().backward()
    assert sum(from_vocabulary) == 1
    assert "forward" not in vars(words)
    torch.testing.assert_close(words.weight.grad, expected, rtol=1e-4, atol=1e-6)


def test_a_model_that_reads_other_words_than_it_was_given(model, monkeypatch):
    """The vectors are those of the words that it asks for."""
    model[0].model.embeddings.word_embeddings.register_forward_pre_hook(lambda _module, given: (given[0] + 1,))
    features = model.preprocess(["abc", "xyz"])
    torch.testing.assert_close(vectors_in_parts(model, features, FLOAT32), model(features)["sentence_embedding"])


def test_frozen_words_are_left_alone(model):
    model[0].model.embeddings.word_embeddings.weight.requires_grad_(False)
    features = model.preprocess(["abc", "xyz"])
    vectors_in_parts(model, features, FLOAT32).sum().backward()
    assert model[0].model.embeddings.word_embeddings.weight.grad is None


def test_texts_without_a_token_are_a_part():
    """A tokenizer that adds no special ones makes nothing of an empty text."""
    assert [rows.tolist() for rows in parts._of_like_length(torch.tensor([0, 0]))] == [[0, 1]]
