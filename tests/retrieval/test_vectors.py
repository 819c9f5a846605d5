import numpy as np
import pytest

from embedtune.retrieval import vectors
from embedtune.retrieval.vectors import mean_pair_cosine, unit_rows


def test_unit_rows() -> None:
    assert unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [0.0, -2.0]])).tolist() == [[0.6, 0.8], [0.0, 0.0], [0.0, -1.0]]


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
