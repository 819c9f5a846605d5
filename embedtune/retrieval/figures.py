"""A comparison as plain numbers by name, for tools that show runs side by side."""

from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.sides import BASE


def figures_of(comparison: Comparison) -> dict[str, float]:
    """Return what each side reached, the gain, and the decision.

    Returns:
        `<side>_<metric>` of every side and metric; of the metric that decides `gain_<metric>`, how much better the
        tuned model is than the base, with the bounds of its interval, `gain_<metric>_lower` and `_upper`, and the same
        as `gain_over_<side>_<metric>` against any other side; `better`, 1 where nothing speaks against a promotion,
        else 0.
    """
    figures = {f"{side}_{each.name}": value for each in comparison.metrics for side, value in each.values.items()}
    decision = comparison.decision
    for found in comparison.differences:
        if found.metric == decision.metric:
            name = f"gain_{found.metric}" if found.against == BASE else f"gain_over_{found.against}_{found.metric}"
            figures |= {name: found.value, f"{name}_lower": found.lower, f"{name}_upper": found.upper}
    return {**figures, "better": float(decision.better)}
