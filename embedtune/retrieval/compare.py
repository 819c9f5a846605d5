"""Compare a tuned model with the one it started from, on the same queries and index."""

from dataclasses import dataclass

import numpy as np

from embedtune.errors import InputError
from embedtune.retrieval.bootstrap import CONFIDENCE, RESAMPLES, mean_intervals
from embedtune.retrieval.comparison import Comparison, MetricComparison
from embedtune.retrieval.correlation import correlation_intervals, pearson, spearman
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.examples import pick_examples
from embedtune.retrieval.gate import check_gate, decide, refuse_collapsed
from embedtune.retrieval.metric_names import CORRELATION_NAMES
from embedtune.retrieval.scoring import ModelResult, evaluate
from embedtune.retrieval.vectors import check_vectors, mean_pair_cosine, unit_rows


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A comparison and what it was computed from."""

    comparison: Comparison
    judged: EvaluationSet
    """The evaluation set without the queries to which nothing is relevant; the rows of `base` and `tuned`."""
    base: ModelResult
    """The base model's results for `judged`."""
    tuned: ModelResult
    """The tuned model's results for `judged`."""


def compare(
    evaluation_set: EvaluationSet,
    base: Vectors,
    tuned: Vectors,
    *,
    metric: str,
    min_gain: float,
    min_lower_bound: float = 0.0,
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Rank with both models, score by the metrics of METRIC_NAMES, and decide.

    Queries to which no index document is relevant are counted and left out. Where pairs have scores, Spearman's
    correlation of the cosine with the score decides, whatever `metric` says.

    Args:
        evaluation_set: N queries and M index documents.
        base: The base model's vectors, (N, d) and (M, d).
        tuned: The tuned model's vectors, (N, e) and (M, e).
        metric: Key of METRIC_NAMES that decides.
        min_gain: The least gain of that metric that is asked for, 0..1.
        min_lower_bound: What the lower bound of the gain's interval must be above, 0..1.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples, 1 or more.

    Raises:
        ConfigError: metric, min_gain, min_lower_bound or resamples is not acceptable.
        InputError: no query has a relevant document, or vectors do not fit the evaluation set or are not finite.
    """
    check_gate(metric, min_gain, min_lower_bound)
    for model, vectors in (("base", base), ("tuned", tuned)):
        check_vectors(vectors.queries, evaluation_set.query_ids, f"{model} query")
        check_vectors(vectors.index, evaluation_set.index_ids, f"{model} index")
    rows = np.flatnonzero(evaluation_set.judgments.relevant_counts() > 0)
    pairs = evaluation_set.scored
    if rows.size == 0 and pairs is None:
        raise InputError(
            f"None of the {len(evaluation_set.query_ids)} queries has a relevant document among the "
            f"{len(evaluation_set.index_ids)} of the index, so nothing can be measured. "
            "Hold out more data, or more texts per label."
        )
    judged = evaluation_set.select(rows)
    base_result = evaluate(judged, Vectors(base.queries[rows], base.index))
    tuned_result = evaluate(judged, Vectors(tuned.queries[rows], tuned.index))
    metrics = _compare_metrics(base_result, tuned_result, resamples, seed) if rows.size else {}
    deciding, units, unit = metric, rows.size, "queries"
    if pairs is not None:
        metrics = {**_compare_correlations(pairs, base, tuned, resamples, seed), **metrics}
        deciding, units, unit = next(iter(CORRELATION_NAMES)), pairs.scores.size, "pairs"
    base_cosine, tuned_cosine = mean_pair_cosine(base.index), mean_pair_cosine(tuned.index)
    decision = decide(metrics[deciding], min_gain, units, unit, min_lower_bound)
    comparison = Comparison(
        metrics=tuple(metrics.values()),
        decision=refuse_collapsed(decision, base_cosine, tuned_cosine),
        queries=rows.size,
        queries_without_relevant=len(evaluation_set.query_ids) - rows.size,
        index_documents=len(judged.index_ids),
        base_tied_queries=int(base_result.ranking.tied_at_cut.sum()),
        tuned_tied_queries=int(tuned_result.ranking.tied_at_cut.sum()),
        tuned_mean_cosine=tuned_cosine,
        confidence=CONFIDENCE,
        resamples=resamples,
        seed=seed,
        examples=pick_examples(judged, base_result, tuned_result) if rows.size else (),
        evaluation_digest=(judged if pairs is None else evaluation_set).digest(),
        base_mean_cosine=base_cosine,
        query_kind=judged.query_kind.value,
        index_kind=judged.index_kind.value,
        pairs=0 if pairs is None else pairs.scores.size,
    )
    return Evaluation(comparison, judged, base_result, tuned_result)


def _compare_metrics(base: ModelResult, tuned: ModelResult, resamples: int, seed: int) -> dict[str, MetricComparison]:
    """Return the means of both models and the interval of their difference, by metric."""
    differences = np.stack([tuned.scores[name] - base.scores[name] for name in base.scores], axis=1)
    lower, upper = mean_intervals(differences, resamples, seed)
    compared = {}
    for column, name in enumerate(base.scores):
        base_mean, tuned_mean = float(base.scores[name].mean()), float(tuned.scores[name].mean())
        compared[name] = MetricComparison(
            name=name,
            base=base_mean,
            tuned=tuned_mean,
            difference=tuned_mean - base_mean,
            lower=float(lower[column]),
            upper=float(upper[column]),
        )
    return compared


def _compare_correlations(
    pairs: ScoredPairs, base: Vectors, tuned: Vectors, resamples: int, seed: int
) -> dict[str, MetricComparison]:
    """Return how well the cosines of both models follow the scores, and the interval of the difference."""
    before, after = (
        (unit_rows(side.queries)[pairs.queries] * unit_rows(side.index)[pairs.documents]).sum(axis=1)
        for side in (base, tuned)
    )
    lower, upper = correlation_intervals(pairs.scores, before, after, resamples, seed)
    compared = {}
    for place, (name, correlate) in enumerate(zip(CORRELATION_NAMES, (spearman, pearson), strict=True)):
        of_base, of_tuned = correlate(before, pairs.scores), correlate(after, pairs.scores)
        change = of_tuned - of_base
        compared[name] = MetricComparison(name, of_base, of_tuned, change, float(lower[place]), float(upper[place]))
    return compared
