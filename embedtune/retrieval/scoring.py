"""One model's vectors become a ranking and scores per query."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.metric_names import METRIC_NAMES, Metric, parse_metric
from embedtune.retrieval.metrics import JudgedRanking, score
from embedtune.retrieval.ranking import Ranking, rank
from embedtune.retrieval.vectors import Embeddings, unit_rows

USUAL_METRICS = tuple(map(parse_metric, METRIC_NAMES))
"""What is measured unless told otherwise."""


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model's results for the N queries of an evaluation set."""

    ranking: Ranking
    """The first documents of each query, as deep as the metrics look."""
    scores: dict[str, NDArray[np.float64]]
    """Key of each metric -> score of each query, shape (N,)."""


def evaluate(
    evaluation_set: EvaluationSet, vectors: Vectors, metrics: Sequence[Metric] = USUAL_METRICS, depth: int = 1
) -> ModelResult:
    """Rank the index for each query and score the ranking.

    Args:
        evaluation_set: N queries, each with a relevant document, and M index documents.
        vectors: The model's vectors, (N, d) and (M, d).
        metrics: What to measure, at least one.
        depth: Ranks to find at least; as many as the metrics look at in any case.

    Raises:
        InputError: the vectors do not fit the evaluation set or are not finite, or a relevance is too large for one of
            the metrics.
    """
    depth = max(depth, *(metric.k for metric in metrics))
    ids = evaluation_set.query_ids, evaluation_set.index_ids
    ranking = rank(vectors.queries, ids[0], vectors.index, ids[1], depth, vectors.distance)
    judgments = evaluation_set.judgments
    judged = JudgedRanking(
        gains=judgments.gains(ranking.indices),
        ideal_gains=judgments.ideal_gains(depth),
        relevant_counts=judgments.relevant_counts(),
    )
    return ModelResult(ranking, score(judged, metrics))


def tied_at(ranking: Ranking, k: int) -> NDArray[np.bool_]:
    """Tell of which queries the documents at rank k and the next one have the same score (N,).

    Args:
        ranking: At least k ranks deep.
        k: The rank.
    """
    if k == ranking.scores.shape[1]:
        return ranking.tied_at_cut
    tied: NDArray[np.bool_] = np.isfinite(ranking.scores[:, k]) & (ranking.scores[:, k - 1] == ranking.scores[:, k])
    return tied


def pair_scores(distance: str, first: Embeddings, second: Embeddings) -> NDArray[np.float64]:
    """Return how near each of P vectors is to that of the same row: larger is nearer (P,).

    Args:
        distance: What they are compared by, one of `distances.DISTANCES`.
        first: Shape (P, d).
        second: Shape (P, d).
    """
    if distance == "cosine":
        first, second = unit_rows(first), unit_rows(second)
    one, other = first.astype(np.float64), second.astype(np.float64)
    near: NDArray[np.float64] = (
        -np.sqrt(((one - other) ** 2).sum(axis=1)) if distance == "euclidean" else (one * other).sum(axis=1)
    )
    return near
