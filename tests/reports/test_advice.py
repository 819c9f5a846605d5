"""What a person is told to do next depends on what the evaluation found."""

import dataclasses
from types import SimpleNamespace

import pytest

from embedtune.reports.advice import next_steps
from embedtune.retrieval.comparison import Comparison, Decision, MetricComparison


def outcome(samples: SimpleNamespace, difference: float, lower: float, **changes: object) -> Comparison:
    metric = MetricComparison("ndcg_at_10", 0.5, 0.5 + difference, difference, lower, difference + 0.1)
    decision = Decision(False, "", "ndcg_at_10", 0.1)
    return dataclasses.replace(samples.COMPARISON, metrics=(metric,), decision=decision, **changes)


def test_after_a_gain(samples: SimpleNamespace) -> None:
    steps = next_steps(samples.COMPARISON, "covid-faq")
    assert steps[0].startswith("Try it on queries of your own: embedtune search")
    assert "models:/covid-faq@champion" in steps[-1]


@pytest.mark.parametrize(
    ("difference", "lower", "changes", "told"),
    [
        (-0.1, -0.2, {}, "Read the examples under Worse"),
        (0.0, -0.1, {}, "Train longer, with more train_epochs"),
        (0.05, -0.01, {}, "Measure more exactly: four times as many queries"),
        (0.05, 0.01, {"queries": 19}, "Measure more exactly"),
        (0.05, 0.01, {}, "Lower register_min_gain, if this gain in nDCG@10"),
        (0.2, 0.1, {"tuned_mean_cosine": 0.999}, "Train again with a lower train_learning_rate"),
        (0.2, 0.1, {"tuned_mean_cosine": 0.999, "base_mean_cosine": None}, "Train again with a lower"),
        (0.2, 0.1, {"tuned_mean_cosine": 0.999, "base_mean_cosine": 1.0}, "Let the model read what tells the texts"),
    ],
)
def test_after_none(
    samples: SimpleNamespace, difference: float, lower: float, changes: dict[str, object], told: str
) -> None:
    assert next_steps(outcome(samples, difference, lower, **changes), "covid-faq")[0].startswith(told)


def test_after_an_interval_that_lies_too_low(samples: SimpleNamespace) -> None:
    found = outcome(samples, 0.2, 0.01)
    asked = dataclasses.replace(found, decision=Decision(False, "", "ndcg_at_10", 0.1, 0.05))
    assert next_steps(asked, "covid-faq")[0].startswith("Lower register_min_lower_bound, if this gain")
