"""How models find what they were trained on and what they were not: seen or new queries, seen or new documents."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedtune.models.card import known_part
from embedtune.retrieval.sides import Difference, MetricValues


@dataclass(frozen=True)
class Cell:
    """The queries of one kind against the documents of one kind."""

    new_queries: bool
    """Whether the queries were held out, or trained on."""
    new_documents: bool
    """Whether the documents are new to the tuned model, or were trained on."""
    queries: int
    """Queries of the kind with something relevant among these documents; all means are over these."""
    documents: int
    """Documents of the kind, all of which are searched."""
    metrics: tuple[MetricValues, ...] = ()
    differences: tuple[Difference, ...] = ()
    why: str = ""
    """Why there is nothing to measure, in a sentence; '' where there is."""


def cell_of(data: Mapping[str, Any]) -> Cell:
    """Read a cell from JSON.

    Raises:
        KeyError: a field is missing.
        TypeError: a part has another form.
    """
    metrics = tuple(known_part(MetricValues, each) for each in data["metrics"])
    differences = tuple(known_part(Difference, each) for each in data["differences"])
    cell: Cell = known_part(Cell, {**data, "metrics": metrics, "differences": differences})
    return cell
