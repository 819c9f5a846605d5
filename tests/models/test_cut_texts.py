"""What the tiny model, which reads a token per letter, makes of texts before it reads them."""

import numpy as np
import pytest

from embedtune.errors import ModelError
from embedtune.models.card import CutTexts
from embedtune.models.cut_texts import (
    TRAINING_TOKENS_FILE,
    cut_texts,
    load_training_tokens,
    save_training_tokens,
)
from embedtune.models.loading import load_model

GREETING = "dear people we hope that this finds you well "


@pytest.fixture
def short(tiny_model_folder):
    """Ten tokens: eight letters and two of its own."""
    return load_model(str(tiny_model_folder), 10)


def test_texts_are_cut_behind_the_special_tokens(short):
    counts, _ = cut_texts(short, ["abcdefgh", "abcdefghi", "a", "a"])
    assert counts == CutTexts(texts=3, cut=1, alike=2, unknown=0, max_length=10)


def test_texts_that_differ_behind_the_cut_are_alike(tiny_model_folder):
    texts = [f"{GREETING}{end}" for end in ("my parcel is late", "I want my money back", "thanks")]
    counts, digests = cut_texts(load_model(str(tiny_model_folder), 20), [*texts, "my parcel is late"])
    assert counts == CutTexts(texts=4, cut=3, alike=3, unknown=0, max_length=20)
    assert len(set(digests.tolist())) == 2
    longer, _ = cut_texts(load_model(str(tiny_model_folder), 64), texts)
    assert (longer.cut, longer.alike) == (0, 0)


def test_texts_of_unknown_signs_are_alike(short):
    counts, digests = cut_texts(short, ["日本", "中国", "abc"])
    assert counts == CutTexts(texts=3, cut=0, alike=2, unknown=2, max_length=10)
    assert digests[0] == digests[1] != digests[2]


def test_another_spelling_of_the_same_text_is_no_loss(short):
    counts, digests = cut_texts(short, ["Late", "late", " late ", "LATE"])
    assert (counts.texts, counts.alike) == (4, 0)
    assert len(set(digests.tolist())) == 1


def test_the_digests_are_those_of_what_encode_reads(short):
    texts = ["abcdefgh one", "abcdefgh two", "abcdefg", "xyz"]
    _, digests = cut_texts(short, texts)
    vectors = short.encode(texts)
    same = [[np.allclose(first, second, atol=1e-6) for second in vectors] for first in vectors]
    assert same == [[bool(first == second) for second in digests] for first in digests]


def test_a_prompt_is_read_too(short):
    counts, _ = cut_texts(short, ["abcde", "abcdef"], prompt="find: ")
    assert counts.cut == 2


def test_training_tokens_round_trip(tmp_path, short):
    assert load_training_tokens(tmp_path) is None
    _, digests = cut_texts(short, ["b", "a", "b", "c"])
    save_training_tokens(tmp_path, digests)
    assert load_training_tokens(tmp_path).tolist() == sorted(set(digests.tolist()))
    (tmp_path / TRAINING_TOKENS_FILE).write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=f"{TRAINING_TOKENS_FILE} is damaged"):
        load_training_tokens(tmp_path)
