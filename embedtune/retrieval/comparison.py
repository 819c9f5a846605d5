"""Models on the same held-out data: the record that the report shows, the gate judges and the registry keeps."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedtune.errors import InputError
from embedtune.models.card import CutTexts, known_part
from embedtune.retrieval.cells import Cell, cell_of
from embedtune.retrieval.cost import Agreement, Migration
from embedtune.retrieval.older_comparisons import of_two_models
from embedtune.retrieval.sides import BASE, Difference, MetricValues, Side

COLLAPSE_COSINE = 0.99
"""A model whose index documents are on average more similar than this has collapsed to nearly one point."""

ROUNDING = 1e-9
"""Means that differ by less are equal: what adding floats in another order, or subtracting them, may change."""

MIN_QUERIES = 20
"""Fewer units (queries, or labels or components that were held out whole) decide nothing: see `gate.decide`."""

FORMAT, VERSION = "embedtune-comparison", 2
"""What the file calls itself. That of the versions before says neither: see `older_comparisons`. Of a later version the
file is read as far as it goes."""


@dataclass(frozen=True)
class ShownContent:
    """A query or document of an example, as a person recognises it."""

    id: str
    kind: str
    """A Modality."""
    text: str
    """The text itself; of other contents the name of the file, '' where it is not known."""


@dataclass(frozen=True)
class RankedHit:
    """One place of a result list."""

    rank: int
    """1-based."""
    id: str
    """Id of the document."""
    kind: str
    """Its Modality."""
    score: float
    """Cosine similarity, -1..1."""
    relevant: bool


@dataclass(frozen=True)
class SideResults:
    """What one side found for an example's query."""

    side: str
    """Name of the side."""
    ndcg: float
    """nDCG@10 of the query, 0..1."""
    hits: tuple[RankedHit, ...]


@dataclass(frozen=True)
class QueryExample:
    """One query with what each side found."""

    id: str
    """Id of the query."""
    kind: str
    """Its Modality."""
    label: str
    """The query's label, or '' where judged pairs say what is relevant."""
    results: tuple[SideResults, ...]
    """Of each side for which the query counts."""

    def of(self, side: str) -> SideResults | None:
        """Return what a side found, None where the query does not count for it."""
        return next((results for results in self.results if results.side == side), None)


@dataclass(frozen=True)
class Decision:
    """Whether the tuned model earned promotion by what was asked for."""

    better: bool
    """Nothing is against it: better by enough than the base and than the champion that was scored. The registry
    promotes no other."""
    reason: str
    """In a sentence or more, with the numbers that decided."""
    metric: str
    """Key of the metric or correlation that was judged."""
    min_gain: float
    """The least difference that was asked for."""
    min_lower_bound: float = 0.0
    """What the lower bound of the difference's interval had to be above."""
    better_than_base: bool = False
    """Better than the base by enough, whatever the champion is like."""
    reasons: tuple[str, ...] = ()
    """Everything that is against a promotion, a sentence or two each; none where nothing is."""
    champion_version: str = ""
    """The registered version that was champion when the run began, scored or not; '' where none was known."""


@dataclass(frozen=True)
class Direction:
    """The same models searching the other way round, shown and judged by nobody."""

    name: str
    """What searches what, such as 'image-to-text'."""
    metrics: tuple[MetricValues, ...]
    differences: tuple[Difference, ...]
    queries: int
    """Contents with something relevant to find; all means are over these."""
    index_documents: int


@dataclass(frozen=True)
class Probe:
    """What further data say of forgetting."""

    metric: str
    """Key of the metric or correlation that decides here."""
    accepted_drop: float
    """Largest accepted drop of it against the base, 0..1."""
    left_out: int = 0
    """Queries that are left out, for all sides, because the tuned model was trained on them and the base was not."""
    reasons: tuple[str, ...] = ()
    """Everything that is against a promotion; none where the probe held."""

    @property
    def held(self) -> bool:
        """Whether nothing is against a promotion."""
        return not self.reasons


@dataclass(frozen=True)
class SideTable:
    """The same models on further data, which nobody held out of the training for this."""

    name: str
    """What whoever asked for it calls it."""
    source: str
    """Where the data are, with the version that was read."""
    metrics: tuple[MetricValues, ...]
    differences: tuple[Difference, ...]
    queries: int
    """Queries with something relevant to find; all means are over these, those that a model was trained on too, but of
    a probe without those that are left out."""
    queries_without_relevant: int
    """Queries that were left out because nothing in the index is relevant to them."""
    index_documents: int
    query_kind: str = "text"
    """A Modality: what the queries are."""
    index_kind: str = "text"
    """What the index documents are."""
    pairs: int = 0
    """Pairs with scores that the correlations are over; 0 where the data have no scores."""
    trained_queries: Mapping[str, int] = field(default_factory=dict)
    """Name of a side -> queries of the data that it was trained on; without the sides of which that is not known."""
    trained_index: Mapping[str, int] = field(default_factory=dict)
    """The same of the index documents."""
    trained_hits: Mapping[str, float] = field(default_factory=dict)
    """Name of a side -> share of its first ten results that the tuned model was trained on, 0..1; only where the index
    is the whole corpus."""
    probe: Probe | None = None
    """What it says of forgetting; None where it decides nothing."""


@dataclass(frozen=True)
class Comparison:
    """The outcome of an evaluation."""

    sides: tuple[Side, ...]
    """The base, the champion where it could be scored, and the tuned model."""
    metrics: tuple[MetricValues, ...]
    differences: tuple[Difference, ...]
    """Of the tuned model against every other side, in every metric."""
    decision: Decision
    queries: int
    """Judged queries with at least one relevant document; means are over these, of the champion over those of them
    that it was not trained on."""
    queries_without_relevant: int
    """Queries that were left out because nothing in the index is relevant to them."""
    index_documents: int
    confidence: float
    """Confidence level of the intervals, 0.95."""
    resamples: int
    """Bootstrap resamples drawn."""
    seed: int
    examples: tuple[QueryExample, ...]
    contents: tuple[ShownContent, ...] = ()
    """What the examples refer to by kind and id, each once."""
    evaluation_digest: str = ""
    """`sha256:` of what the means are over: `EvaluationSet.digest`; '' where it is not known."""
    query_kind: str = "text"
    """A Modality: what the queries are."""
    index_kind: str = "text"
    """What the index documents are."""
    pairs: int = 0
    """Pairs with scores that the correlations are over; 0 where the data have no scores."""
    directions: tuple[Direction, ...] = ()
    """Further directions: where texts search images, that images search texts."""
    side_tables: tuple[SideTable, ...] = ()
    """The same models on further data, in the order in which these were asked for."""
    cells: tuple[Cell, ...] = ()
    """Seen or new queries against seen or new documents; none where nobody asked for the whole corpus."""
    warnings: tuple[str, ...] = ()
    """What a person should look at in data and texts, one sentence or two each, with the cure."""
    migration: Migration | None = None
    """What it takes to replace the champion; None where none was scored."""

    def side(self, name: str) -> Side:
        """Return one side.

        Raises:
            KeyError: there is no side of that name.
        """
        return {side.name: side for side in self.sides}[name]

    def has(self, name: str) -> bool:
        """Return whether there is a side of a name."""
        return any(side.name == name for side in self.sides)

    def value(self, metric: str, side: str) -> float:
        """Return a side's mean of a metric.

        Raises:
            KeyError: there is no such metric or side.
        """
        return {found.name: found.values for found in self.metrics}[metric][side]

    def difference(self, metric: str, against: str = BASE) -> Difference:
        """Return how the tuned model differs from another side.

        Raises:
            KeyError: there is no such metric or side.
        """
        return {(found.metric, found.against): found for found in self.differences}[metric, against]

    def save(self, path: Path) -> None:
        """Write as JSON."""
        data = {"format": FORMAT, "version": VERSION, **dataclasses.asdict(self)}
        path.write_text(json.dumps(data, indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Comparison":
        """Read what `save` wrote, in this version or in another.

        Raises:
            InputError: there is no such file, or it is damaged or none of ours.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if data.get("format", FORMAT) != FORMAT:
                raise ValueError(f"its format is {data['format']!r}, not {FORMAT!r}")
            return _of_json(data if "format" in data else of_two_models(data))
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(f"{path} cannot be read as a comparison ({error!r}). Evaluate the model again.") from error


def basis_of(comparison: Comparison) -> str:
    """Say what a comparison is over, such as '40 queries, 120 in the index'."""
    searched = f"{comparison.queries} queries, {comparison.index_documents} in the index"
    return f"{comparison.pairs} pairs with scores; {searched}" if comparison.pairs else searched


def _of_json(data: Mapping[str, Any]) -> Comparison:
    parts: dict[str, object] = {
        "sides": tuple(_side(side) for side in data["sides"]),
        **_measured(data),
        "decision": known_part(Decision, {**data["decision"], "reasons": tuple(data["decision"].get("reasons", ()))}),
        "examples": tuple(_example(example) for example in data["examples"]),
        "contents": tuple(known_part(ShownContent, content) for content in data.get("contents", ())),
        "directions": tuple(known_part(Direction, {**each, **_measured(each)}) for each in data.get("directions", ())),
        "side_tables": tuple(_side_table(each) for each in data.get("side_tables", ())),
        "cells": tuple(map(cell_of, data.get("cells", ()))),
        "warnings": tuple(data.get("warnings", ())),
        "migration": _migration(data.get("migration")),
    }
    comparison: Comparison = known_part(Comparison, {**data, **parts})
    return comparison


def _side(data: Mapping[str, Any]) -> Side:
    texts = {name: data.get(name) for name in ("query_texts", "index_texts")}
    counts = {name: None if found is None else known_part(CutTexts, found) for name, found in texts.items()}
    side: Side = known_part(Side, {**data, **counts})
    return side


def _side_table(data: Mapping[str, Any]) -> SideTable:
    found = data.get("probe")
    probe = None if found is None else known_part(Probe, {**found, "reasons": tuple(found["reasons"])})
    table: SideTable = known_part(SideTable, {**data, **_measured(data), "probe": probe})
    return table


def _migration(data: Mapping[str, Any] | None) -> Migration | None:
    if data is None:
        return None
    found = data["agreement"]
    agreement = None if found is None else known_part(Agreement, found)
    migration: Migration = known_part(Migration, {**data, "agreement": agreement})
    return migration


def _measured(data: Mapping[str, Any]) -> dict[str, object]:
    return {
        "metrics": tuple(known_part(MetricValues, metric) for metric in data["metrics"]),
        "differences": tuple(known_part(Difference, difference) for difference in data["differences"]),
    }


def _example(data: Mapping[str, Any]) -> QueryExample:
    results = tuple(
        known_part(SideResults, {**each, "hits": tuple(known_part(RankedHit, hit) for hit in each["hits"])})
        for each in data["results"]
    )
    example: QueryExample = known_part(QueryExample, {**data, "results": results})
    return example
