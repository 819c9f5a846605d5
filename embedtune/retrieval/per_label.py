"""The metrics of each label's queries by themselves: where a model is weak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_LABELS = 1000
"""Labels that are listed, the worst of all."""


@dataclass(frozen=True)
class LabelScores:
    """The queries of one label."""

    label: str
    queries: int
    """How many there are, 1 or more."""
    means: Mapping[str, Mapping[str, float]]
    """Name of a side -> key of a metric -> mean over the label's queries that count for that side, at least one."""


def scores_by_label(
    labels: Sequence[str],
    scores: Mapping[str, Mapping[str, NDArray[np.float64]]],
    counted: Mapping[str, NDArray[np.bool_]],
    worst_by: tuple[str, str],
    most: int = MOST_LABELS,
) -> tuple[LabelScores, ...]:
    """Return the means of each label, the worst first, equal ones by the label.

    Args:
        labels: Label of each of N queries, '' where there is none.
        scores: Name of a side -> key of a metric -> score of each query (N,).
        counted: Name of a side -> which queries count for it (N,).
        worst_by: Side and metric by which labels are ordered; every query counts for that side.
        most: How many labels to return.
    """
    names, numbers = np.unique(np.array(labels, dtype=object), return_inverse=True)
    side, metric = worst_by
    sizes = np.bincount(numbers, minlength=names.size)
    ranked = np.bincount(numbers, scores[side][metric], names.size) / np.maximum(sizes, 1)
    order = [label for label in np.argsort(ranked, kind="stable").tolist() if names[label]][:most]
    columns = {
        name: {key: _means(values, numbers, counted[name], names.size) for key, values in of.items()}
        for name, of in scores.items()
    }
    return tuple(
        LabelScores(
            str(names[label]),
            int(sizes[label]),
            {
                name: {key: float(means[label]) for key, means in of.items()}
                for name, of in columns.items()
                if counted[name][numbers == label].any()
            },
        )
        for label in order
    )


def _means(
    values: NDArray[np.float64], numbers: NDArray[np.int64], counted: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:
    """Return the mean of the values (N,) that count by label (L,); 0 where none does."""
    sums = np.bincount(numbers[counted], values[counted], count)
    sizes = np.bincount(numbers[counted], minlength=count)
    means: NDArray[np.float64] = sums / np.maximum(sizes, 1)
    return means
