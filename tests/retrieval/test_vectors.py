import numpy as np
import pytest

from embedtune.retrieval import vectors
from embedtune.retrieval.vectors import mean_pair_cosine, row_lengths, unit_rows


def test_unit_rows() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]


@pytest.mark.parametrize("scale", [5e-324, 1e-200, 1e-140, 1.0, 1e140, 1e200, 3e307])
def test_unit_rows_and_lengths_of_any_size(scale: float) -> None:
    rows = np.array([[3.0, 4.0], [0.0, 0.0], [4.0, -4.0]]) * scale
    np.testing.assert_allclose(unit_rows(rows), [[0.6, 0.8], [0, 0], [0.5**0.5, -(0.5**0.5)]], rtol=1e-15, atol=0)
    np.testing.assert_allclose(row_lengths(rows), [scale * 5, 0, scale * 32**0.5], rtol=1e-15, atol=5e-324)


def test_a_length_beyond_float64_is_infinite() -> None:
    assert row_lengths(np.array([[1.5e308, 1.5e308]])).tolist() == [np.inf]


@pytest.mark.parametrize("block", [1, 2, 3])
def test_rows_do_not_know_each_other(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    rows = np.random.default_rng(0).standard_normal((7, 5)) * np.array([1e-300, 1, 1, 0, 1e300, 1, 1])[:, np.newaxis]
    lengths = row_lengths(rows)
    monkeypatch.setattr(vectors, "_BLOCK_ROWS", block)
    np.testing.assert_array_equal(row_lengths(rows), lengths)
    np.testing.assert_array_equal(np.concatenate([unit_rows(row[np.newaxis]) for row in rows]), unit_rows(rows))


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_mean_pair_cosine_equals_the_mean_over_all_pairs(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(vectors, "_BLOCK_ROWS", block)
    rows = np.random.default_rng(0).standard_normal((20, 4)) + 1
    rows[3] = 0
    cosines = []
    for first in range(20):
        for second in range(first):
            lengths = np.linalg.norm(rows[first]) * np.linalg.norm(rows[second])
            cosines.append(rows[first] @ rows[second] / lengths if lengths > 0 else 0.0)
    assert mean_pair_cosine(rows) == pytest.approx(np.mean(cosines), abs=1e-12)


def test_mean_pair_cosine_without_a_pair() -> None:
    assert mean_pair_cosine(np.ones((1, 3))) == 0.0
    assert mean_pair_cosine(np.ones((2, 3))) == pytest.approx(1.0)
    assert mean_pair_cosine(np.array([[1.0, 0.0], [-1.0, 0.0]])) == pytest.approx(-1.0)
