"""Base versus tuned: the record that the report shows, the gate judges and the registry keeps."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.errors import InputError
from embedtune.models.card import CutTexts

COLLAPSE_COSINE = 0.99
"""A model whose index documents are on average more similar than this has collapsed to nearly one point."""

ROUNDING = 1e-9
"""Means that differ by less are equal: what adding floats in another order, or subtracting them, may change."""

MIN_QUERIES = 20
"""Fewer queries than this decide nothing: see `gate.decide`."""


@dataclass(frozen=True)
class MetricComparison:
    """One metric of both models over the same queries."""

    name: str
    """Key of a metric, as `metric_names` has it, or of a correlation."""
    base: float
    """Mean over the queries, base model, 0..1; of a correlation its value, -1..1."""
    tuned: float
    """The same of the tuned model."""
    difference: float
    """tuned - base."""
    lower: float
    """Lower bound of the confidence interval of the difference."""
    upper: float
    """Upper bound of the confidence interval of the difference."""


@dataclass(frozen=True)
class RankedHit:
    """One place of a result list."""

    rank: int
    """1-based."""
    text: str
    """The document, where it is a text; else the name of its file, '' where it is not known."""
    score: float
    """Cosine similarity, -1..1."""
    relevant: bool
    id: str = ""
    """Id of the document; '' where embedtune 0.1 compared."""


@dataclass(frozen=True)
class QueryExample:
    """One query's results before and after."""

    query: str
    """The query, where it is a text; else the name of its file, '' where it is not known."""
    label: str
    """The query's label, or '' for the pairs layout."""
    base_ndcg: float
    tuned_ndcg: float
    base: tuple[RankedHit, ...]
    tuned: tuple[RankedHit, ...]
    id: str = ""
    """Id of the query; '' where embedtune 0.1 compared."""


@dataclass(frozen=True)
class Decision:
    """Whether the tuned model is better than the base by what was asked for."""

    better: bool
    """Better than the base by enough; the registry promotes no other, and not every one of these."""
    reason: str
    """One sentence with the numbers that decided."""
    metric: str
    """Key of the metric or correlation that was judged."""
    min_gain: float
    """The least difference that was asked for."""
    min_lower_bound: float = 0.0
    """What the lower bound of the difference's interval had to be above."""


@dataclass(frozen=True)
class Direction:
    """The same models searching the other way round, shown and judged by nobody."""

    name: str
    """What searches what, such as 'image-to-text'."""
    metrics: tuple[MetricComparison, ...]
    queries: int
    """Contents with something relevant to find; all means are over these."""
    index_documents: int


@dataclass(frozen=True)
class Comparison:
    """The outcome of an evaluation."""

    metrics: tuple[MetricComparison, ...]
    decision: Decision
    queries: int
    """Judged queries with at least one relevant document; all means are over these."""
    queries_without_relevant: int
    """Queries that were left out because nothing in the index is relevant to them."""
    index_documents: int
    base_tied_queries: int
    """Queries where a tie of scores crosses rank 10, base model; order among ties is by ascending id."""
    tuned_tied_queries: int
    tuned_mean_cosine: float
    """Mean cosine of all pairs of index documents, tuned model, -1..1; near 1 means that it tells none apart."""
    confidence: float
    """Confidence level of the intervals, 0.95."""
    resamples: int
    """Bootstrap resamples drawn."""
    seed: int
    examples: tuple[QueryExample, ...]
    evaluation_digest: str = ""
    """`sha256:` of what the means are over: `EvaluationSet.digest`; '' where it is not known."""
    base_mean_cosine: float | None = None
    """The same for the base model; None, as the fields below, where embedtune 0.1 compared."""
    query_texts: CutTexts | None = None
    """What the tuned model's length did to the queries; None where they are no texts."""
    index_texts: CutTexts | None = None
    """What it did to the index documents."""
    base_query_texts: CutTexts | None = None
    """What the base model's own length, at which it is judged, did to the queries."""
    base_index_texts: CutTexts | None = None
    """What it did to the index documents."""
    query_kind: str = "text"
    """A Modality: what the queries are."""
    index_kind: str = "text"
    """What the index documents are."""
    seen_queries: int = 0
    """Queries that the tuned model reads as the same tokens as a text that was trained on."""
    seen_index: int = 0
    """Index documents that it does, where the source does not mean to search in training documents too."""
    known_queries: int = 0
    """Queries that were left out because the base model had been trained on them; see `known_texts.find_known`."""
    known_index: int = 0
    """Index documents that it had been trained on; they were kept."""
    pairs: int = 0
    """Pairs with scores that the correlations are over; 0 where the data have no scores."""
    directions: tuple[Direction, ...] = ()
    """Further directions: where texts search images, that images search texts."""
    warnings: tuple[str, ...] = ()
    """What a person should look at in data and texts, one sentence or two each, with the cure."""

    def metric(self, name: str) -> MetricComparison:
        """Return one metric's comparison.

        Raises:
            KeyError: there is no metric of that name.
        """
        for metric in self.metrics:
            if metric.name == name:
                return metric
        raise KeyError(name)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Comparison":
        """Read what `save` wrote.

        Raises:
            InputError: there is no such file, it is damaged, or another version wrote it.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["metrics"] = _load_metrics(data["metrics"])
            data["directions"] = tuple(
                Direction(**{**found, "metrics": _load_metrics(found["metrics"])})
                for found in data.get("directions", ())
            )
            data["decision"] = Decision(**data["decision"])
            data["examples"] = tuple(_load_example(example) for example in data["examples"])
            for name in ("query_texts", "index_texts", "base_query_texts", "base_index_texts"):
                data[name] = None if data.get(name) is None else CutTexts(**data[name])
            data["warnings"] = tuple(data.get("warnings", ()))
            return cls(**data)
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"{path} cannot be read as a comparison of this version ({error!r}). Evaluate the model again."
            ) from error


def basis_of(comparison: Comparison) -> str:
    """Say what a comparison is over, such as '40 queries, 120 in the index'."""
    searched = f"{comparison.queries} queries, {comparison.index_documents} in the index"
    return f"{comparison.pairs} pairs with scores; {searched}" if comparison.pairs else searched


def _load_metrics(data: list[dict[str, Any]]) -> tuple[MetricComparison, ...]:
    return tuple(MetricComparison(**metric) for metric in data)


def _load_example(data: dict[str, Any]) -> QueryExample:
    hits = {side: tuple(RankedHit(**hit) for hit in data[side]) for side in ("base", "tuned")}
    return QueryExample(**{**data, **hits})
