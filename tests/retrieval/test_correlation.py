"""Correlations, by hand, by a naive loop, and by scipy where it is installed."""

import numpy as np
import pytest

from embedtune.retrieval import correlation
from embedtune.retrieval.bootstrap import bounds_of
from embedtune.retrieval.correlation import average_ranks, correlation_intervals, pearson, spearman


def drawn(seed: int, size: int, ties: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=size)
    return np.round(values * ties) / ties if ties else values


def naive_ranks(values: np.ndarray) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def naive_pearson(first: np.ndarray, second: np.ndarray) -> float:
    one, other = first - np.mean(first), second - np.mean(second)
    return sum(one * other) / (sum(one**2) ** 0.5 * sum(other**2) ** 0.5)


def test_tied_ranks_are_averaged() -> None:
    assert average_ranks(np.array([0.3, 0.1, 0.3, 0.9, 0.3])).tolist() == [3.0, 1.0, 3.0, 5.0, 3.0]


def test_by_hand() -> None:
    first = np.array([1.0, 2.0, 3.0, 4.0])
    assert spearman(first, np.array([1.0, 8.0, 27.0, 64.0])) == pytest.approx(1.0)
    assert spearman(first, np.array([4.0, 3.0, 2.0, 1.0])) == pytest.approx(-1.0)
    assert spearman(first, np.array([2.0, 1.0, 4.0, 3.0])) == pytest.approx(0.6)
    assert pearson(first, np.array([1.0, 8.0, 27.0, 64.0])) == pytest.approx(0.9514, abs=1e-4)


def test_what_does_not_vary_correlates_with_nothing() -> None:
    assert spearman(np.full(4, 0.1), np.arange(4.0)) == pearson(np.arange(4.0), np.full(4, 0.1)) == 0.0
    rounded = np.array([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2])
    assert rounded[0] != rounded[1]
    assert pearson(rounded, np.array([0.0, 1.0, 0.0, 1.0])) == 0.0


@pytest.mark.parametrize("ties", [0, 1, 3])
def test_like_a_naive_loop(ties: int) -> None:
    first, second = drawn(1, 60, ties), drawn(2, 60, ties) + drawn(1, 60)
    assert average_ranks(first).tolist() == naive_ranks(first)
    assert pearson(first, second) == pytest.approx(naive_pearson(first, second), abs=1e-12)
    ranks = np.array(naive_ranks(first)), np.array(naive_ranks(second))
    assert spearman(first, second) == pytest.approx(naive_pearson(*ranks), abs=1e-12)


@pytest.mark.parametrize("ties", [0, 2])
def test_like_scipy(ties: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    first, second = drawn(3, 200, ties), drawn(4, 200, ties) + drawn(3, 200)
    assert spearman(first, second) == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-12)
    assert pearson(first, second) == pytest.approx(stats.pearsonr(first, second).statistic, abs=1e-12)


def test_interval_is_that_of_resamples_ranked_anew() -> None:
    scores, base = drawn(5, 40, 2), drawn(6, 40)
    tuned = base + scores
    lower, upper = correlation_intervals(scores, base, tuned, 50, 7)
    generator = np.random.default_rng(7)
    differences = []
    for rows in generator.integers(40, size=(50, 40)):
        sides = [(spearman(scores[rows], one[rows]), pearson(scores[rows], one[rows])) for one in (base, tuned)]
        differences.append(np.subtract(sides[1], sides[0]))
    np.testing.assert_allclose([lower, upper], bounds_of(np.array(differences), 40), rtol=0, atol=1e-12)
    assert (lower > 0).all()


def test_connected_pairs_are_drawn_together() -> None:
    scores, base = drawn(5, 40, 2), drawn(6, 40)
    tuned = base + scores
    units = np.random.default_rng(8).integers(0, 9, 40)
    lower, upper = correlation_intervals(scores, base, tuned, 50, 7, units)
    differences = []
    for chosen in np.random.default_rng(7).integers(9, size=(50, 9)):
        rows = np.concatenate([np.flatnonzero(units == unit) for unit in chosen])
        sides = [(spearman(scores[rows], one[rows]), pearson(scores[rows], one[rows])) for one in (base, tuned)]
        differences.append(np.subtract(sides[1], sides[0]))
    np.testing.assert_allclose([lower, upper], bounds_of(np.array(differences), 9), rtol=0, atol=1e-12)


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = drawn(5, 40, 2), drawn(6, 40), drawn(7, 40)
    for units in (None, np.arange(40) // 3):
        whole = correlation_intervals(*sides, 50, 7, units)
        for elements in (1, 130):
            monkeypatch.setattr(correlation, "_CHUNK_ELEMENTS", elements)
            np.testing.assert_allclose(correlation_intervals(*sides, 50, 7, units), whole, rtol=0, atol=1e-12)
        monkeypatch.undo()


def test_one_unit_says_nothing() -> None:
    sides = drawn(5, 6), drawn(6, 6), drawn(7, 6)
    alone = correlation_intervals(*sides, 10, 0, np.full(6, 3))
    assert [bounds.tolist() for bounds in alone] == [[-2.0, -2.0], [2.0, 2.0]]
    lower, upper = correlation_intervals(*sides, 10, 0, np.array([3, 3, 3, 3, 3, 4]))
    assert (lower > -2).all()
    assert (upper < 2).all()


def test_one_pair_says_nothing() -> None:
    one = np.array([0.5])
    assert [bounds.tolist() for bounds in correlation_intervals(one, one, one, 10, 0)] == [[-2.0, -2.0], [2.0, 2.0]]
