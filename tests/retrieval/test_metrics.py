"""Metrics, by trec_eval's own program, by hand, and by naive loops."""

import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from embedtune.errors import InputError
from embedtune.retrieval import metrics
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.metric_names import NAMES, Metric
from embedtune.retrieval.metrics import (
    DEFINITIONS,
    JudgedRanking,
    average_precision,
    dcg,
    exponential_dcg,
    exponential_ndcg,
    f1,
    hit,
    ndcg,
    precision,
    r_precision,
    recall,
    reciprocal_rank,
    score,
)
from tests.trec_names import trec_names

CUTOFFS = (1, 3, 5, 10, 20, 50)
DEPTH = 20
QUERIES, DOCUMENTS = 200, 40
QUERY_IDS, INDEX_IDS = [f"q{row}" for row in range(QUERIES)], [f"d{row}" for row in range(DOCUMENTS)]


def test_the_tables_have_all_metrics_in_order() -> None:
    assert tuple(DEFINITIONS) == NAMES


class Drawn:
    """Rankings of 0 to 20 of 40 documents, of queries with 0 to 40 relevant ones."""

    def __init__(self, highest_gain: int, deepest: int = DEPTH) -> None:
        generator = np.random.default_rng(highest_gain)
        gains = generator.integers(1, highest_gain + 1, (QUERIES, DOCUMENTS))
        gains *= generator.random((QUERIES, DOCUMENTS)) < generator.random((QUERIES, 1))
        gains[:5] = 0
        gains[5:10] = highest_gain
        found = np.stack([generator.permutation(DOCUMENTS)[:DEPTH] for _ in range(QUERIES)])
        found[np.arange(DEPTH) >= generator.integers(0, 2 * DEPTH, QUERIES)[:, np.newaxis]] = -1
        self.gains, self.found = gains, found[:, :deepest]

    def judged(self, k: int) -> JudgedRanking:
        rows, columns = np.nonzero(self.gains)
        pairs = [QUERY_IDS[row] for row in rows], [INDEX_IDS[row] for row in columns]
        judgments = Judgments.from_pairs(QUERY_IDS, INDEX_IDS, *pairs, self.gains[rows, columns])
        return JudgedRanking(judgments.gains(self.found), judgments.ideal_gains(k), judgments.relevant_counts())

    def theirs(self, names: dict[str, str], exponential: bool = False) -> dict[str, dict[str, float]]:
        """Return trec_eval's numbers of the queries that have results."""
        gains = 2**self.gains - 1 if exponential else self.gains
        judged = [dict(zip(INDEX_IDS, row, strict=True)) for row in gains.tolist()]
        qrels = dict(zip(QUERY_IDS, judged, strict=True))
        run = {
            query: {INDEX_IDS[column]: -float(place) for place, column in enumerate(row) if column >= 0}
            for query, row in zip(QUERY_IDS, self.found, strict=True)
            if row[0] >= 0
        }
        return pytrec_eval.RelevanceEvaluator(qrels, set(names.values())).evaluate(run)


@pytest.mark.parametrize("highest_gain", [1, 3])
@pytest.mark.parametrize("k", CUTOFFS)
def test_random_rankings_score_as_in_trec_eval(highest_gain: int, k: int) -> None:
    names = trec_names(k, whole_runs=False)
    drawn = Drawn(highest_gain)
    theirs = drawn.theirs(names)
    assert 0 < len(theirs) < QUERIES
    compare_with(theirs, names, drawn.judged(k), k)


@pytest.mark.parametrize("k", CUTOFFS)
def test_measures_of_whole_runs_are_ours_where_runs_end(k: int) -> None:
    names = trec_names(k)
    drawn = Drawn(3, k)
    full = np.flatnonzero((drawn.found >= 0).sum(axis=1) == k)
    theirs = drawn.theirs(names)
    if k <= DEPTH:
        compare_with({QUERY_IDS[row]: theirs[QUERY_IDS[row]] for row in full}, names, drawn.judged(k), k)
    else:
        assert full.size == 0
    del names[f"f1_at_{k}"]  # of which trec_eval divides by the number of results
    compare_with(theirs, names, drawn.judged(k), k)


@pytest.mark.parametrize("k", CUTOFFS)
def test_exponential_gain_is_trec_evals_ndcg_of_such_gains(k: int) -> None:
    names = {f"exponential_ndcg_at_{k}": f"ndcg_cut_{k}"}
    drawn = Drawn(3)
    compare_with(drawn.theirs(names, exponential=True), names, drawn.judged(k), k)


def compare_with(theirs: dict[str, dict[str, float]], names: dict[str, str], judged: JudgedRanking, k: int) -> None:
    """A query without results is no query to trec_eval; to us it scores 0."""
    ours = score(judged, [Metric(key.removesuffix(f"_at_{k}"), k) for key in names])
    assert list(ours) == list(names)
    for key, measure in names.items():
        expected = {row: theirs[query][measure] for row, query in enumerate(QUERY_IDS) if query in theirs}
        np.testing.assert_allclose(ours[key][list(expected)], list(expected.values()), rtol=0, atol=1e-12, err_msg=key)
        assert not theirs or 0 < np.mean(list(expected.values())) < 1


def test_a_query_without_results_scores_zero() -> None:
    drawn = Drawn(3)
    missing = np.flatnonzero((drawn.found < 0).all(axis=1) & (drawn.gains > 0).any(axis=1))
    assert missing.size > 1
    for key, values in score(drawn.judged(10), [Metric(name, 10) for name in NAMES]).items():
        assert not values[missing].any(), key


class TestDefinitionsOnWhichLibrariesDiffer:
    """Relevant: a, b and c; ranking: a, x, b."""

    judged = JudgedRanking(np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 1.0]]), np.array([3]))

    def test_average_precision_divides_by_all_relevant(self) -> None:
        assert average_precision(self.judged, 2).tolist() == [1 / 3]
        assert average_precision(self.judged, 3)[0] == pytest.approx((1 + 2 / 3) / 3)

    def test_recall_divides_by_all_relevant(self) -> None:
        assert recall(self.judged, 2).tolist() == [1 / 3]
        assert recall(self.judged, 3).tolist() == [2 / 3]

    def test_precision_divides_by_k_even_where_fewer_were_returned(self) -> None:
        assert precision(self.judged, 2).tolist() == [0.5]
        assert precision(self.judged, 10).tolist() == [0.2]

    def test_f1_is_the_harmonic_mean_of_both(self) -> None:
        assert f1(self.judged, 2)[0] == pytest.approx(2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
        assert f1(self.judged, 10)[0] == pytest.approx(2 * (2 / 10) * (2 / 3) / (2 / 10 + 2 / 3))

    def test_r_precision_looks_at_as_many_ranks_as_there_are_relevant(self) -> None:
        assert r_precision(self.judged, 10).tolist() == [2 / 3]
        two = JudgedRanking(self.judged.gains, self.judged.ideal_gains, np.array([2]))
        assert r_precision(two, 10).tolist() == [1 / 2]
        assert r_precision(self.judged, 2).tolist() == recall(self.judged, 2).tolist() == [1 / 3]

    def test_ndcg_takes_the_ideal_from_all_relevant(self) -> None:
        assert ndcg(self.judged, 2)[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))

    def test_ndcg_is_linear_in_the_gain_unless_it_says_exponential(self) -> None:
        # gains 1, 3, 2 found in this order
        judged = JudgedRanking(np.array([[1.0, 3.0, 2.0]]), np.array([[3.0, 2.0, 1.0]]), np.array([3]))
        for of, of_dcg, gain in ((ndcg, dcg, float), (exponential_ndcg, exponential_dcg, lambda rank: 2.0**rank - 1)):
            found = gain(1) + gain(3) / np.log2(3) + gain(2) / 2
            ideal = gain(3) + gain(2) / np.log2(3) + gain(1) / 2
            assert of(judged, 3)[0] == pytest.approx(found / ideal, abs=1e-15)
            assert of_dcg(judged, 3)[0] == pytest.approx(found, abs=1e-14)
            assert of_dcg(judged, 1)[0] == gain(1)


def test_reciprocal_rank_and_hit_look_at_k_ranks() -> None:
    gains = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    judged = JudgedRanking(gains, np.ones((3, 3)), np.ones(3, int))
    assert reciprocal_rank(judged, 3).tolist() == reciprocal_rank(judged, 9).tolist() == [1 / 3, 1.0, 0.0]
    assert reciprocal_rank(judged, 2).tolist() == [0.0, 1.0, 0.0]
    assert hit(judged, 3).tolist() == hit(judged, 9).tolist() == [1.0, 1.0, 0.0]
    assert hit(judged, 2).tolist() == [0.0, 1.0, 0.0]


def test_a_query_without_relevant_documents_scores_zero() -> None:
    judged = JudgedRanking(np.zeros((1, 10)), np.zeros((1, 10)), np.array([0]))
    assert all(of(judged, k).tolist() == [0.0] for of in DEFINITIONS.values() for k in (1, 10, 20))


def test_numbers_at_ten_are_to_the_last_digit_what_they_were() -> None:
    """Whatever else is asked for, and however many queries are scored at a time."""
    judged = Drawn(3).judged(50)
    gains, ideal = judged.gains[:, :10], judged.ideal_gains[:, :10]
    discounts = np.log2(np.arange(2, 12))
    best, relevant = (ideal / discounts).sum(axis=1), gains > 0
    precisions = relevant.cumsum(axis=1) / np.arange(1, 11)
    some = judged.relevant_counts > 0
    expected = {
        "ndcg_at_10": (gains / discounts).sum(axis=1)[some] / best[some],
        "map_at_10": (precisions * relevant).sum(axis=1)[some] / judged.relevant_counts[some],
        "recall_at_10": relevant.sum(axis=1)[some] / judged.relevant_counts[some],
        "precision_at_10": relevant.sum(axis=1)[some] / 10,
    }
    scores = score(judged, [Metric(name, k) for name in NAMES for k in CUTOFFS])
    for key, values in expected.items():
        assert scores[key][some].tolist() == values.tolist(), key


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    judged, asked = Drawn(3).judged(20), [Metric(name, k) for name in NAMES for k in CUTOFFS]
    whole = score(judged, asked)
    for elements in (1, 3 * DEPTH, QUERIES * DEPTH - 1):
        monkeypatch.setattr(metrics, "_BLOCK_ELEMENTS", elements)
        assert {key: values.tolist() for key, values in score(judged, asked).items()} == {
            key: values.tolist() for key, values in whole.items()
        }


def test_a_relevance_that_is_no_exponent() -> None:
    def graded(gain: float) -> JudgedRanking:
        return JudgedRanking(np.array([[gain]]), np.array([[gain]]), np.array([1]))

    for name in ("exponential_ndcg", "exponential_dcg"):
        with pytest.raises(InputError, match=r"A relevance of 1000\.5 is too large .* 1000 is the most"):
            score(graded(1000.5), [Metric("ndcg", 10), Metric(name, 10)])
        assert math.isfinite(score(graded(1000.0), [Metric(name, 10)])[f"{name}_at_10"][0])
    assert score(graded(1e6), [Metric("ndcg", 10)])["ndcg_at_10"].tolist() == [1.0]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.sampled_from([1, 4, 10]), st.randoms())
def test_all_are_at_least_zero_and_the_ideal_order_is_best(all_gains: list[int], k: int, random) -> None:
    ideal = np.zeros((1, 10))
    descending = sorted(all_gains, reverse=True)[:10]
    ideal[0, : len(descending)] = descending
    count = np.array([sum(gain > 0 for gain in all_gains)])
    random.shuffle(all_gains)
    shuffled = np.array([all_gains[:10]], dtype=np.float64)
    for name, of in DEFINITIONS.items():
        found, best = of(JudgedRanking(shuffled, ideal, count), k)[0], of(JudgedRanking(ideal, ideal, count), k)[0]
        assert 0 <= found <= best + 1e-12
        assert best <= 1 + 1e-12 or name in ("dcg", "exponential_dcg")
    assert ndcg(JudgedRanking(ideal, ideal, count), k)[0] == (1.0 if count[0] else 0.0)
