import numpy as np
import pytest

from embedtune.retrieval.distances import DISTANCES, open_space

QUERIES, INDEX = np.array([[3.0, 4.0], [0.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 2.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("distance", "terms"),
    [
        ("cosine", [1.0, 1.0, 1.0]),
        ("dot", [5 / 8 * 2 / 4, 0.0, 1 / 2 * 2 / 4]),  # over the power of two above each
        ("euclidean", [(5 / 8 + 2 / 8) ** 2 / 2, (2 / 8) ** 2 / 2, (1 / 8 + 2 / 8) ** 2 / 2]),
    ],
)
def test_error_bounds(distance: str, terms: list[float]) -> None:
    space = open_space(distance, QUERIES, INDEX)
    in_float64 = (2 + 1 + 8) * 2.0**-52 * np.array(terms)
    np.testing.assert_allclose(space.float64_errors(), in_float64, rtol=1e-12, atol=0)
    in_float32 = 1.01 * (2 + 1 + 8) * 2.0**-24 * np.array(terms) + 11 * 2.0**-124 + in_float64
    np.testing.assert_allclose(space.float32_errors(), in_float32, rtol=1e-12, atol=0)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0])
def test_products_are_within_the_bounds_and_stand_for_the_scores(distance: str, offset: float) -> None:
    generator = np.random.default_rng(0)
    queries, index = (generator.standard_normal((rows, 64)) + offset for rows in (20, 300))
    space, every = open_space(distance, queries, index), np.arange(20)
    rows = space.prepare(index)
    left, right = space.left(every), space.right(rows)
    exact = left @ right.T
    assert (np.abs(left) @ np.abs(right).T <= space.terms[:, np.newaxis] * (1 + 1e-12)).all()
    products = (left.astype(np.float32) @ right.astype(np.float32).T).astype(np.float64)
    assert (np.abs(products - exact) <= space.float32_errors()[:, np.newaxis]).all()
    pairs = np.repeat(every, 300), np.tile(np.arange(300), 20)
    units = space.units(pairs[0], rows[pairs[1]]).reshape(20, 300)
    errors = space.float64_errors()[:, np.newaxis]
    assert (np.rint(space.of_products(every, exact - errors)) <= units).all()
    assert (np.rint(space.of_products(every, exact + errors)) >= units).all()


@pytest.mark.parametrize(
    ("length", "decimals"), [(0.0, 6), (1.0, 6), (3.1, 6), (3.2, 5), (31.0, 5), (32.0, 4), (0.32, 6), (0.31, 7)]
)
def test_decimals_follow_the_largest_score_that_can_be(length: float, decimals: int) -> None:
    assert open_space("dot", np.array([[length]]), np.array([[1.0]])).decimals.tolist() == [decimals]
    assert open_space("euclidean", np.array([[length]]), np.zeros((1, 1))).decimals.tolist() == [decimals]
    assert open_space("euclidean", np.zeros((1, 1)), np.array([[length]])).decimals.tolist() == [decimals]
    assert open_space("cosine", np.array([[length]]), np.array([[1.0]])).decimals.tolist() == [6]
