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
    sizes = {name: np.bincount(numbers[which], minlength=names.size) for name, which in counted.items()}
    columns = {
        name: {key: _means(values[counted[name]], numbers[counted[name]], sizes[name]) for key, values in of.items()}
        for name, of in scores.items()
    }
    side, metric = worst_by
    order = [label for label in np.argsort(columns[side][metric], kind="stable").tolist() if names[label]][:most]
    return tuple(
        LabelScores(
            str(names[label]),
            int(sizes[side][label]),
            {
                name: {key: float(means[label]) for key, means in of.items()}
                for name, of in columns.items()
                if sizes[name][label]
            },
        )
        for label in order
    )


def _means(values: NDArray[np.float64], numbers: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of the values (n,) of each of L labels, of which there are `sizes` each (L,); 0 of none."""
    means: NDArray[np.float64] = np.bincount(numbers, values, sizes.size) / np.maximum(sizes, 1)
    return means
