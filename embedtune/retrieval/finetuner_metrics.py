"""The metrics of Jina Finetuner, by its names and definitions, for numbers that compare with those of its runs.

They are those of docarray 0.21 (docarray/math/evaluation.py) over the first LIMIT results, and differ from trec_eval's:
average precision divides by the relevant documents found instead of all, precision by the results there are instead of
k, the discount begins at the third rank, and the best order that nDCG divides by is of what was found. Relevance is
binary.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

LIMIT = 20
"""Results that Finetuner looked at unless told otherwise."""


def finetuner_scores(
    relevant: NDArray[np.bool_], returned: NDArray[np.int64], relevant_counts: NDArray[np.int64]
) -> dict[str, Array]:
    """Score the first results of N queries.

    Args:
        relevant: Whether the document at each rank is relevant (N, K), best rank first; False where there is none.
        returned: Results of each query (N,), 0..K.
        relevant_counts: Relevant documents of each query, found or not (N,), 1 or more.

    Returns:
        Finetuner's name of each metric -> score of each query (N,).
    """
    found = relevant.cumsum(axis=1)
    hits = found[:, -1]
    precision = _divide(hits, returned)
    recall = hits / relevant_counts
    ranks = np.arange(1, relevant.shape[1] + 1)
    discounts = np.concatenate([[1.0], np.log2(ranks[1:])])
    dcg: Array = (relevant / discounts).sum(axis=1)
    best = np.concatenate([[0.0], np.cumsum(1 / discounts)])[hits]
    within_hits = ranks <= hits[:, np.newaxis]
    return {
        "precision_at_k": precision,
        "recall_at_k": recall,
        "f1_score_at_k": _divide(2 * precision * recall, precision + recall),
        "hit_at_k": np.where(hits > 0, 1.0, 0.0),
        "average_precision": _divide((found / ranks * relevant).sum(axis=1), hits),
        "reciprocal_rank": np.where(hits > 0, 1.0 / (relevant.argmax(axis=1) + 1), 0.0),
        "dcg_at_k": dcg,
        "r_precision": _divide((relevant & within_hits).sum(axis=1), hits),
        "ndcg_at_k": _divide(dcg, best),
    }


def _divide(numerator: NDArray[np.number], denominator: NDArray[np.number]) -> Array:
    """Divide (N,) by (N,); 0 where the denominator is 0."""
    quotient: Array = np.zeros(numerator.shape)
    np.divide(numerator, denominator, out=quotient, where=denominator > 0)
    return quotient
