"""One model's vectors become a ranking and scores per query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.metric_names import METRIC_NAMES, Metric, parse_metric
from embedtune.retrieval.metrics import JudgedRanking, score
from embedtune.retrieval.ranking import Ranking, rank

USUAL_METRICS = tuple(map(parse_metric, METRIC_NAMES))
"""What is measured unless told otherwise."""


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model's results for the N queries of an evaluation set."""

    ranking: Ranking
    """The first documents of each query, as deep as the metrics look."""
    scores: dict[str, NDArray[np.float64]]
    """Key of each metric -> score of each query, shape (N,)."""


def evaluate(evaluation_set: EvaluationSet, vectors: Vectors, metrics: Sequence[Metric] = USUAL_METRICS) -> ModelResult:
    """Rank the index for each query and score the ranking.

    Args:
        evaluation_set: N queries, each with a relevant document, and M index documents.
        vectors: The model's vectors, (N, d) and (M, d).
        metrics: What to measure, at least one.

    Raises:
        InputError: the vectors do not fit the evaluation set or are not finite, or a relevance is too large for one of
            the metrics.
    """
    depth = max(metric.k for metric in metrics)
    ranking = rank(vectors.queries, evaluation_set.query_ids, vectors.index, evaluation_set.index_ids, depth)
    judgments = evaluation_set.judgments
    judged = JudgedRanking(
        gains=judgments.gains(ranking.indices),
        ideal_gains=judgments.ideal_gains(depth),
        relevant_counts=judgments.relevant_counts(),
    )
    return ModelResult(ranking, score(judged, metrics))
