"""One model's vectors become a ranking and scores per query."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.metrics import CUTOFF, METRICS, JudgedRanking
from embedtune.retrieval.ranking import Ranking, rank


@dataclass(frozen=True, eq=False)
class ModelResult:
    """One model's results for the N queries of an evaluation set."""

    ranking: Ranking
    """The first CUTOFF documents of each query."""
    scores: dict[str, NDArray[np.float64]]
    """Key of METRIC_NAMES -> score of each query, shape (N,), 0..1."""


def evaluate(evaluation_set: EvaluationSet, vectors: Vectors) -> ModelResult:
    """Rank the index for each query and score the ranking by all metrics.

    Args:
        evaluation_set: N queries, each with a relevant document, and M index documents.
        vectors: The model's vectors, (N, d) and (M, d).

    Raises:
        InputError: the vectors do not fit the evaluation set or are not finite.
    """
    ranking = rank(vectors.queries, evaluation_set.query_ids, vectors.index, evaluation_set.index_ids, CUTOFF)
    judgments = evaluation_set.judgments
    judged = JudgedRanking(
        gains=judgments.gains(ranking.indices),
        ideal_gains=judgments.ideal_gains(CUTOFF),
        relevant_counts=judgments.relevant_counts(),
    )
    return ModelResult(ranking, {name: metric(judged) for name, metric in METRICS.items()})
