"""What a person is told to do next depends on what the evaluation found."""

import dataclasses
from types import SimpleNamespace

import pytest

from embedtune.reports.advice import next_steps
from embedtune.retrieval.comparison import Comparison, Decision, Probe, SideTable
from tests.comparisons import against_base, with_champion, with_side


def outcome(samples: SimpleNamespace, difference: float, lower: float, units: int = 100) -> Comparison:
    found = against_base(("ndcg_at_10", 0.5, 0.5 + difference, difference, lower, difference + 0.1), units)
    decision = Decision(False, "", "ndcg_at_10", 0.1)
    return dataclasses.replace(samples.COMPARISON, differences=(found,), decision=decision)


def test_after_a_gain(samples: SimpleNamespace) -> None:
    steps = next_steps(samples.COMPARISON, "covid-faq")
    assert steps[0].startswith("Try it on queries of your own: embedtune search")
    assert "models:/covid-faq@champion" in steps[-1]


@pytest.mark.parametrize(
    ("difference", "lower", "units", "told"),
    [
        (-0.1, -0.2, 100, "Read the examples under Worse"),
        (0.0, -0.1, 100, "Train longer, with more train_epochs"),
        (0.05, -0.01, 100, "Measure more exactly: four times as many queries"),
        (0.05, 0.0, 100, "Measure more exactly"),
        (0.05, 0.01, 19, "Measure more exactly"),
        (0.05, 0.01, 20, "Lower register_min_gain, if this gain in nDCG@10"),
    ],
)
def test_after_none(samples: SimpleNamespace, difference: float, lower: float, units: int, told: str) -> None:
    assert next_steps(outcome(samples, difference, lower, units), "covid-faq")[0].startswith(told)


@pytest.mark.parametrize(
    ("base", "told"),
    [(1.0, "Hold out what is harder to find: the base has the highest nDCG@10"), (0.9999, "Train longer")],
)
def test_after_a_base_that_finds_everything(samples: SimpleNamespace, base: float, told: str) -> None:
    found = against_base(("ndcg_at_10", base, base, 0.0, 0.0, 0.0), 100)
    comparison = dataclasses.replace(outcome(samples, 0.0, 0.0), differences=(found,))
    assert next_steps(comparison, "covid-faq")[0].startswith(told)


@pytest.mark.parametrize(
    ("tuned", "base", "told"),
    [
        (0.991, 0.2, "Train again with a lower train_learning_rate"),
        (0.991, None, "Train again with a lower"),
        (0.991, 0.99, "Train again with a lower"),
        (0.991, 0.991, "Let the model read what tells the texts"),
        (0.99, 0.991, "Lower register_min_lower_bound"),
    ],
)
def test_after_a_collapse(samples: SimpleNamespace, tuned: float, base: float | None, told: str) -> None:
    found = with_side(outcome(samples, 0.2, 0.1), "tuned", mean_cosine=tuned)
    assert next_steps(with_side(found, "base", mean_cosine=base), "covid-faq")[0].startswith(told)


def test_after_a_champion_that_is_better_or_could_not_be_scored(samples: SimpleNamespace) -> None:
    found = outcome(samples, 0.2, 0.1)
    found = dataclasses.replace(found, decision=dataclasses.replace(found.decision, better_than_base=True))
    (step,) = next_steps(found, "covid-faq")
    assert step.startswith("Mend what keeps the champion from being scored")
    assert "another batch_size of eval_options: with the same one, this outcome is taken from the cache" in step
    scored = with_champion(samples.COMPARISON, {metric.name: 0.9 for metric in samples.COMPARISON.metrics})
    (step,) = next_steps(dataclasses.replace(scored, decision=found.decision), "covid-faq")
    assert step.startswith("The champion goes on serving")


def test_after_an_interval_that_lies_too_low(samples: SimpleNamespace) -> None:
    found = outcome(samples, 0.2, 0.01)
    asked = dataclasses.replace(found, decision=Decision(False, "", "ndcg_at_10", 0.1, 0.05))
    assert next_steps(asked, "covid-faq")[0].startswith("Lower register_min_lower_bound, if this gain")


def test_after_forgetting(samples: SimpleNamespace) -> None:
    probe = Probe("ndcg_at_10", 0.05, 0, ("Probe general: it fell.",))
    table = SideTable("general", "/data", (), (), 40, 0, 60, probe=probe)
    found = dataclasses.replace(outcome(samples, 0.2, 0.1), side_tables=(table,))
    decision = dataclasses.replace(found.decision, better_than_base=True, reasons=probe.reasons)
    (step,) = next_steps(dataclasses.replace(found, decision=decision), "covid-faq")
    assert step.startswith("Forget less: train with fewer train_epochs")
    decision = dataclasses.replace(decision, reasons=(*probe.reasons, "The champion could not be scored."))
    steps = next_steps(dataclasses.replace(found, decision=decision), "covid-faq")
    assert [step[:11] for step in steps] == ["Forget less", "Mend what k"]
    worse = next_steps(dataclasses.replace(found, decision=dataclasses.replace(decision, better_than_base=False)), "x")
    assert [step[:11] for step in worse] == ["Forget less", "Lower regis"]
