"""A few queries with their results before and after, for a person to read."""

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.comparison import QueryExample, RankedHit
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.scoring import ModelResult

_EXAMPLES_PER_END = 4
_HITS = 5


def pick_examples(judged: EvaluationSet, base: ModelResult, tuned: ModelResult) -> tuple[QueryExample, ...]:
    """Show the queries that changed most by nDCG, for better and for worse, with their first hits.

    The most improved queries come first, largest gain first, then as many of the least improved, largest loss first;
    queries with equal change come by id. No query comes twice.

    Args:
        judged: N queries.
        base: The base model's results for them.
        tuned: The tuned model's results for them.
    """
    base_ndcg, tuned_ndcg = base.scores["ndcg_at_10"], tuned.scores["ndcg_at_10"]
    shown = _most_changed(tuned_ndcg - base_ndcg, judged)
    before, after = _hits(judged, base, shown), _hits(judged, tuned, shown)
    return tuple(
        QueryExample(
            query=judged.query_texts[row],
            label=judged.query_labels[row],
            base_ndcg=float(base_ndcg[row]),
            tuned_ndcg=float(tuned_ndcg[row]),
            base=before[place],
            tuned=after[place],
            id=judged.query_ids[row],
        )
        for place, row in enumerate(shown)
    )


def _most_changed(change: NDArray[np.float64], judged: EvaluationSet) -> list[int]:
    """Return the rows of the queries to show, in order."""
    by_id = np.array(sorted(range(len(judged.query_ids)), key=judged.query_ids.__getitem__))
    # Stable sorts of the rows by id leave equal changes in the order of their ids.
    rising: list[int] = by_id[np.argsort(-change[by_id], kind="stable")].tolist()
    falling: list[int] = by_id[np.argsort(change[by_id], kind="stable")].tolist()
    best = rising[:_EXAMPLES_PER_END]
    return best + [row for row in falling[: 2 * _EXAMPLES_PER_END] if row not in best][:_EXAMPLES_PER_END]


def _hits(judged: EvaluationSet, result: ModelResult, shown: list[int]) -> list[tuple[RankedHit, ...]]:
    """Return the first hits of each shown query."""
    rows = np.array(shown)
    indices, scores = result.ranking.indices[rows, :_HITS], result.ranking.scores[rows, :_HITS]
    relevant = judged.judgments.select(rows).gains(indices) > 0
    return [
        tuple(
            RankedHit(
                place + 1,
                judged.index_texts[row],
                float(scores[query, place]),
                bool(relevant[query, place]),
                judged.index_ids[row],
            )
            for place, row in enumerate(indices[query])
            if row >= 0
        )
        for query in range(rows.size)
    ]
