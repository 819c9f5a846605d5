"""Means by label."""

import numpy as np

from embedtune.retrieval.per_label import LabelScores, scores_by_label

LABELS = ["b", "a", "c", "a", "", "b", "d"]
TUNED = np.array([0.5, 0.25, 0.125, 0.5, 0.0, 0.25, 1.0])
SCORES = {
    "base": {"ndcg_at_10": TUNED / 2, "hit_at_10": np.ones(7)},
    "tuned": {"ndcg_at_10": TUNED, "hit_at_10": np.array([0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0])},
    "champion": {"ndcg_at_10": np.arange(7.0), "hit_at_10": np.zeros(7)},
}
COUNTED = {
    "base": np.ones(7, np.bool_),
    "tuned": np.ones(7, np.bool_),
    "champion": np.array([True, True, False, True, True, False, True]),
}


def test_the_worst_come_first_and_equal_ones_by_name() -> None:
    found = scores_by_label(LABELS, SCORES, COUNTED, ("tuned", "ndcg_at_10"))
    assert [(each.label, each.queries) for each in found] == [("c", 1), ("a", 2), ("b", 2), ("d", 1)]
    assert found[1] == LabelScores(
        "a",
        2,
        {
            "base": {"ndcg_at_10": 0.1875, "hit_at_10": 1.0},
            "tuned": {"ndcg_at_10": 0.375, "hit_at_10": 0.5},
            "champion": {"ndcg_at_10": 2.0, "hit_at_10": 0.0},
        },
    )


def test_only_what_counts_for_a_side_is_in_its_mean() -> None:
    found = {each.label: each for each in scores_by_label(LABELS, SCORES, COUNTED, ("tuned", "ndcg_at_10"))}
    assert found["b"].means["champion"] == {"ndcg_at_10": 0.0, "hit_at_10": 0.0}
    assert set(found["c"].means) == {"base", "tuned"}


def test_another_metric_and_side_order_them() -> None:
    found = scores_by_label(LABELS, SCORES, COUNTED, ("tuned", "hit_at_10"))
    assert [each.label for each in found] == ["d", "a", "b", "c"]
    assert scores_by_label(LABELS, SCORES, COUNTED, ("base", "ndcg_at_10"))[0].label == "c"


def test_no_more_than_asked_for() -> None:
    assert [each.label for each in scores_by_label(LABELS, SCORES, COUNTED, ("tuned", "ndcg_at_10"), 2)] == ["c", "a"]


def test_queries_without_labels() -> None:
    assert scores_by_label([""] * 7, SCORES, COUNTED, ("tuned", "ndcg_at_10")) == ()
    none = {side: {"hit_at_10": np.zeros(0)} for side in SCORES}
    nobody = {side: np.zeros(0, np.bool_) for side in SCORES}
    assert scores_by_label([], none, nobody, ("tuned", "hit_at_10")) == ()
