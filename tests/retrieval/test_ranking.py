import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedtune.errors import ConfigError, InputError
from embedtune.retrieval import ranking
from embedtune.retrieval.ranking import SCORE_DECIMALS, rank


def brute_force(queries, query_ids, index, index_ids, k):
    """The rule of the order, one pair at a time in float64."""
    results, tied = [], []
    for query, query_id in zip(np.asarray(queries, np.float64), query_ids, strict=True):
        scored = []
        for row, (document, index_id) in enumerate(zip(np.asarray(index, np.float64), index_ids, strict=True)):
            if index_id == query_id:
                continue
            lengths = np.linalg.norm(query) * np.linalg.norm(document)
            cosine = float(query @ document) / lengths if lengths > 0 else 0.0
            scored.append((-round(cosine, SCORE_DECIMALS), index_id, row))
        scored.sort()
        results.append([(row, -score) for score, _, row in scored[:k]] + [(-1, -np.inf)] * (k - len(scored)))
        tied.append(len(scored) > k and scored[k][0] == scored[k - 1][0])
    rows = np.array([[row for row, _ in result] for result in results])
    scores = np.array([[score for _, score in result] for result in results])
    return rows, scores, np.array(tied)


def collection(seed: int, queries: int, documents: int, dimension: int):
    """Random float32 vectors; a third of the index are duplicates, some queries are documents, ids are shuffled."""
    generator = np.random.default_rng(seed)
    index = generator.standard_normal((documents, dimension)).astype(np.float32)
    index[documents // 2 : documents // 2 + documents // 3] = index[generator.integers(0, 5, documents // 3)]
    index_ids = [f"{number:04x}" for number in generator.permutation(documents)]
    own = generator.permutation(documents)[: queries // 2]
    other = generator.standard_normal((queries - own.size, dimension)).astype(np.float32)
    query_ids = [index_ids[row] for row in own] + [f"q{row}" for row in range(queries - own.size)]
    return np.concatenate([index[own], other]), query_ids, index, index_ids


def assert_equal(result: ranking.Ranking, rows: NDArray, scores: NDArray, tied: NDArray) -> None:
    np.testing.assert_array_equal(result.indices, rows)
    np.testing.assert_allclose(result.scores, scores, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(result.tied_at_cut, tied)


@pytest.mark.parametrize("k", [1, 10, 300])
def test_equals_brute_force_in_float64(k: int) -> None:
    queries, query_ids, index, index_ids = collection(0, 40, 250, 24)
    assert_equal(rank(queries, query_ids, index, index_ids, k), *brute_force(queries, query_ids, index, index_ids, k))


@pytest.mark.parametrize("crowded", [0, 3, 10**9])
@pytest.mark.parametrize(("query_block", "index_block"), [(1, 1), (7, 31), (64, 100), (1000, 1000)])
def test_block_sizes_and_paths_change_nothing(
    monkeypatch: pytest.MonkeyPatch, query_block: int, index_block: int, crowded: int
) -> None:
    arguments = collection(1, 30, 200, 96)
    expected = rank(*arguments, 10)
    monkeypatch.setattr(ranking, "_QUERY_BLOCK", query_block)
    monkeypatch.setattr(ranking, "_INDEX_BLOCK", index_block)
    monkeypatch.setattr(ranking, "_CROWDED", crowded)
    monkeypatch.setattr(ranking, "_RESCORE_ELEMENTS", 500)
    result = rank(*arguments, 10)
    np.testing.assert_array_equal(result.indices, expected.indices)
    np.testing.assert_array_equal(result.scores, expected.scores)
    np.testing.assert_array_equal(result.tied_at_cut, expected.tied_at_cut)


def test_nearly_collapsed_vectors_are_ranked_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cosines that float32 cannot tell apart are still ordered as in float64."""
    generator = np.random.default_rng(2)
    index = (1 + 3e-3 * generator.standard_normal((300, 32))).astype(np.float32)
    queries = (1 + 3e-3 * generator.standard_normal((20, 32))).astype(np.float32)
    index_ids, query_ids = [f"{row:03}" for row in range(300)], [f"q{row}" for row in range(20)]
    expected = brute_force(queries, query_ids, index, index_ids, 10)
    for index_block in (50, 300):
        monkeypatch.setattr(ranking, "_INDEX_BLOCK", index_block)
        assert_equal(rank(queries, query_ids, index, index_ids, 10), *expected)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_equals_brute_force_on_tiny_grids_full_of_ties(data: st.DataObject) -> None:
    documents, queries = data.draw(st.integers(1, 12)), data.draw(st.integers(1, 4))
    k = data.draw(st.integers(1, 6))
    component = st.sampled_from([-1.0, 0.0, 1.0, 2.0])
    vector = st.lists(component, min_size=2, max_size=2)
    index = np.array(data.draw(st.lists(vector, min_size=documents, max_size=documents)), dtype=np.float32)
    query = np.array(data.draw(st.lists(vector, min_size=queries, max_size=queries)), dtype=np.float32)
    index_ids = data.draw(st.permutations([f"d{row:02}" for row in range(documents)]))
    query_ids = data.draw(st.permutations([f"d{row:02}" for row in range(12)]))[:queries]
    assert_equal(rank(query, query_ids, index, index_ids, k), *brute_force(query, query_ids, index, index_ids, k))


def test_ties_come_by_ascending_id_and_are_reported_at_the_cut() -> None:
    index = np.array([[1, 0], [2, 0], [5, 0], [0, 1]], dtype=np.float32)
    result = rank(np.array([[1, 0]], np.float32), ["q"], index, ["c", "a", "b", "d"], 2)
    assert result.indices.tolist() == [[1, 2]]
    assert result.scores.tolist() == [[1.0, 1.0]]
    assert result.tied_at_cut.tolist() == [True]
    assert rank(np.array([[1, 0]], np.float32), ["q"], index, ["c", "a", "b", "d"], 3).tied_at_cut.tolist() == [False]


def test_only_the_equal_id_is_excluded_not_its_duplicate() -> None:
    vectors = np.array([[1, 1], [1, 1], [1, -1]], dtype=np.float32)
    result = rank(vectors[:1], ["a"], vectors, ["a", "b", "c"], 3)
    assert result.indices.tolist() == [[1, 2, -1]]
    assert result.scores.tolist() == [[1.0, 0.0, -np.inf]]


def test_zero_vectors_score_zero() -> None:
    index = np.array([[0, 0], [-1, 0], [1, 0]], dtype=np.float32)
    result = rank(np.array([[1, 0], [0, 0]], np.float32), ["p", "q"], index, ["a", "b", "c"], 3)
    assert result.indices.tolist() == [[2, 0, 1], [0, 1, 2]]
    assert result.scores.tolist() == [[1.0, 0.0, -1.0], [0.0, 0.0, 0.0]]
    assert not np.signbit(result.scores[1]).any()


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e200])
def test_lengths_do_not_matter(scale: float) -> None:
    generator = np.random.default_rng(3)
    index, queries = generator.standard_normal((50, 8)), generator.standard_normal((5, 8))
    ids, query_ids = [str(row) for row in range(50)], ["a", "b", "c", "d", "e"]
    scaled = rank(queries / scale, query_ids, index * scale, ids, 5)
    plain = rank(queries, query_ids, index, ids, 5)
    np.testing.assert_array_equal(scaled.indices, plain.indices)
    np.testing.assert_array_equal(scaled.scores, plain.scores)


def test_half_precision_vectors_and_an_empty_index_are_fine() -> None:
    result = rank(np.ones((2, 3), np.float16), ["a", "b"], np.ones((1, 3), np.float16), ["a"], 1)
    assert result.indices.tolist() == [[-1], [0]]
    empty = rank(np.ones((2, 3)), ["a", "b"], np.ones((0, 3)), [], 2)
    assert empty.indices.tolist() == [[-1, -1], [-1, -1]]
    assert empty.tied_at_cut.tolist() == [False, False]


def test_vectors_given_are_left_alone() -> None:
    index = np.array([[3.0, 4.0]])
    rank(index, ["q"], index, ["a"], 1)
    assert index.tolist() == [[3.0, 4.0]]


class TestBadInput:
    ones = np.ones((2, 3), dtype=np.float32)

    def test_not_finite(self) -> None:
        broken = np.array([[1, 0, 0], [np.nan, 0, 0], [0, -np.inf, 0]], dtype=np.float32)
        with pytest.raises(InputError, match=r"2 of 3 index vectors hold NaN or infinite values \(first: id 'y'\)"):
            rank(self.ones, ["a", "b"], broken, ["x", "y", "z"], 1)
        with pytest.raises(InputError, match="2 of 3 query vectors"):
            rank(broken, ["x", "y", "z"], self.ones, ["a", "b"], 1)

    def test_shapes(self) -> None:
        with pytest.raises(InputError, match=r"query vectors have shape \(2, 3\) for 1 ids; expected \(1, d\)"):
            rank(self.ones, ["a"], self.ones, ["a", "b"], 1)
        with pytest.raises(InputError, match=r"index vectors have shape \(3,\)"):
            rank(self.ones, ["a", "b"], np.ones(3), ["a", "b", "c"], 1)
        with pytest.raises(InputError, match="Query vectors have 3 dimensions and index vectors 2"):
            rank(self.ones, ["a", "b"], np.ones((1, 2)), ["a"], 1)

    def test_repeated_index_id(self) -> None:
        with pytest.raises(InputError, match="1 of 2 index ids repeat"):
            rank(self.ones, ["a", "b"], self.ones, ["x", "x"], 1)

    def test_k(self) -> None:
        with pytest.raises(ConfigError, match="k is 0"):
            rank(self.ones, ["a", "b"], self.ones, ["x", "y"], 0)
