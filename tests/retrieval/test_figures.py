"""What tools that compare runs show of a comparison."""

import dataclasses

import pytest

from embedtune.retrieval.comparison import Decision
from embedtune.retrieval.figures import figures_of
from tests.comparisons import two_sides, with_champion

NUMBERS = [("ndcg_at_10", 0.5, 0.7, 0.2, 0.1, 0.3), ("mrr_at_10", 0.4, 0.3, -0.1, -0.2, 0.05)]
DECISION = Decision(better=True, reason="It is.", metric="ndcg_at_10", min_gain=0.0)


def test_two_sides() -> None:
    assert figures_of(two_sides(NUMBERS, DECISION)) == {
        "base_ndcg_at_10": 0.5,
        "tuned_ndcg_at_10": 0.7,
        "base_mrr_at_10": 0.4,
        "tuned_mrr_at_10": 0.3,
        "gain_ndcg_at_10": 0.2,
        "gain_ndcg_at_10_lower": 0.1,
        "gain_ndcg_at_10_upper": 0.3,
        "better": 1.0,
    }


def test_a_champion_and_a_decision_against_it() -> None:
    decision = dataclasses.replace(DECISION, better=False, metric="mrr_at_10")
    found = figures_of(with_champion(two_sides(NUMBERS, decision), {"ndcg_at_10": 0.6, "mrr_at_10": 0.5}))
    assert found["better"] == 0.0
    assert found["champion_ndcg_at_10"] == 0.6
    assert {name: value for name, value in found.items() if name.startswith("gain")} == pytest.approx(
        {
            "gain_mrr_at_10": -0.1,
            "gain_mrr_at_10_lower": -0.2,
            "gain_mrr_at_10_upper": 0.05,
            "gain_over_champion_mrr_at_10": -0.2,
            "gain_over_champion_mrr_at_10_lower": -0.21,
            "gain_over_champion_mrr_at_10_upper": -0.19,
        }
    )
    assert all(type(value) is float for value in found.values())
