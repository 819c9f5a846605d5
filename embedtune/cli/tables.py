"""Results as a person reads them on a terminal."""

import dataclasses

from rich.table import Table

from embedtune.retrieval.comparison import METRIC_NAMES, Comparison


def comparison_table(comparison: Comparison) -> Table:
    """Return base versus tuned, one line per metric."""
    percent = f"{comparison.confidence:.0%}"
    table = Table(title=f"Base vs tuned, {comparison.queries} queries, {comparison.index_documents} in the index")
    table.add_column("metric")
    for column in ("base", "tuned", "difference", f"{percent} interval"):
        table.add_column(column, justify="right")
    for metric in comparison.metrics:
        table.add_row(
            METRIC_NAMES[metric.name],
            f"{metric.base:.3f}",
            f"{metric.tuned:.3f}",
            f"{metric.difference:+.3f}",
            f"{metric.lower:+.3f} to {metric.upper:+.3f}",
        )
    return table


def decision_line(comparison: Comparison) -> str:
    """Return the decision and its reason as rich markup."""
    decision = comparison.decision
    verdict = "[bold green]Promoted[/]" if decision.promoted else "[bold yellow]Not promoted[/]"
    return f"{verdict}: {decision.reason}"


def plain_facts(result: object) -> list[str]:
    """Return a step's result as `name: value` lines; long lists are left out."""
    if not dataclasses.is_dataclass(result) or isinstance(result, type):
        return [str(result)]
    values = ((field.name, getattr(result, field.name)) for field in dataclasses.fields(result))
    return [f"{name}: {value}" for name, value in values if not isinstance(value, (tuple, dict))]
