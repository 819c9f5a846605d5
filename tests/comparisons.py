"""Comparisons as tests need them, without models."""

import dataclasses
from collections.abc import Iterable

from embedtune.retrieval.comparison import (
    Comparison,
    Decision,
    QueryExample,
    RankedHit,
    ShownContent,
    SideResults,
)
from embedtune.retrieval.cost import Agreement, Migration
from embedtune.retrieval.metric_names import CORRELATION_NAMES
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED, Difference, MetricValues, Side

Numbers = tuple[str, float, float, float, float, float]
"""Metric, base, tuned, difference, lower, upper."""


def against_base(numbers: Numbers, units: int = 100) -> Difference:
    name, base, tuned, *rest = numbers
    unit = "pairs" if name in CORRELATION_NAMES else "queries"
    return Difference(name, TUNED, BASE, tuned, base, *rest, units, unit)


def side(name: str, **facts: object) -> Side:
    return dataclasses.replace(Side(name, f"the {name} model", 32, 0, 0.2), **facts)


def two_sides(
    numbers: Iterable[Numbers],
    decision: Decision,
    *,
    units: int = 100,
    base: dict[str, object] | None = None,
    tuned: dict[str, object] | None = None,
    **facts: object,
) -> Comparison:
    """Base and tuned; `base` and `tuned` are facts of the sides."""
    numbers = list(numbers)
    comparison = Comparison(
        sides=(side(BASE, **(base or {})), side(TUNED, **(tuned or {}))),
        metrics=tuple(MetricValues(name, {BASE: before, TUNED: after}) for name, before, after, *_ in numbers),
        differences=tuple(against_base(each, units) for each in numbers),
        decision=decision,
        queries=10,
        queries_without_relevant=0,
        index_documents=20,
        confidence=0.95,
        resamples=1000,
        seed=42,
        examples=(),
    )
    return dataclasses.replace(comparison, **facts)


def with_side(comparison: Comparison, name: str, **facts: object) -> Comparison:
    """Other facts of one side."""
    sides = tuple(dataclasses.replace(each, **facts) if each.name == name else each for each in comparison.sides)
    return dataclasses.replace(comparison, sides=sides)


def with_champion(comparison: Comparison, values: dict[str, float], units: int = 90) -> Comparison:
    """The same with a champion that has these values; each interval is 0.02 wide."""
    metrics = tuple(
        dataclasses.replace(each, values={**each.values, CHAMPION: values[each.name]}) for each in comparison.metrics
    )
    differences = [
        Difference(
            name, TUNED, CHAMPION, tuned, value, tuned - value, tuned - value - 0.01, tuned - value + 0.01, units
        )
        for name, value in values.items()
        for tuned in (comparison.value(name, TUNED),)
    ]
    sides = (*comparison.sides, side(CHAMPION, model="support, version 3"))
    return dataclasses.replace(
        comparison, sides=sides, metrics=metrics, differences=(*comparison.differences, *differences)
    )


COST = Migration(
    documents=1_800_000,
    is_known=True,
    per_second=250.0,
    device="NVIDIA H100 80GB HBM3",
    dimension=384,
    agreement=Agreement("recall_at_10", 90, champion=0.61, tuned=0.72, as_it_is=None, mapped=0.5875),
)
"""What a promotion costs: two hours."""

Hits = tuple[tuple[str, float, bool], ...]
"""Text, score and relevance by rank."""


def example(query: str, label: str, base_ndcg: float, tuned_ndcg: float, base: Hits, tuned: Hits) -> QueryExample:
    """A query of texts; each text is its own id."""
    results = tuple(
        SideResults(
            name, ndcg, tuple(RankedHit(rank, text, "text", *rest) for rank, (text, *rest) in enumerate(hits, 1))
        )
        for name, ndcg, hits in ((BASE, base_ndcg, base), (TUNED, tuned_ndcg, tuned))
    )
    return QueryExample(query, "text", label, results)


def contents(examples: Iterable[QueryExample]) -> tuple[ShownContent, ...]:
    """The texts of such examples."""
    texts = [
        text for each in examples for text in (each.id, *(hit.id for results in each.results for hit in results.hits))
    ]
    return tuple(ShownContent(text, "text", text) for text in dict.fromkeys(texts))
