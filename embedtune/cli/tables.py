"""Results as a person reads them on a terminal."""

import dataclasses
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from embedtune.reports.evaluation import verdict
from embedtune.reports.sweep import sweep_rows
from embedtune.retrieval.comparison import Comparison, basis_of
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED
from embedtune.training.candidates import Sweep

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def comparison_table(comparison: Comparison) -> Table:
    """Return all sides of each metric, and how the tuned model differs from each other one, within 80 columns."""
    sides = [side.name for side in comparison.sides]
    others = [name for name in sides if name != TUNED]
    table = Table(title=f"{' vs '.join(sides).capitalize()}, {basis_of(comparison)}")
    table.add_column("metric")
    for side in sides:
        table.add_column(side, justify="right")
    table.add_column("difference" if len(others) == 1 else "difference from", justify="right")
    table.add_column(f"{comparison.confidence:.0%} interval", justify="right")
    for metric in comparison.metrics:
        found = [comparison.difference(metric.name, other) for other in others if other in metric.values]
        table.add_row(
            written_name(metric.name),
            *(f"{metric.values[side]:.3f}" if side in metric.values else "" for side in sides),
            "\n".join(
                f"{each.value:+.3f}" if len(others) == 1 else f"{each.against} {each.value:+.3f}" for each in found
            ),
            "\n".join(f"{each.lower:+.3f} to {each.upper:+.3f}" for each in found),
        )
    return table


def sweep_table(sweep: Sweep) -> Table:
    """Return every combination of a sweep with what came of it."""
    table = Table(title="Combinations on validation documents")
    validation = sweep.winner.validation
    table.add_column("settings", overflow="fold")
    table.add_column("" if validation is None else written_name(validation.metric), justify="right")
    table.add_column("epoch", justify="right")
    for row in sweep_rows(sweep):
        found = "no model" if row.score is None else f"{row.score:.3f}{' ✓' if row.chosen else '  '}"
        table.add_row(escape(f"{row.settings}\n{row.failure}" if row.failure else row.settings), found, row.epoch)
    return table


def decision_line(comparison: Comparison) -> str:
    """Return whether the tuned model is better than what it was compared with, and why, as rich markup."""
    decision = comparison.decision
    return _verdict_line(decision.better, (verdict(comparison), verdict(comparison)), decision.reason)


def promotion_line(promoted: bool, reason: str) -> str:
    """Return what the registry did, and why, as rich markup."""
    return _verdict_line(promoted, ("Promoted", "Not promoted"), reason)


def _verdict_line(good: bool, words: tuple[str, str], reason: str) -> str:
    word, colour = (words[0], "green") if good else (words[1], "yellow")
    return f"[bold {colour}]{escape(word)}[/]: {escape(reason)}"


def plain_facts(result: object) -> list[str]:
    """Return a step's result as `name: value` lines.

    A part that has fields of its own becomes one line; of lists, those of plain texts are shown, a text a line where
    these are sentences. A tuple of results becomes a line each, nothing no line.
    """
    if result is None:
        return []
    if isinstance(result, tuple):
        return [" ".join(str(value) for _, value in _fields(entry)) for entry in result]
    if not dataclasses.is_dataclass(result) or isinstance(result, type):
        return [str(result)]
    return [line for name, value in _fields(result) for line in _lines(name, value)]


def _fields(result: "DataclassInstance") -> list[tuple[str, object]]:
    return [(field.name, getattr(result, field.name)) for field in dataclasses.fields(result)]


def _lines(name: str, value: object) -> list[str]:
    if isinstance(value, tuple):
        texts = [entry for entry in value if isinstance(entry, str)]
        if len(texts) < len(value):
            return []
        if any(text.endswith(".") for text in texts):
            return [f"{name}:", *(f"- {text}" for text in texts)]
        return [f"{name}: {', '.join(texts) if texts else 'none'}"]
    if isinstance(value, dict):
        return []
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [(part, number) for part, number in _fields(value) if isinstance(number, str | int | float)]
        return [f"{name}: {', '.join(f'{part} {number}' for part, number in parts)}"]
    return [f"{name}: {value}"]
