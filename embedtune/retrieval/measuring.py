"""All sides on the same queries and index: the means of each, and how the tuned model differs from the others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.retrieval.bootstrap import RESAMPLES, mean_intervals
from embedtune.retrieval.correlation import correlation_intervals, pearson, spearman
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.metric_names import CORRELATION_NAMES, DECIDING_CORRELATION, Metric
from embedtune.retrieval.scoring import USUAL_METRICS, ModelResult, evaluate, pair_scores
from embedtune.retrieval.sides import TUNED, Difference, MetricValues
from embedtune.retrieval.vectors import check_vectors

_Values = tuple[tuple[MetricValues, ...], tuple[Difference, ...]]


@dataclass(frozen=True, eq=False)
class Contestant:
    """A model and what it made of an evaluation set."""

    name: str
    """The part that it plays: BASE, TUNED or CHAMPION."""
    model: str
    """What people call it."""
    vectors: Vectors
    """Of N queries and M index documents; models may differ in dimension."""
    new: NDArray[np.bool_] | None = None
    """Which queries count for it, because it was not trained on them (N,); None: all."""


@dataclass(frozen=True, eq=False)
class Measured:
    """What all sides came to, and what it was computed from."""

    metrics: tuple[MetricValues, ...]
    """Correlations first, where pairs have scores."""
    differences: tuple[Difference, ...]
    """Of the tuned model against every other side, in every metric."""
    judged: EvaluationSet
    """The evaluation set without the queries to which nothing is relevant; the rows of `results`."""
    results: Mapping[str, ModelResult]
    """Of each side by its name, for all queries of `judged`."""
    counted: Mapping[str, NDArray[np.bool_]]
    """Which queries of `judged` count for each side."""


def measure_sides(
    evaluation_set: EvaluationSet,
    contestants: Sequence[Contestant],
    *,
    metrics: Sequence[Metric] = USUAL_METRICS,
    depth: int = 1,
    seed: int,
    resamples: int = RESAMPLES,
) -> Measured:
    """Rank with all models and score by some metrics; where pairs have scores, by the correlations with these too.

    Queries to which no index document is relevant are left out.

    Args:
        evaluation_set: N queries and M index documents.
        contestants: The base, the tuned model and, where it could be encoded with, the champion.
        metrics: What to measure.
        depth: Ranks to find at least, for whoever looks at more of them.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples, 1 or more.

    Raises:
        ConfigError: resamples is not acceptable.
        InputError: no query has a relevant document, or vectors do not fit the evaluation set or are not finite.
    """
    for each in contestants:
        check_vectors(each.vectors.queries, evaluation_set.query_ids, f"{each.name} query")
        check_vectors(each.vectors.index, evaluation_set.index_ids, f"{each.name} index")
    rows, pairs = np.flatnonzero(evaluation_set.judgments.relevant_counts() > 0), evaluation_set.scored
    if rows.size == 0 and pairs is None:
        raise InputError(
            f"None of the {len(evaluation_set.query_ids)} queries has a relevant document among the "
            f"{len(evaluation_set.index_ids)} of the index, so nothing can be measured. "
            "Hold out more data, or more texts per label."
        )
    judged = evaluation_set.select(rows)
    results = {one.name: evaluate(judged, one.vectors.of(rows), metrics, depth) for one in contestants}
    counted = {one.name: _new(one, len(evaluation_set.query_ids))[rows] for one in contestants}
    values, differences = _of_metrics(judged, results, counted, resamples, seed) if rows.size else ((), ())
    if pairs is not None:
        first = _of_correlations(evaluation_set, pairs, contestants, resamples, seed)
        values, differences = first[0] + values, first[1] + differences
    return Measured(values, differences, judged, results, counted)


def deciding_key(evaluation_set: EvaluationSet, metric: Metric) -> str:
    """Return the key of what a promotion goes by: Spearman's correlation where pairs have scores, else a metric."""
    return metric.key if evaluation_set.scored is None else DECIDING_CORRELATION


def deciding_score(evaluation_set: EvaluationSet, vectors: Vectors, metric: Metric) -> float:
    """Return what a promotion goes by, of one model; see `deciding_key`.

    Queries to which no index document is relevant are left out.

    Args:
        evaluation_set: N queries, one of them at least with a relevant document, and M index documents.
        vectors: The model's, (N, d) and (M, d).
        metric: The metric.

    Raises:
        InputError: vectors do not fit the evaluation set or are not finite.
    """
    check_vectors(vectors.queries, evaluation_set.query_ids, "query")
    check_vectors(vectors.index, evaluation_set.index_ids, "index")
    pairs = evaluation_set.scored
    if pairs is not None:
        return spearman(_similarities(pairs, vectors), pairs.scores)
    rows = np.flatnonzero(evaluation_set.judgments.relevant_counts() > 0)
    scores = evaluate(evaluation_set.select(rows), vectors.of(rows), (metric,)).scores[metric.key]
    return float(scores.mean())


def _new(contestant: Contestant, queries: int) -> NDArray[np.bool_]:
    return np.ones(queries, np.bool_) if contestant.new is None else contestant.new


def _of_metrics(
    data: EvaluationSet,
    results: Mapping[str, ModelResult],
    counted: Mapping[str, NDArray[np.bool_]],
    resamples: int,
    seed: int,
) -> _Values:
    """Return the means of all sides, and the interval of the tuned model's difference from each other one."""
    single = np.arange(len(data.query_ids)), "queries"
    units, unit = single if data.units is None else (data.units.queries, data.units.name)
    heard, names = [side for side in results if counted[side].any()], list(results[TUNED].scores)
    values = tuple(
        MetricValues(name, {side: float(results[side].scores[name][counted[side]].mean()) for side in heard})
        for name in names
    )
    differences: list[Difference] = []
    for against in (side for side in heard if side != TUNED):
        both = counted[TUNED] & counted[against]
        judged, other = ({name: results[side].scores[name][both] for name in names} for side in (TUNED, against))
        changes = np.stack([judged[name] - other[name] for name in names], axis=1)
        lower, upper = mean_intervals(changes, resamples, seed, units[both])
        differences += [
            _difference(
                name,
                against,
                (float(judged[name].mean()), float(other[name].mean())),
                (float(lower[column]), float(upper[column])),
                (np.unique(units[both]).size, unit),
            )
            for column, name in enumerate(names)
        ]
    return values, tuple(differences)


def _of_correlations(
    data: EvaluationSet, pairs: ScoredPairs, contestants: Sequence[Contestant], resamples: int, seed: int
) -> _Values:
    """Return how well the similarities of all sides follow the scores, and the intervals of the differences."""
    single = np.arange(pairs.scores.size), "pairs"
    units, unit = single if data.units is None else (data.units.queries[pairs.queries], data.units.name)
    similarities = {one.name: _similarities(pairs, one.vectors) for one in contestants}
    counted = {
        one.name: np.ones(pairs.scores.size, np.bool_) if one.new is None else one.new[pairs.queries]
        for one in contestants
    }
    heard = [side for side in similarities if counted[side].any()]
    correlations = dict(zip(CORRELATION_NAMES, (spearman, pearson), strict=True))
    values = tuple(
        MetricValues(name, {side: of(similarities[side][counted[side]], pairs.scores[counted[side]]) for side in heard})
        for name, of in correlations.items()
    )
    differences: list[Difference] = []
    for against in (side for side in heard if side != TUNED):
        both = counted[TUNED] & counted[against]
        scores, judged, other = (each[both] for each in (pairs.scores, similarities[TUNED], similarities[against]))
        lower, upper = correlation_intervals(scores, other, judged, resamples, seed, units[both])
        differences += [
            _difference(
                name,
                against,
                (of(judged, scores), of(other, scores)),
                (float(lower[place]), float(upper[place])),
                (np.unique(units[both]).size, unit),
            )
            for place, (name, of) in enumerate(correlations.items())
        ]
    return values, tuple(differences)


def _similarities(pairs: ScoredPairs, vectors: Vectors) -> NDArray[np.float64]:
    """Return how near the two ends of each of P pairs are (P,)."""
    return pair_scores(vectors.distance, vectors.queries[pairs.queries], vectors.index[pairs.documents])


def _difference(
    metric: str, against: str, means: tuple[float, float], interval: tuple[float, float], units: tuple[int, str]
) -> Difference:
    return Difference(metric, TUNED, against, *means, means[0] - means[1], *interval, *units)
