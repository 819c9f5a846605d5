"""Compare a tuned model with the one it started from and with the champion, on the same queries and index."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.bootstrap import CONFIDENCE, RESAMPLES
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.examples import contents_of, pick_examples
from embedtune.retrieval.gate import Asked, Evidence, Incumbent, decide
from embedtune.retrieval.measuring import Contestant, Measured, measure_sides
from embedtune.retrieval.metric_names import DECIDING_CORRELATION, Metric
from embedtune.retrieval.scoring import USUAL_METRICS, ModelResult, tied_at
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED, Side
from embedtune.retrieval.vectors import mean_pair_cosine

TIE_RANK = 10
"""Rank at which ties are counted."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A comparison and what it was computed from."""

    comparison: Comparison
    judged: EvaluationSet
    """The evaluation set without the queries to which nothing is relevant; the rows of `results`."""
    results: Mapping[str, ModelResult]
    """Of each side by its name, for all queries of `judged`."""
    counted: Mapping[str, NDArray[np.bool_]]
    """Which queries of `judged` count for each side."""


def compare(
    evaluation_set: EvaluationSet,
    contestants: Sequence[Contestant],
    asked: Asked,
    incumbent: Incumbent,
    *,
    metrics: Sequence[Metric] = USUAL_METRICS,
    depth: int = 1,
    seed: int,
    resamples: int = RESAMPLES,
) -> Evaluation:
    """Rank with all models, score by some metrics, and decide.

    Queries to which no index document is relevant are counted and left out. Where pairs have scores, Spearman's
    correlation of the similarity with the score decides, whatever metric was asked for.

    Args:
        evaluation_set: N queries and M index documents.
        contestants: The base, the tuned model and, where it could be encoded with, the champion.
        asked: What a promotion needs.
        incumbent: What is known of the champion.
        metrics: What to measure: the one that decides, nDCG@10, by which examples are chosen, and any others.
        depth: Ranks to find at least, for whoever looks at more of them.
        seed: Seed of the bootstrap.
        resamples: Bootstrap resamples, 1 or more.

    Raises:
        ConfigError: resamples is not acceptable.
        InputError: no query has a relevant document, or vectors do not fit the evaluation set or are not finite.
    """
    measured = measure_sides(evaluation_set, contestants, metrics=metrics, depth=depth, seed=seed, resamples=resamples)
    judged, results, counted, pairs = measured.judged, measured.results, measured.counted, evaluation_set.scored
    queries = len(judged.query_ids)
    cosines = {one.name: mean_pair_cosine(one.vectors.index) for one in contestants}
    examples = pick_examples(judged, results, counted) if queries else ()
    comparison = Comparison(
        sides=tuple(_side(one, results[one.name], counted[one.name], cosines[one.name]) for one in contestants),
        metrics=measured.metrics,
        differences=measured.differences,
        decision=decide(_evidence(asked, incumbent, measured, cosines, pairs is not None), asked),
        queries=queries,
        queries_without_relevant=len(evaluation_set.query_ids) - queries,
        index_documents=len(judged.index_ids),
        confidence=CONFIDENCE,
        resamples=resamples,
        seed=seed,
        examples=examples,
        contents=contents_of(judged, examples),
        evaluation_digest=(judged if pairs is None else evaluation_set).digest(),
        query_kind=judged.query_kind.value,
        index_kind=judged.index_kind.value,
        pairs=0 if pairs is None else pairs.scores.size,
    )
    return Evaluation(comparison, judged, results, counted)


def _side(contestant: Contestant, result: ModelResult, counted: NDArray[np.bool_], mean_cosine: float) -> Side:
    return Side(
        name=contestant.name,
        model=contestant.model,
        dimension=contestant.vectors.index.shape[1],
        tied_queries=int(tied_at(result.ranking, TIE_RANK)[counted].sum()),
        mean_cosine=mean_cosine,
        distance=contestant.vectors.distance,
    )


def _evidence(
    asked: Asked, incumbent: Incumbent, measured: Measured, cosines: Mapping[str, float], has_scores: bool
) -> Evidence:
    deciding = DECIDING_CORRELATION if has_scores else asked.metric
    found = {each.against: each for each in measured.differences if each.metric == deciding}
    if CHAMPION in cosines and CHAMPION not in found:
        incumbent = replace(incumbent, obstacle="It was trained on all held-out queries, or on what answers them.")
    return Evidence(found[BASE], found.get(CHAMPION), cosines[BASE], cosines[TUNED], incumbent)
