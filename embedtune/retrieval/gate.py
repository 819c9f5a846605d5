"""Whether the tuned model is better than the base by what was asked for."""

import dataclasses
from collections.abc import Mapping

from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import CONFIDENCE
from embedtune.retrieval.comparison import (
    COLLAPSE_COSINE,
    MIN_QUERIES,
    ROUNDING,
    Decision,
    MetricComparison,
)
from embedtune.retrieval.metric_names import CORRELATION_NAMES, METRIC_NAMES, written_name


def check_gate(
    metric: str, min_gain: float, min_lower_bound: float, accepted: Mapping[str, str] = METRIC_NAMES
) -> None:
    """Refuse options that no decision can be based on.

    Args:
        metric: Key of `accepted`.
        min_gain: The least difference that is asked for, 0..1.
        min_lower_bound: What the lower bound of its interval must be above, 0..1.
        accepted: Metrics that may be asked for.

    Raises:
        ConfigError: the metric is unknown, or a bound is outside 0..1.
    """
    if metric not in accepted:
        raise ConfigError(f"metric is {metric!r}; accepted: one of {', '.join(accepted)}.")
    for name, value in (("min_gain", min_gain), ("min_lower_bound", min_lower_bound)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{name} is {value}; it is a difference of {accepted[metric]} and lies in 0..1.")


def decide(
    metric: MetricComparison, min_gain: float, units: int, unit: str = "queries", min_lower_bound: float = 0.0
) -> Decision:
    """Call it better if there are enough queries, the gain is as large as asked for and its interval above the bound.

    The percentile bootstrap is too narrow for few queries. Where both models are equally good, the lower bound should
    lie above zero in 2.5 % of all evaluations. It does in 24 % of them with 2 queries, 13 % with 3, 10 % with 4, 8 %
    with 5, 5 % with 10, 3.7 % with 20 and 3.2 % with 50 (4000 draws of normal differences each, 2000 resamples).

    Args:
        metric: The metric to judge by.
        min_gain: The least difference that is asked for, 0..1.
        units: Number of queries that the means are over, or of pairs that a correlation is over.
        unit: What these are called.
        min_lower_bound: What the lower bound of its interval must be above, 0..1.

    Raises:
        ConfigError: the metric is unknown, or a bound is outside 0..1.
    """
    check_gate(metric.name, min_gain, min_lower_bound, {**CORRELATION_NAMES, **METRIC_NAMES})
    enough = metric.difference >= min_gain - ROUNDING
    better = units >= MIN_QUERIES and enough and metric.lower > min_lower_bound
    reason = _reason(metric, min_gain, min_lower_bound, units, unit)
    return Decision(better, reason, metric.name, min_gain, min_lower_bound)


def refuse_collapsed(decision: Decision, base_cosine: float, tuned_cosine: float) -> Decision:
    """Turn the decision into a refusal if the tuned model hardly tells documents apart.

    Scores that differ only in their last digits may still rank well here and fall apart once vectors are stored in
    half precision or quantised. Where the base model tells them apart no better, training is not what did it.

    Args:
        decision: What the metric says.
        base_cosine: Mean cosine of all pairs of index documents, base model, -1..1.
        tuned_cosine: The same for the tuned model.
    """
    if tuned_cosine <= COLLAPSE_COSINE:
        return decision
    if base_cosine > COLLAPSE_COSINE:
        reason = (
            f"Neither model tells the index documents apart: two of them have a cosine of {tuned_cosine:.4f} on "
            f"average, and {base_cosine:.4f} with the base model, so training did not cause it. Look at what is read "
            "of the texts."
        )
    else:
        reason = (
            f"The tuned model has collapsed: two index documents have a cosine of {tuned_cosine:.4f} on average (base "
            f"model {base_cosine:.4f}), above the {COLLAPSE_COSINE} that is accepted, so it hardly tells documents "
            "apart."
        )
    return dataclasses.replace(decision, better=False, reason=reason)


def _reason(metric: MetricComparison, min_gain: float, min_lower_bound: float, units: int, unit: str) -> str:
    name = written_name(metric.name)
    interval = f"{CONFIDENCE:.0%} interval {metric.lower:+.4f} to {metric.upper:+.4f}"
    change = f"from {metric.base:.4f} to {metric.tuned:.4f} ({metric.difference:+.4f}, {interval})"
    if metric.difference < 0.0:
        return f"The tuned model is worse: {name} fell {change}."
    if metric.difference == 0.0:
        return f"The tuned model is no better: {name} stayed at {metric.base:.4f} ({interval})."
    if units < MIN_QUERIES:
        return (
            f"{name} rose {change}, but over only {units} {unit}; at least {MIN_QUERIES} are needed to tell a gain "
            "from chance. Hold out more (eval_share) or bring more data."
        )
    if metric.lower <= 0.0:
        return f"{name} rose {change}, but the interval includes zero, so the gain may be chance."
    too_small = metric.difference < min_gain - ROUNDING
    if too_small or metric.lower <= min_lower_bound:
        less = f", which is less than the {min_gain:+.4f} asked for"
        low = f"; the interval was asked to lie above {min_lower_bound:+.4f}"
        return f"{name} rose {change}{less if too_small else low}."
    asked = f", and {min_gain:+.4f} was asked for" if min_gain > 0.0 else ""
    return f"The tuned model is better: {name} rose {change}{asked}."
