"""What metrics are called: a name and a cutoff, as in `ndcg_at_10`, which people write nDCG@10."""

import difflib
import re
from dataclasses import dataclass

from embedtune.errors import ConfigError
from embedtune.text import shortened

MAX_CUTOFF = 1000
"""The most ranks that a metric may look at: as deep as runs for trec_eval usually are."""

_WRITTEN = {
    "ndcg": "nDCG",
    "mrr": "MRR",
    "map": "MAP",
    "recall": "recall",
    "precision": "precision",
    "hit": "hit",
    "f1": "F1",
    "r_precision": "R-precision",
    "dcg": "DCG",
    "exponential_ndcg": "exponential nDCG",
    "exponential_dcg": "exponential DCG",
}

_MEANINGS = {
    "ndcg": "Normalised discounted cumulative gain: each relevant document {where} counts its relevance divided by "
    "log₂(rank + 1); the sum is divided by that of the best possible order. 1 is perfect.",
    "mrr": "Mean reciprocal rank: one divided by the rank of the first relevant document, 0 where there is none "
    "{where}.",
    "map": "Mean average precision: the precision at each relevant document {where}, summed and divided by the number "
    "of all relevant documents.",
    "recall": "Share of the relevant documents that are {where}. Below 1 even for a perfect order where a query has "
    "more than {k}.",
    "precision": "Number of relevant documents {where} divided by {k}, however few results there are.",
    "hit": "Share of the queries with at least one relevant document {where}.",
    "f1": "Harmonic mean of the precision and the recall {where}: high only where both are.",
    "r_precision": "Share of the relevant documents that are among as many results as there are of them; {where} where "
    "that is more.",
    "dcg": "Discounted cumulative gain: each relevant document {where} counts its relevance divided by log₂(rank + 1). "
    "Not divided by that of the best possible order, so it grows with the number of relevant documents.",
    "exponential_ndcg": "nDCG in which a relevance r counts as 2^r - 1, so that the most relevant documents decide; "
    "equal to nDCG where everything relevant is equally so. Looks at documents {where}.",
    "exponential_dcg": "DCG in which a relevance r counts as 2^r - 1, of documents {where}.",
}

_SHOWN = 80
_LIKENESS = 0.7
"""Of difflib, from 0 to 1: of four letters two may be exchanged."""

_KEY = re.compile(r"(?P<name>\w+)_at_(?P<k>[1-9]\d{0,8})", re.ASCII)
_ANY_SPELLING = re.compile(r"(?P<name>.*?)[\W_]*(?:at|cut)?[\W_]*(?P<k>\d{0,8})\d*", re.DOTALL)


@dataclass(frozen=True)
class Metric:
    """One metric at one cutoff."""

    name: str
    """One of NAMES."""
    k: int
    """Ranks that it looks at, 1..MAX_CUTOFF."""

    @property
    def key(self) -> str:
        """What it is called in files, options and in MLflow, which refuses '@' in a name: `ndcg_at_10`."""
        return f"{self.name}_at_{self.k}"

    @property
    def written(self) -> str:
        """How people write it: `nDCG@10`."""
        return f"{_WRITTEN[self.name]}@{self.k}"

    @property
    def meaning(self) -> str:
        """What it says, for people who read the report."""
        where = "in first place" if self.k == 1 else f"among the first {self.k}"
        return _MEANINGS[self.name].format(where=where, k=self.k)


NAMES = tuple(_WRITTEN)
"""Names of metrics, in the order in which they are shown."""

USUAL_NAMES = ("ndcg", "mrr", "map", "recall", "precision", "hit")
"""Names of what is measured unless told otherwise."""

METRIC_NAMES: dict[str, str] = {metric.key: metric.written for metric in (Metric(name, 10) for name in USUAL_NAMES)}
"""Keys of what is measured unless told otherwise, and how people write them, in the order in which they are shown."""

DECIDING_CORRELATION = "spearman"
"""What a promotion goes by where pairs have scores."""

CORRELATION_NAMES: dict[str, str] = {DECIDING_CORRELATION: "Spearman's correlation", "pearson": "Pearson's correlation"}
"""Keys and names of what pairs with scores are judged by, the one that decides first."""


def parse_metric(key: str) -> Metric:
    """Return the metric of a key.

    Raises:
        ConfigError: there is no such name, or the cutoff is no number of ranks that is accepted.
    """
    found = _KEY.fullmatch(key)
    if found and found["name"] in NAMES and int(found["k"]) <= MAX_CUTOFF:
        return Metric(found["name"], int(found["k"]))
    raise ConfigError(
        f"metric is {shortened(key, _SHOWN)!r}; accepted: a name and a number of ranks from 1 to {MAX_CUTOFF}, such as "
        f"{Metric(NAMES[0], 10).key}, with one of the names {', '.join(NAMES)}.{_hint(key)}"
    )


def written_name(key: str) -> str:
    """Return how people write a metric or correlation; of one that another version knows, the key itself."""
    if key in CORRELATION_NAMES:
        return CORRELATION_NAMES[key]
    found = _KEY.fullmatch(key)
    return Metric(found["name"], int(found["k"])).written if found and found["name"] in NAMES else key


def meaning_of(key: str) -> str:
    """Return what a metric says; '' of a correlation, whose name says it."""
    found = _KEY.fullmatch(key)
    return Metric(found["name"], int(found["k"])).meaning if found and found["name"] in NAMES else ""


def cutoff_of(key: str) -> int:
    """Return the ranks that a metric looks at; 0 of what has no cutoff, such as a correlation."""
    found = _KEY.fullmatch(key)
    return int(found["k"]) if found else 0


def _hint(key: str) -> str:
    """Name the metric that is perhaps meant: `nDCG@10`, `ndcg_cut_10` and `ndcg` are all nDCG."""
    spelling = _ANY_SPELLING.fullmatch(key.lower().strip())
    near = difflib.get_close_matches(spelling["name"], NAMES, 1, _LIKENESS) if spelling else []
    if not spelling or not near:
        return ""
    k = int(spelling["k"]) if spelling["k"] else 10
    return f" Perhaps {Metric(near[0], min(max(k, 1), MAX_CUTOFF)).key!r} is meant."
