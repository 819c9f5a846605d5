import numpy as np
import pytest

from embedtune.errors import ConfigError
from embedtune.retrieval import bootstrap
from embedtune.retrieval.bootstrap import mean_intervals


def test_equals_resampling_one_query_at_a_time() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(0.05, 0.2, (50, 2))
    lower, upper = mean_intervals(differences, 500, seed=7)
    drawn = np.random.default_rng(7).integers(50, size=(500, 50))
    means = np.array([[sum(differences[row, column] for row in rows) / 50 for column in range(2)] for rows in drawn])
    np.testing.assert_allclose(lower, np.quantile(means, 0.025, axis=0), atol=1e-12)
    np.testing.assert_allclose(upper, np.quantile(means, 0.975, axis=0), atol=1e-12)


def test_agrees_with_the_normal_approximation_on_many_queries() -> None:
    differences = np.random.default_rng(1).normal(0.02, 0.1, (2000, 1))
    lower, upper = mean_intervals(differences, 10_000, seed=0)
    error = differences.std() / np.sqrt(2000)
    assert lower[0] == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert upper[0] == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(2).normal(0, 0.1, (30, 3))
    whole = mean_intervals(differences, 100, seed=3)
    monkeypatch.setattr(bootstrap, "_CHUNK_ELEMENTS", 70)
    np.testing.assert_allclose(mean_intervals(differences, 100, seed=3), whole, atol=1e-12)


def test_the_seed_decides() -> None:
    differences = np.random.default_rng(2).normal(0, 0.1, (30, 3))
    np.testing.assert_array_equal(mean_intervals(differences, 100, seed=3), mean_intervals(differences, 100, seed=3))
    assert not np.array_equal(mean_intervals(differences, 100, seed=3), mean_intervals(differences, 100, seed=4))


def test_equal_models_give_an_interval_of_zero() -> None:
    lower, upper = mean_intervals(np.zeros((5, 2)), 100, seed=0)
    assert (lower.tolist(), upper.tolist()) == ([0.0, 0.0], [0.0, 0.0])


def test_one_query_gives_the_whole_range() -> None:
    lower, upper = mean_intervals(np.array([[0.5, 0.0]]), 100, seed=0)
    assert (lower.tolist(), upper.tolist()) == ([-1.0, -1.0], [1.0, 1.0])


def test_no_resamples() -> None:
    with pytest.raises(ConfigError, match="resamples is 0"):
        mean_intervals(np.zeros((5, 2)), 0, seed=0)
