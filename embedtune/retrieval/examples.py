"""A few queries with what each side found, for a person to read."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.comparison import QueryExample, RankedHit, ShownContent, SideResults
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.scoring import ModelResult
from embedtune.retrieval.sides import BASE, TUNED

_EXAMPLES_PER_END = 4
_HITS = 5
_SHOWN_METRIC = "ndcg_at_10"


def pick_examples(
    judged: EvaluationSet, results: Mapping[str, ModelResult], counted: Mapping[str, NDArray[np.bool_]]
) -> tuple[QueryExample, ...]:
    """Show the queries that changed most from base to tuned by nDCG, for better and for worse, with their first hits.

    The most improved queries come first, largest gain first, then as many of the least improved, largest loss first;
    queries with equal change come by id. No query comes twice.

    Args:
        judged: N queries.
        results: Of each side for them.
        counted: Which of them count for each side, each (N,).
    """
    change = results[TUNED].scores[_SHOWN_METRIC] - results[BASE].scores[_SHOWN_METRIC]
    shown = _most_changed(change, judged)
    hits = {side: _hits(judged, result, shown) for side, result in results.items()}
    return tuple(
        QueryExample(
            id=judged.query_ids[row],
            kind=judged.query_kind.value,
            label=judged.query_labels[row],
            results=tuple(
                SideResults(side, float(result.scores[_SHOWN_METRIC][row]), hits[side][place])
                for side, result in results.items()
                if counted[side][row]
            ),
        )
        for place, row in enumerate(shown)
    )


def contents_of(judged: EvaluationSet, examples: Sequence[QueryExample]) -> tuple[ShownContent, ...]:
    """Return what examples refer to, each content once.

    Args:
        judged: N queries and M documents.
        examples: Of these queries.
    """
    queries = dict.fromkeys(example.id for example in examples)
    documents = dict.fromkeys(hit.id for example in examples for results in example.results for hit in results.hits)
    shown: dict[tuple[str, str], ShownContent] = {}
    for kind, wanted, ids, texts in (
        (judged.query_kind, queries, judged.query_ids, judged.query_texts),
        (judged.index_kind, documents, judged.index_ids, judged.index_texts),
    ):
        place = {identifier: row for row, identifier in enumerate(ids) if identifier in wanted}
        for identifier in wanted:
            content = ShownContent(identifier, kind.value, texts[place[identifier]])
            shown.setdefault((kind.value, identifier), content)
    return tuple(shown.values())


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
                judged.index_ids[row],
                judged.index_kind.value,
                float(scores[query, place]),
                bool(relevant[query, place]),
            )
            for place, row in enumerate(indices[query])
            if row >= 0
        )
        for query in range(rows.size)
    ]
