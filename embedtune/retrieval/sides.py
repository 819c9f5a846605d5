"""What is compared: models by the part that they play, their values of each metric, and how these differ."""

from collections.abc import Mapping
from dataclasses import dataclass

from embedtune.models.card import CutTexts

BASE, TUNED, CHAMPION = "base", "tuned", "champion"
"""The model that training started from, what became of it, and the registered version that serves."""


@dataclass(frozen=True)
class Side:
    """One model of a comparison."""

    name: str
    """The part that it plays: BASE, TUNED or CHAMPION."""
    model: str
    """What people call it, such as the backbone's name; '' where a version before this one compared."""
    dimension: int
    """Components of its vectors; 0 where a version before this one compared."""
    tied_queries: int
    """Queries where a tie of scores crosses rank 10; order among ties is by ascending id."""
    mean_cosine: float | None
    """Mean cosine of all pairs of index documents, -1..1; near 1 means that it tells none apart. None where nobody
    computed it."""
    query_texts: CutTexts | None = None
    """What its own length, at which it is judged, did to the queries; None where they are no texts."""
    index_texts: CutTexts | None = None
    """What it did to the index documents."""
    seen_queries: int = 0
    """Queries that it reads as the same tokens as a text that it was trained on."""
    seen_index: int = 0
    """Index documents that it does, where the source does not mean to search in training documents too."""
    known_queries: int = 0
    """Queries that it had been trained on; see `known_texts.find_known`. Those of the base are left out for all sides,
    those of the champion where it is compared."""
    known_index: int = 0
    """Index documents that it had been trained on; they were kept."""
    distance: str = "cosine"
    """What its vectors are compared by, one of `distances.DISTANCES`; a version that said nothing took the cosine."""


@dataclass(frozen=True)
class MetricValues:
    """One metric of every side."""

    name: str
    """Key of the metric, such as ndcg_at_10."""
    values: Mapping[str, float]
    """Name of a side -> mean over the queries that count for it, 0..1; of a correlation its value, -1..1."""


@dataclass(frozen=True)
class Difference:
    """How one side differs from another in one metric, over what counts for both."""

    metric: str
    """Key of the metric."""
    side: str
    """The side that is judged."""
    against: str
    """The side that it is measured by."""
    of_side: float
    """The judged side's mean over what counts for both; of a correlation its value."""
    of_against: float
    """The other side's, over the same."""
    value: float
    """of_side - of_against."""
    lower: float
    """Lower bound of the confidence interval of the difference."""
    upper: float
    """Upper bound of the confidence interval of the difference."""
    units: int
    """How many of what the interval resamples there are."""
    unit: str = "queries"
    """What these are."""
