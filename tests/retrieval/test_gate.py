import numpy as np
import pytest

from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.comparison import MIN_QUERIES, MetricComparison
from embedtune.retrieval.gate import decide, refuse_collapsed


def metric(difference: float, lower: float, upper: float, name: str = "ndcg_at_10") -> MetricComparison:
    return MetricComparison(name, 0.5, 0.5 + difference, difference, lower, upper)


BETTER = metric(0.05, 0.02, 0.08)


@pytest.mark.parametrize(
    ("judged", "min_gain", "promoted", "reason"),
    [
        (
            BETTER,
            0.01,
            True,
            "The tuned model is better: nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800), "
            "and +0.0100 was asked for.",
        ),
        (
            metric(0.05, 0.04, 0.06),
            0.1,
            False,
            "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0400 to +0.0600), "
            "which is less than the +0.1000 asked for.",
        ),
        (
            metric(0.05, -0.01, 0.11, "mrr_at_10"),
            0.0,
            False,
            "MRR@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval -0.0100 to +0.1100), "
            "but the interval includes zero, so the gain may be chance.",
        ),
        (
            metric(-0.05, -0.08, -0.02),
            0.0,
            False,
            "The tuned model is worse: nDCG@10 fell from 0.5000 to 0.4500 (-0.0500, 95% interval -0.0800 to -0.0200).",
        ),
        (
            metric(0.0, 0.0, 0.0),
            0.0,
            False,
            "The tuned model is no better: nDCG@10 stayed at 0.5000 (95% interval +0.0000 to +0.0000).",
        ),
    ],
)
def test_each_case_has_its_sentence(judged: MetricComparison, min_gain: float, promoted: bool, reason: str) -> None:
    decision = decide(judged, min_gain, 100)
    assert (decision.better, decision.reason) == (promoted, reason)
    assert (decision.metric, decision.min_gain) == (judged.name, min_gain)


def test_the_limits_are_inclusive_for_the_gain_and_exclusive_for_the_interval() -> None:
    assert decide(BETTER, BETTER.difference, 100).better
    assert decide(metric(0.3 - 0.25, 0.02, 0.08), 0.05, 100).better  # 0.04999999999999999
    assert not decide(metric(0.05 - 1e-6, 0.02, 0.08), 0.05, 100).better
    assert not decide(metric(0.05, 0.0, 0.1), 0.0, 100).better


def test_a_bound_for_the_interval() -> None:
    assert decide(BETTER, 0.01, 100, min_lower_bound=0.0199).better
    refused = decide(BETTER, 0.01, 100, min_lower_bound=0.02)
    assert (refused.better, refused.min_lower_bound) == (False, 0.02)
    assert refused.reason == (
        "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800); the interval was asked to lie "
        "above +0.0200."
    )
    with pytest.raises(ConfigError, match=r"min_lower_bound is 1\.5; .* lies in 0\.\.1"):
        decide(BETTER, 0.01, 100, min_lower_bound=1.5)


@pytest.mark.parametrize("min_gain", [-0.01, 1.01, float("nan")])
def test_impossible_min_gain(min_gain: float) -> None:
    with pytest.raises(ConfigError, match=r"min_gain is .* lies in 0\.\.1"):
        decide(BETTER, min_gain, 100)


def test_unknown_metric() -> None:
    with pytest.raises(ConfigError, match="metric is 'ndcg@10'; accepted: one of spearman, pearson, ndcg_at_10"):
        decide(metric(0.05, 0.02, 0.08, "ndcg@10"), 0.0, 100)


def test_a_collapsed_model_is_never_promoted() -> None:
    decision = decide(BETTER, 0.01, 100)
    assert refuse_collapsed(decision, 0.5, 0.99) is decision
    refused = refuse_collapsed(decision, 0.5, 0.99123)
    assert not refused.better
    assert refused.reason.startswith("The tuned model has collapsed: two index documents have a cosine of 0.9912")
    assert "(base model 0.5000)" in refused.reason
    assert (refused.metric, refused.min_gain) == (decision.metric, decision.min_gain)


def test_training_is_not_blamed_for_what_the_base_model_does_too() -> None:
    refused = refuse_collapsed(decide(BETTER, 0.01, 100), 1.0, 0.9999)
    assert not refused.better
    assert refused.reason == (
        "Neither model tells the index documents apart: two of them have a cosine of 0.9999 on average, and 1.0000 "
        "with the base model, so training did not cause it. Look at what is read of the texts."
    )


def test_few_queries_decide_nothing() -> None:
    assert decide(BETTER, 0.01, 20).better
    refused = decide(BETTER, 0.01, 19)
    assert not refused.better
    assert refused.reason == (
        "nDCG@10 rose from 0.5000 to 0.5500 (+0.0500, 95% interval +0.0200 to +0.0800), but over only 19 queries; at "
        "least 20 are needed to tell a gain from chance. Hold out more (eval_share) or bring more data."
    )


def test_chance_is_rarely_promoted_at_the_least_number_of_queries() -> None:
    chances = np.random.default_rng(0).standard_normal((2, MIN_QUERIES, 1000))
    shares = [np.mean(mean_intervals(chance, 1000, seed=1)[0] > 0) for chance in (chances[0, :2], chances[1])]
    assert shares[0] > 0.2
    assert 0.01 < shares[1] < 0.05


def test_nothing_is_said_of_a_gain_that_nobody_asked_for():
    metric = MetricComparison("ndcg_at_10", base=0.5, tuned=0.75, difference=0.25, lower=0.125, upper=0.375)
    assert decide(metric, 0.0, 100).reason == (
        "The tuned model is better: nDCG@10 rose from 0.5000 to 0.7500 (+0.2500, 95% interval +0.1250 to +0.3750)."
    )
