"""Where the tuned model is weakest: the queries and labels that it answers worst, with what each side made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.compare import Evaluation
from embedtune.retrieval.per_label import LabelScores, scores_by_label
from embedtune.retrieval.sides import BASE, TUNED

MOST_QUERIES = 200
"""Queries that are listed, the worst of all; a page of more would be read by nobody."""

MOST_LABELS = 100
"""Labels that are listed, the worst of all."""

_ELSE = "ndcg_at_10"
"""What queries are ordered by where the deciding metric is none of single queries."""


@dataclass(frozen=True)
class QueryScores:
    """One query with its score of each side."""

    id: str
    text: str
    """The text itself; of other contents the name of the file, '' where it is not known."""
    label: str
    """'' where judged pairs say what is relevant."""
    scores: Mapping[str, float]
    """Name of a side -> score, of the sides for which the query counts."""


@dataclass(frozen=True)
class WeakSpots:
    """The worst of an evaluation."""

    metric: str
    """Key of the metric that they are ordered by."""
    queries: tuple[QueryScores, ...]
    """The worst first."""
    query_count: int
    """How many queries were judged."""
    labels: tuple[LabelScores, ...] = ()
    """The worst first, by the same metric; none where queries have no labels."""
    label_count: int = 0
    """How many labels the queries have."""


def weak_spots(outcome: Evaluation, most_queries: int = MOST_QUERIES, most_labels: int = MOST_LABELS) -> WeakSpots:
    """Return the queries and the labels with the lowest score of the tuned model.

    Of equal queries come first those that fell most, then by id; of equal labels by the label.

    Args:
        outcome: The evaluation.
        most_queries: Queries to return.
        most_labels: Labels to return.
    """
    results, judged = outcome.results, outcome.judged
    metric = outcome.comparison.decision.metric
    metric = metric if metric in results[TUNED].scores else _ELSE
    scores = {side: result.scores[metric] for side, result in results.items()}
    queries = tuple(
        QueryScores(
            id=judged.query_ids[row],
            text=judged.query_texts[row],
            label=judged.query_labels[row],
            scores={side: float(of[row]) for side, of in scores.items() if outcome.counted[side][row]},
        )
        for row in _worst(scores[TUNED], scores[TUNED] - scores[BASE], judged.query_ids)[:most_queries]
    )
    labels = scores_by_label(
        judged.query_labels,
        {side: {metric: of} for side, of in scores.items()},
        outcome.counted,
        (TUNED, metric),
        most_labels,
    )
    return WeakSpots(metric, queries, len(judged.query_ids), labels, len(set(judged.query_labels) - {""}))


def _worst(scores: NDArray[np.float64], changes: NDArray[np.float64], ids: Sequence[str]) -> list[int]:
    """Return all rows, the worst first."""
    by_id = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
    # Rounded, so that the order does not hang on the last digit of a sum; equal ones stay in the order of their ids.
    order = np.lexsort((np.round(changes[by_id], 9), np.round(scores[by_id], 9)))
    rows: list[int] = by_id[order].tolist()
    return rows
