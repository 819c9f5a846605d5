"""Content keys and fingerprints, against their definitions."""

import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedtune.documents.distinct_contents import content_key, fingerprint


def _fingerprint(texts: list[str], seed: int = 42):
    return fingerprint(pa.array(texts, pa.large_string()), len(texts), True, seed, lambda done: None)


class TestContentKey:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("What is X?", "WHAT  is\tx?"),
            ("Straße", "STRASSE"),
            ("ﬁne", "Fine"),
            ("cafe\u0301", "CAFÉ"),
            ("a\u00a0b", "a b"),
            ("a\u3000b\n", " A B"),
            ("\uff21\uff22\uff23", "abc"),
        ],
    )
    def test_ignores_case_unicode_form_and_white_space(self, first: str, second: str):
        assert content_key(first) == content_key(second)

    @pytest.mark.parametrize(("first", "second"), [("a b", "ab"), ("a", "a."), ("résumé", "resume"), ("1", "one")])
    def test_keeps_what_differs_otherwise(self, first: str, second: str):
        assert content_key(first) != content_key(second)

    @given(st.text())
    def test_is_its_own_key(self, text: str):
        assert content_key(content_key(text)) == content_key(text)

    @given(st.text())
    def test_does_not_depend_on_the_unicode_form_of_the_text(self, text: str):
        keys = {content_key(unicodedata.normalize(form, text)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
        assert keys == {content_key(text)}


class TestFingerprint:
    def test_values(self):
        prints = _fingerprint(["Hello  world", "hello world", "x"])
        assert prints.ids.to_pylist()[2] == "2d711642b726b04401627ca9fbac32f5"
        assert prints.words.tolist() == [2, 2, 1]
        assert prints.keys.tolist() == [0, 0, 1]
        assert prints.draws.shape == (2,)

    def test_draws_depend_on_seed_and_content_only(self):
        one = _fingerprint(["a", "b"])
        other = _fingerprint(["x", "B", "A"])
        assert one.draws[one.keys].tolist() == other.draws[other.keys[[2, 1]]].tolist()
        assert set(one.draws.tolist()).isdisjoint(_fingerprint(["a", "b"], seed=43).draws.tolist())

    def test_batches_join_seamlessly(self, monkeypatch: pytest.MonkeyPatch):
        texts = [f"text {number % 7} {number % 3}".upper() if number % 2 else f"text {number}" for number in range(50)]
        whole = _fingerprint(texts)
        monkeypatch.setattr("embedtune.documents.distinct_contents._BATCH", 7)
        parts = _fingerprint(texts)
        assert parts.ids.equals(whole.ids)
        for name in ("words", "keys", "draws"):
            np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))
