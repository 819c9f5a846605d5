"""The queries that the tuned model answers worst, in their order."""

import numpy as np
import pytest

from embedtune.retrieval.compare import Evaluation
from embedtune.retrieval.comparison import Decision
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.ranking import Ranking
from embedtune.retrieval.scoring import ModelResult
from embedtune.retrieval.weak_spots import QueryScores, weak_spots
from tests.comparisons import two_sides

IDS = ("a", "d", "c", "b", "e")
SCORES = {"base": [0.9, 0.5, 0.2, 0.5, 0.0], "tuned": [0.5, 0.1, 0.1, 0.1 + 1e-12, 1.0], "champion": [0.3] * 5}


def outcome(metric: str = "recall_at_5") -> Evaluation:
    """Of five queries, the champion knows the second."""
    labels = ["x", "y", "", "x", "y"]
    judged = EvaluationSet(IDS, [f"text {name}" for name in IDS], labels, ["i"], ["j"], judgments(labels))
    nothing = Ranking(*(np.zeros((5, 1), kind) for kind in (np.int64, np.float64, np.bool_, np.int64)))
    results = {
        side: ModelResult(nothing, {"ndcg_at_10": np.array(scores)[::-1], "recall_at_5": np.array(scores)})
        for side, scores in SCORES.items()
    }
    counted = {side: np.ones(5, np.bool_) for side in SCORES}
    counted["champion"][1] = False
    return Evaluation(two_sides([], Decision(False, "", metric, 0.0)), judged, results, counted)


def judgments(labels: list[str]) -> Judgments:
    return Judgments.from_labels(labels, IDS, ["x"], ["i"])


def test_the_lowest_come_first_then_what_fell_most_then_the_id() -> None:
    found = weak_spots(outcome())
    assert [query.id for query in found.queries] == ["b", "d", "c", "a", "e"]
    assert (found.metric, found.query_count) == ("recall_at_5", 5)


def test_a_query_has_its_text_label_and_scores_of_the_sides_that_it_counts_for() -> None:
    assert weak_spots(outcome()).queries[1] == QueryScores("d", "text d", "y", {"base": 0.5, "tuned": 0.1})
    assert weak_spots(outcome()).queries[2].scores == {"base": 0.2, "tuned": 0.1, "champion": 0.3}


@pytest.mark.parametrize("most", [0, 1, 5, 6])
def test_at_most_as_many_as_asked_for(most: int) -> None:
    found = weak_spots(outcome(), most)
    assert [query.id for query in found.queries] == ["b", "d", "c", "a", "e"][:most]
    assert found.query_count == 5


def test_a_correlation_is_none_of_single_queries() -> None:
    found = weak_spots(outcome("spearman"))
    assert found.metric == "ndcg_at_10"
    assert found.queries[0].id == "b"
    assert found.queries[0].scores["tuned"] == 0.1


def test_the_labels_come_with_their_means_over_the_queries_that_count() -> None:
    found = weak_spots(outcome())
    assert [(label.label, label.queries) for label in found.labels] == [("x", 2), ("y", 2)]
    assert found.labels[0].means == {
        "base": {"recall_at_5": 0.7},
        "tuned": {"recall_at_5": pytest.approx(0.3)},
        "champion": {"recall_at_5": 0.3},
    }
    assert found.labels[1].means["champion"] == {"recall_at_5": 0.3}
    assert found.label_count == 2
    few = weak_spots(outcome(), 1, 1)
    assert ([label.label for label in few.labels], few.label_count) == (["x"], 2)
