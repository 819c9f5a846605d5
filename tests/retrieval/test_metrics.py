import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.metric_names import METRIC_NAMES
from embedtune.retrieval.metrics import (
    METRICS,
    JudgedRanking,
    average_precision,
    hit,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from tests.trec_names import TREC_NAMES


def test_the_tables_have_all_metrics_in_order() -> None:
    assert list(METRICS) == list(METRIC_NAMES) == list(TREC_NAMES)


@pytest.mark.parametrize("highest_gain", [1, 3])
def test_random_rankings_score_as_in_trec_eval(highest_gain: int) -> None:
    generator = np.random.default_rng(highest_gain)
    queries, documents = 200, 40
    query_ids = [f"q{row}" for row in range(queries)]
    index_ids = [f"d{row}" for row in range(documents)]
    gains = generator.integers(1, highest_gain + 1, (queries, documents))
    # From one relevant document to nearly all of them.
    gains *= generator.random((queries, documents)) < generator.random((queries, 1))
    gains[np.arange(queries), generator.integers(0, documents, queries)] = highest_gain
    found = np.stack([generator.permutation(documents)[:10] for _ in range(queries)])
    found[np.arange(10) >= generator.integers(1, 11, queries)[:, np.newaxis]] = -1

    rows, columns = np.nonzero(gains)
    judgments = Judgments.from_pairs(
        query_ids,
        index_ids,
        [query_ids[row] for row in rows],
        [index_ids[row] for row in columns],
        gains[rows, columns],
    )
    judged = JudgedRanking(judgments.gains(found), judgments.ideal_gains(10), judgments.relevant_counts())
    ours = {name: metric(judged) for name, metric in METRICS.items()}

    qrels = {
        query: {document: int(gains[row, column]) for column, document in enumerate(index_ids) if gains[row, column]}
        for row, query in enumerate(query_ids)
    }
    run = {
        query: {index_ids[column]: -float(place) for place, column in enumerate(found[row]) if column >= 0}
        for row, query in enumerate(query_ids)
    }
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(TREC_NAMES.values())).evaluate(run)
    for name, measure in TREC_NAMES.items():
        expected = [theirs[query][measure] for query in query_ids]
        np.testing.assert_allclose(ours[name], expected, rtol=0, atol=1e-9, err_msg=name)
        assert 0 < np.mean(expected) < 1 or name == "hit_at_10"


class TestDefinitionsOnWhichLibrariesDiffer:
    """Relevant: a, b and c; ranking: a, x, b."""

    gains = np.array([[1.0, 0.0, 1.0]])
    ideal = np.array([[1.0, 1.0, 1.0]])
    count = np.array([3])

    def test_average_precision_divides_by_all_relevant(self) -> None:
        assert average_precision(self.gains, self.count, 2).tolist() == [1 / 3]
        assert average_precision(self.gains, self.count, 3)[0] == pytest.approx((1 + 2 / 3) / 3)

    def test_recall_divides_by_all_relevant(self) -> None:
        assert recall(self.gains, self.count, 2).tolist() == [1 / 3]
        assert recall(self.gains, self.count, 3).tolist() == [2 / 3]

    def test_precision_divides_by_k_even_where_fewer_were_returned(self) -> None:
        assert precision(self.gains, 2).tolist() == [0.5]
        assert precision(self.gains, 10).tolist() == [0.2]

    def test_ndcg_takes_the_ideal_from_all_relevant(self) -> None:
        assert ndcg(self.gains, self.ideal, 2)[0] == pytest.approx(1 / (1 + 1 / np.log2(3)))

    def test_ndcg_is_linear_in_the_gain(self) -> None:
        # gains 1, 3, 2 found in this order
        dcg = 1 + 3 / np.log2(3) + 2 / 2
        ideal = 3 + 2 / np.log2(3) + 1 / 2
        assert ndcg(np.array([[1.0, 3.0, 2.0]]), np.array([[3.0, 2.0, 1.0]]), 3)[0] == pytest.approx(dcg / ideal)


def test_reciprocal_rank_and_hit_look_at_k_ranks() -> None:
    gains = np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert reciprocal_rank(gains, 3).tolist() == [1 / 3, 1.0, 0.0]
    assert reciprocal_rank(gains, 2).tolist() == [0.0, 1.0, 0.0]
    assert hit(gains, 3).tolist() == [1.0, 1.0, 0.0]
    assert hit(gains, 2).tolist() == [0.0, 1.0, 0.0]


def test_a_query_without_relevant_documents_scores_zero() -> None:
    judged = JudgedRanking(np.zeros((1, 10)), np.zeros((1, 10)), np.array([0]))
    assert [metric(judged).tolist() for metric in METRICS.values()] == [[0.0]] * len(METRICS)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.randoms())
def test_all_lie_in_0_to_1_and_the_ideal_order_is_best(all_gains: list[int], random) -> None:
    ideal = np.zeros((1, 10))
    descending = sorted(all_gains, reverse=True)[:10]
    ideal[0, : len(descending)] = descending
    count = np.array([sum(gain > 0 for gain in all_gains)])
    random.shuffle(all_gains)
    shuffled = np.array([all_gains[:10]], dtype=np.float64)
    scores = {name: metric(JudgedRanking(shuffled, ideal, count))[0] for name, metric in METRICS.items()}
    best = {name: metric(JudgedRanking(ideal, ideal, count))[0] for name, metric in METRICS.items()}
    for name, score in scores.items():
        assert 0 <= score <= best[name] + 1e-12 <= 1 + 2e-12
    assert best["ndcg_at_10"] == (1.0 if count[0] else 0.0)
