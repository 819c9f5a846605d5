import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from embedtune.errors import ConfigError, InputError
from embedtune.progress import EVENTS_VARIABLE
from embedtune.retrieval import candidates, ranking
from embedtune.retrieval.distances import DISTANCES
from embedtune.retrieval.ranking import rank


def brute_force(queries, query_ids, index, index_ids, k, distance="cosine"):
    """The rule of the order, one pair at a time in float64."""
    results, tied, decimals = [], [], []
    index = np.asarray(index, np.float64)
    longest = max((np.linalg.norm(document) for document in index), default=0.0)
    for query, query_id in zip(np.asarray(queries, np.float64), query_ids, strict=True):
        length = np.linalg.norm(query)
        bound = {"cosine": 1.0, "dot": length * longest, "euclidean": length + longest}[distance]
        decimals.append(6 - round(np.log10(bound)) if bound > 0 else 6)
        scored = []
        for row, (document, index_id) in enumerate(zip(index, index_ids, strict=True)):
            if index_id == query_id:
                continue
            lengths = length * np.linalg.norm(document)
            score = -np.linalg.norm(query - document) if distance == "euclidean" else query @ document
            if distance == "cosine":
                score = score / lengths if lengths > 0 else 0.0
            scored.append((-round(float(score), decimals[-1]), index_id, row))
        scored.sort()
        results.append([(row, -score) for score, _, row in scored[:k]] + [(-1, -np.inf)] * (k - len(scored)))
        tied.append(len(scored) > k and scored[k][0] == scored[k - 1][0])
    rows = np.array([[row for row, _ in result] for result in results])
    scores = np.array([[score for _, score in result] for result in results])
    return rows, scores, np.array(tied), np.array(decimals)


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


def assert_equal(result, rows: NDArray, scores: NDArray, tied: NDArray, decimals: NDArray) -> None:
    np.testing.assert_array_equal(result.decimals, decimals)
    np.testing.assert_array_equal(result.indices, rows)
    np.testing.assert_allclose(result.scores, scores, rtol=1e-12, atol=0)
    np.testing.assert_array_equal(result.tied_at_cut, tied)


def set_blocks(monkeypatch: pytest.MonkeyPatch, query_block: int, index_block: int, spare: int) -> None:
    for module in (ranking, candidates):
        monkeypatch.setattr(module, "QUERY_BLOCK", query_block)
        monkeypatch.setattr(module, "INDEX_BLOCK", index_block)
    monkeypatch.setattr(ranking, "_EXACT_ELEMENTS", 500)
    monkeypatch.setattr(candidates, "_PREPARED_ROWS", 5)
    monkeypatch.setattr(candidates, "_SPARE", spare)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("k", [1, 10, 300])
def test_equals_brute_force_in_float64(k: int, distance: str) -> None:
    arguments = (*collection(0, 40, 250, 24), k, distance)
    assert_equal(rank(*arguments), *brute_force(*arguments))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("spare", [0, 3, 32, 10**9])
@pytest.mark.parametrize(("query_block", "index_block"), [(1, 1), (7, 31), (64, 100), (1000, 1000)])
def test_block_sizes_and_paths_change_nothing(
    monkeypatch: pytest.MonkeyPatch, query_block: int, index_block: int, spare: int, distance: str
) -> None:
    arguments = (*collection(1, 30, 200, 96), 10, distance)
    expected = rank(*arguments)
    set_blocks(monkeypatch, query_block, index_block, spare)
    result = rank(*arguments)
    for name in ("indices", "scores", "tied_at_cut", "decimals"):
        np.testing.assert_array_equal(getattr(result, name), getattr(expected, name))


@pytest.mark.parametrize("distance", DISTANCES)
def test_nearly_collapsed_vectors_are_ranked_exactly(monkeypatch: pytest.MonkeyPatch, distance: str) -> None:
    """Scores that float32 cannot tell apart are still ordered as in float64."""
    generator = np.random.default_rng(2)
    index = (1 + 3e-3 * generator.standard_normal((300, 32))).astype(np.float32)
    queries = (1 + 3e-3 * generator.standard_normal((20, 32))).astype(np.float32)
    index_ids, query_ids = [f"{row:03}" for row in range(300)], [f"q{row}" for row in range(20)]
    arguments = queries, query_ids, index, index_ids, 10, distance
    expected = brute_force(*arguments)
    for index_block in (50, 300):
        set_blocks(monkeypatch, 7, index_block, 32)
        assert_equal(rank(*arguments), *expected)


def test_scores_halfway_between_two_units_are_rounded_like_single_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the error of a product would decide, so each is looked at by itself."""
    halves = np.random.default_rng(7).permutation(40) + 0.5
    index = np.concatenate([[1e6], halves])[:, np.newaxis]
    arguments = np.ones((1, 1)), ["q"], index, [f"{row:02}" for row in range(41)], 20, "dot"
    assert rank(*arguments).scores[0, :4].tolist() == [1e6, 40.0, 38.0, 38.0]
    set_blocks(monkeypatch, 7, 9, 0)
    assert_equal(rank(*arguments), *brute_force(*arguments))


@pytest.mark.parametrize(
    ("queries", "documents", "dimension", "k", "spread", "distance", "most_mib"),
    [
        (2048, 8192, 8, 1, 1.0, "cosine", 15.5),
        (2048, 8192, 8, 1, 1e-6, "cosine", 38),  # as many near ties as documents: float64 products of all
        (16, 8192, 512, 1, 1.0, "cosine", 10.5),
        (16, 8192, 512, 1, 1.0, "dot", 9.5),
        (4, 8192, 64, 4000, 1.0, "cosine", 3.8),
    ],
)
def test_memory_is_that_of_blocks(
    queries: int, documents: int, dimension: int, k: int, spread: float, distance: str, most_mib: float
) -> None:
    generator = np.random.default_rng(6)
    vectors = [
        (spread * generator.standard_normal((rows, dimension)) + (1 - spread)).astype(np.float32)
        for rows in (queries, documents)
    ]
    query_ids, index_ids = [f"q{row}" for row in range(queries)], [f"{row:05}" for row in range(documents)]
    tracemalloc.start()
    try:
        rank(vectors[0], query_ids, vectors[1], index_ids, k, distance)
        assert tracemalloc.get_traced_memory()[1] < most_mib * 2**20
    finally:
        tracemalloc.stop()


def drawn_vectors(data: st.DataObject, rows: int, columns: int) -> NDArray:
    """Few directions and lengths, so that there are duplicates, zero vectors and ties; or numbers like a model's."""
    if data.draw(st.booleans()):
        component = st.sampled_from([-1.0, 0.0, 1.0, 2.0])
        row = st.lists(component, min_size=columns, max_size=columns)
        return np.array(data.draw(st.lists(row, min_size=rows, max_size=rows)), np.float32).reshape(rows, columns)
    generator = np.random.default_rng(data.draw(st.integers(0, 1000)))
    vectors = generator.standard_normal((rows, columns)).astype(np.float32)
    return vectors[generator.integers(0, max(rows, 1), rows)] if rows else vectors


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_equals_brute_force_whatever_the_shapes_and_ties(data: st.DataObject) -> None:
    documents, queries = data.draw(st.integers(0, 12)), data.draw(st.integers(1, 4))
    k, columns = data.draw(st.integers(1, 15)), data.draw(st.integers(1, 5))
    distance = data.draw(st.sampled_from(DISTANCES))
    factor = data.draw(st.sampled_from([1.0, 1e-12, 1e-3, 1e4, 1e12]))
    index, query = (drawn_vectors(data, rows, columns) * np.float64(factor) for rows in (documents, queries))
    index_ids = data.draw(st.permutations([f"d{row:02}" for row in range(documents)]))
    query_ids = data.draw(st.permutations([f"d{row:02}" for row in range(12)]))[:queries]
    arguments = query, query_ids, index, index_ids, k, distance
    with pytest.MonkeyPatch.context() as patch:
        set_blocks(patch, 3, data.draw(st.integers(1, 13)), data.draw(st.sampled_from([0, 1, 32])))
        assert_equal(rank(*arguments), *brute_force(*arguments))


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


def test_scores_of_each_distance_by_hand() -> None:
    index = np.array([[3, 4], [0, 1], [30, 40], [0, 0]], dtype=np.float32)
    query = np.array([[0, 5]], dtype=np.float32)
    for distance, rows, scores, decimals in (
        ("cosine", [1, 0, 2, 3], [1.0, 0.8, 0.8, 0.0], 6),
        ("dot", [2, 0, 1, 3], [200.0, 20.0, 5.0, 0.0], 4),
        ("euclidean", [0, 1, 3, 2], [-3.1623, -4.0, -5.0, -46.0977], 4),
    ):
        result = rank(query, ["q"], index, ["a", "b", "c", "d"], 4, distance)
        assert result.indices.tolist() == [rows]
        assert result.scores.tolist() == [scores]
        assert result.decimals.tolist() == [decimals]


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(("query_factor", "index_factor"), [(1e30, 1e-30), (1e-38, 1e38), (1e60, 1e-60), (3e-66, 3e66)])
@pytest.mark.filterwarnings("error")
def test_vectors_of_very_different_lengths(distance: str, query_factor: float, index_factor: float) -> None:
    queries, query_ids, index, index_ids = collection(4, 8, 90, 6)
    arguments = queries * np.float64(query_factor), query_ids, index * np.float64(index_factor), index_ids, 5, distance
    assert_equal(rank(*arguments), *brute_force(*arguments))


@pytest.mark.parametrize("distance", ["dot", "euclidean"])
def test_one_far_vector_hides_no_other(distance: str) -> None:
    queries, query_ids, index, index_ids = collection(5, 8, 90, 6)
    queries, index = queries.astype(np.float64), index.astype(np.float64)
    queries[3] *= 1e40
    index[7] *= 1e4
    arguments = queries, query_ids, index, index_ids, 5, distance
    assert_equal(rank(*arguments), *brute_force(*arguments))


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


def test_vectors_longer_than_what_is_computed_at_once_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranking, "_EXACT_ELEMENTS", 2)
    result = rank(np.ones((1, 3)), ["q"], np.array([[1.0, 1, 1], [1, 1, 0]]), ["a", "b"], 2)
    assert result.indices.tolist() == [[0, 1]]


def test_how_far_it_is_is_told_in_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(EVENTS_VARIABLE, str(tmp_path / "events"))
    set_blocks(monkeypatch, 7, 50, 0)
    rank(np.ones((2, 3)), ["p", "q"], np.ones((120, 3)), [f"{row:03}" for row in range(120)], 1)
    events = map(json.loads, (tmp_path / "events").read_text(encoding="utf-8").splitlines())
    ends = [(each["description"], each["total"], each["unit"]) for each in events if each["done"] == each["total"]]
    assert ends == [
        ("Ranking the index", 120, "documents"),
        ("Ranking for 2 queries with many near ties", 120, "documents"),
    ]


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
        with pytest.raises(InputError, match=r"query vectors have shape \(2, 0\) for 2 ids; expected \(2, d\)"):
            rank(np.ones((2, 0)), ["a", "b"], np.ones((2, 0)), ["a", "b"], 1)
        with pytest.raises(InputError, match="Query vectors have 3 dimensions and index vectors 2"):
            rank(self.ones, ["a", "b"], np.ones((1, 2)), ["a"], 1)

    def test_distance(self) -> None:
        with pytest.raises(ConfigError, match="distance is 'manhattan'; it must be one of cosine, dot, euclidean"):
            rank(self.ones, ["a", "b"], self.ones, ["x", "y"], 1, "manhattan")

    @pytest.mark.parametrize("distance", ["dot", "euclidean"])
    def test_lengths_beyond_float64(self, distance: str) -> None:
        rows = np.array([[1.0, 0], [1.1e70, 0], [0, 0], [0, 0.9e-70], [1e-70, 0], [0, 1e70]])
        ids = list("abcdef")
        with pytest.raises(InputError, match=r"2 of 6 index vectors are shorter .*first: row 1, length 1"):
            rank(rows[:1], ["q"], rows, ids, 1, distance)
        with pytest.raises(InputError, match="2 of 6 query vectors"):
            rank(rows, ids, rows[:1], ["q"], 1, distance)
        rank(rows[[0, 2, 4, 5]], ids[:4], rows[[0, 2, 4, 5]], ids[:4], 1, distance)
        assert rank(rows, ids, rows, ids, 1).scores.tolist() == [[1.0], [1.0], [0.0], [1.0], [1.0], [1.0]]

    def test_repeated_index_id(self) -> None:
        with pytest.raises(InputError, match="1 of 2 index ids repeat"):
            rank(self.ones, ["a", "b"], self.ones, ["x", "x"], 1)

    def test_k(self) -> None:
        with pytest.raises(ConfigError, match="k is 0"):
            rank(self.ones, ["a", "b"], self.ones, ["x", "y"], 0)
