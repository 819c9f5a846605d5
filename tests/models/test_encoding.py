"""Texts become vectors, in order, with progress."""

import json

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.modules import Dense

from embedtune.models.encoding import encode_texts
from embedtune.progress import EVENTS_VARIABLE

TEXTS = [
    "b",
    "abc " * 60,
    "",
    "hello world",
    "https://example.org/picture.png",
    "/etc/hostname.png",
    "data:image/png,x",
]


def test_each_text_has_the_vector_it_has_alone(model):
    vectors = encode_texts(model, TEXTS, 2, "Encoding")
    assert (vectors.shape, vectors.dtype) == ((len(TEXTS), 32), np.float32)
    for text, vector in zip(TEXTS, vectors, strict=True):
        np.testing.assert_allclose(vector, model.encode(text), rtol=0, atol=1e-6)


def test_batch_size_does_not_matter(model):
    texts = [f"{number} " * (number % 13) for number in range(70)]
    one, many = (encode_texts(model, texts, size, "Encoding") for size in (1, 64))
    np.testing.assert_allclose(one, many, rtol=0, atol=1e-6)


def test_texts_that_look_like_addresses_are_read_as_words(model):
    shown = encode_texts(model, ["https://example.org/a.png", "https://example.org/b.png"], 2, "Encoding")
    assert np.abs(shown[0] - shown[1]).max() > 1e-3


def test_no_texts(model):
    assert encode_texts(model, [], 8, "Encoding").shape == (0, 32)


def test_the_dimension_is_that_of_the_last_module(model):
    model.append(Dense(32, 8))
    assert encode_texts(model, [], 8, "Encoding").shape == (0, 8)
    assert encode_texts(model, ["a"], 8, "Encoding").shape == (1, 8)


@pytest.mark.parametrize("count", [1, 33])
def test_progress_ends_at_the_number_of_texts(model, tmp_path, monkeypatch, count):
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    encode_texts(model, ["word"] * count, 2, "Encoding the index")
    events = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {(event["event"], event["description"], event["total"], event["unit"]) for event in events} == {
        ("progress", "Encoding the index", count, "texts")
    }
    assert events[-1]["done"] == count
