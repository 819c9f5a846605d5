"""How far vectors of the tuned model and of the champion still agree.

Vectors of two models do not compare, but an orthogonal map between them may make queries of the new model search an
index of the old one until that is embedded again: Procrustes' problem (Schönemann, A generalized solution of the
orthogonal Procrustes problem, 1966), for upgrades of embeddings Vejendla, Drift-Adapter, 2025, arXiv:2509.23471.
"""

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.cost import Agreement
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.metric_names import Metric
from embedtune.retrieval.scoring import evaluate
from embedtune.retrieval.vectors import Embeddings, unit_rows

_FOLDS = 5


def learn_map(new: Embeddings, old: Embeddings, distance: str) -> NDArray[np.float32]:
    """Return the orthogonal map W that brings vectors of one model nearest to those of another, as `new @ W`.

    With the singular value decomposition newᵀ old = U S Vᵀ, W = U Vᵀ maximises the sum of the dot products of
    `new @ W` with `old`. Where new vectors have no more components than old ones, W keeps lengths and so minimises the
    squared distances too; where they have more, W drops directions, and its columns are orthonormal.
    In directions in which none of the contents lies, as where they are fewer than components, W is arbitrary.

    Args:
        new: Shape (n, d_new), n 1 or more: contents as the one model embeds them.
        old: Shape (n, d_old): the same contents as the other does.
        distance: What the old vectors are compared by; for the cosine, all contents count alike.

    Returns:
        Shape (d_new, d_old).
    """
    if distance == "cosine":
        new, old = unit_rows(new), unit_rows(old)
    left, _, right = np.linalg.svd(new.astype(np.float64).T @ old.astype(np.float64), full_matrices=False)
    found: NDArray[np.float32] = (left @ right).astype(np.float32)
    return found


def measure_agreement(data: EvaluationSet, tuned: Vectors, champion: Vectors, k: int) -> Agreement | None:
    """Measure what the tuned model's queries find in an index of the champion's vectors.

    Queries with the same relevant documents are together in one of five folds. The map of a fold is learned on the
    index documents that are relevant to none of its queries and are none of them, so that it is never measured on what
    it was learned from.

    Args:
        data: N queries, each with a relevant document, and M index documents.
        tuned: Shapes (N, d_new) and (M, d_new).
        champion: Shapes (N, d_old) and (M, d_old); its distance decides what is near.
        k: Ranks that the recall looks at.

    Returns:
        None where there is no query, or a fold leaves no document to learn from.
    """
    mapped = _mapped_queries(data, tuned, champion)
    if mapped is None:
        return None
    recall = Metric("recall", k)

    def mean(queries: Embeddings, of: Vectors) -> float:
        found = evaluate(data, Vectors(queries, of.index, of.distance), [recall])
        return float(found.scores[recall.key].mean())

    fits = tuned.index.shape[1] == champion.index.shape[1]
    return Agreement(
        metric=recall.key,
        queries=len(data.query_ids),
        champion=mean(champion.queries, champion),
        tuned=mean(tuned.queries, tuned),
        as_it_is=mean(tuned.queries, champion) if fits else None,
        mapped=mean(mapped, champion),
    )


def _mapped_queries(data: EvaluationSet, tuned: Vectors, champion: Vectors) -> Embeddings | None:
    """Return the tuned model's queries as the champion might have embedded them (N, d_old)."""
    if not data.query_ids:
        return None
    folds = np.unique(data.judgments.query_groups, return_inverse=True)[1] % _FOLDS
    mapped = np.empty((folds.size, champion.index.shape[1]))
    for fold in np.unique(folds):
        asked = folds == fold
        others = ~data.judgments.touched_by(asked)
        if not others.any():
            return None
        mapped[asked] = tuned.queries[asked] @ learn_map(tuned.index[others], champion.index[others], champion.distance)
    return mapped
