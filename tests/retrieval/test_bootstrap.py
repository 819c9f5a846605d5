import math
from statistics import NormalDist

import numpy as np
import pytest

from embedtune.errors import ConfigError
from embedtune.retrieval import bootstrap
from embedtune.retrieval.bootstrap import RESAMPLES, bounds_of, draw_counts, mean_intervals

STUDENTS_T = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764, 6: 2.5706, 12: 2.2010, 40: 2.0227, 50: 2.0096, 2000: 1.9612}
"""Number of units -> 97.5 % quantile of Student's t with one degree of freedom less, as printed in tables."""


def bounds(values: object, units: int) -> list[np.ndarray]:
    """The expanded percentiles of what resamples came to."""
    tail = NormalDist().cdf(-math.sqrt(units / (units - 1)) * STUDENTS_T[units])
    return [np.quantile(values, share, axis=0) for share in (tail, 1 - tail)]


def test_equals_resampling_one_query_at_a_time() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(0.05, 0.2, (50, 2))
    lower, upper = mean_intervals(differences, 500, seed=7)
    drawn = np.random.default_rng(7).integers(50, size=(500, 50))
    means = np.array([[sum(differences[row, column] for row in rows) / 50 for column in range(2)] for rows in drawn])
    np.testing.assert_allclose([lower, upper], bounds(means, 50), rtol=0, atol=1e-5)


def test_units_are_drawn_with_all_their_queries() -> None:
    generator = np.random.default_rng(0)
    differences = generator.normal(0.05, 0.2, (50, 2))
    units = generator.integers(0, 12, 50) * 7 - 3
    names = sorted(set(units.tolist()))
    lower, upper = mean_intervals(differences, 500, 7, units)
    means = []
    for drawn in np.random.default_rng(7).integers(len(names), size=(500, len(names))):
        rows = [row for unit in drawn for row in range(50) if units[row] == names[unit]]
        means.append([sum(differences[row, column] for row in rows) / len(rows) for column in range(2)])
    np.testing.assert_allclose([lower, upper], bounds(means, len(names)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("units", [4, 5, 6, 12, 40, 50, 2000])
def test_bounds_are_expanded_percentiles(units: int) -> None:
    values = np.random.default_rng(0).normal(size=(100_000, 2))
    np.testing.assert_allclose(bounds_of(values, units), bounds(values, units), rtol=0, atol=0.01)


@pytest.mark.parametrize(
    ("freedom", "value"), [(10, 2.2281388519649385), (20, 2.0859634472658364), (40, 2.021075390306273)]
)
def test_students_t_is_right_up_to_the_fifth_power_of_the_freedom(freedom: int, value: float) -> None:
    assert -0.8 < (bootstrap._students_t(0.975, freedom) - value) * freedom**5 < -0.73


def test_students_t_of_few_degrees_of_freedom() -> None:
    assert bootstrap._students_t(0.975, 3) == pytest.approx(3.178616995054061, abs=1e-12)
    assert bootstrap._students_t(0.9, 3) == pytest.approx(1.6374250413708942, abs=1e-12)


def test_bounds_for_two_and_three_units_are_as_wide_as_resamples_go() -> None:
    values = np.random.default_rng(0).normal(size=(1000, 1))
    np.testing.assert_allclose(bounds_of(values, 2), [values.min(axis=0), values.max(axis=0)])
    np.testing.assert_allclose(bounds_of(values, 3), bounds(values, 3), rtol=0, atol=0.02)


def test_queries_that_are_units_by_themselves_give_the_interval_of_queries() -> None:
    differences = np.random.default_rng(0).normal(0.05, 0.2, (50, 2))
    by_query = mean_intervals(differences, 200, 7)
    np.testing.assert_array_equal(mean_intervals(differences, 200, 7, np.arange(50)), by_query)


def test_an_effect_of_units_widens_the_interval() -> None:
    generator = np.random.default_rng(5)
    units = np.repeat(np.arange(40), 25)
    differences = (generator.normal(0, 0.1, 40)[units] + generator.normal(0, 0.1, 1000))[:, np.newaxis]
    lower, upper = mean_intervals(differences, 2000, 0, units)
    narrow_lower, narrow_upper = mean_intervals(differences, 2000, 0)
    error = np.sqrt((0.1**2 + 0.1**2 / 25) / 40)
    assert (upper - lower)[0] == pytest.approx(2 * 1.96 * error, rel=0.3)
    assert (narrow_upper - narrow_lower)[0] < 0.5 * (upper - lower)[0]


def test_agrees_with_the_normal_approximation_on_many_queries() -> None:
    differences = np.random.default_rng(1).normal(0.02, 0.1, (2000, 1))
    lower, upper = mean_intervals(differences, 10_000, seed=0)
    error = differences.std() / np.sqrt(2000)
    assert lower[0] == pytest.approx(differences.mean() - 1.96 * error, abs=0.1 * error)
    assert upper[0] == pytest.approx(differences.mean() + 1.96 * error, abs=0.1 * error)


def test_chunks_change_nothing_but_rounding(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(2).normal(0, 0.1, (30, 3))
    whole = mean_intervals(differences, 100, seed=3)
    for elements in (70, 7):  # two resamples of 30 units, and fewer than one
        monkeypatch.setattr(bootstrap, "_CHUNK_ELEMENTS", elements)
        np.testing.assert_allclose(mean_intervals(differences, 100, seed=3), whole, rtol=0, atol=1e-12)


def test_as_many_resamples_are_drawn_as_were_asked_for() -> None:
    assert RESAMPLES == 10_000
    drawn = list(draw_counts(5, 100, 3, 30))
    assert [counts.shape for counts in drawn] == [(30, 5), (30, 5), (30, 5), (10, 5)]
    np.testing.assert_array_equal(np.concatenate(drawn), *draw_counts(5, 100, 3, 100))


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


def test_no_query_gives_the_whole_range() -> None:
    lower, upper = mean_intervals(np.zeros((0, 3)), 100, seed=0)
    assert (lower.tolist(), upper.tolist()) == ([-1.0] * 3, [1.0] * 3)


def test_one_unit_gives_the_whole_range() -> None:
    lower, upper = mean_intervals(np.array([[0.5, 0.0], [0.1, 0.0]]), 100, 0, np.array([4, 4]))
    assert (lower.tolist(), upper.tolist()) == ([-1.0, -1.0], [1.0, 1.0])
    two = mean_intervals(np.array([[0.5], [0.1]]), 100, 0, np.array([4, 5]))
    np.testing.assert_allclose(two, [[0.1], [0.5]])


def test_one_unit_holds_what_is_not_of_0_to_1() -> None:
    lower, upper = mean_intervals(np.array([[5.0, -3.0, 0.0]]), 100, seed=0)
    assert (lower.tolist(), upper.tolist()) == ([-1.0, -3.0, -1.0], [5.0, 1.0, 1.0])


def test_no_resamples() -> None:
    with pytest.raises(ConfigError, match="resamples is 0"):
        mean_intervals(np.zeros((5, 2)), 0, seed=0)
    assert mean_intervals(np.zeros((5, 2)), 1, seed=0)[0].tolist() == [0.0, 0.0]
