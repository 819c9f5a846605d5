"""The champion and what it was judged on, and whether another version may replace it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedtune.retrieval.comparison import ROUNDING, Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED

if TYPE_CHECKING:
    from mlflow import MlflowClient

CHAMPION = "champion"
"""Alias of the version to serve."""

_DIGEST, _METRIC, _VALUE, _QUERIES = (f"evaluation_{name}" for name in ("digest", "metric", "value", "queries"))
_SHOWN_DIGITS = (4, 6, 9)


@dataclass(frozen=True)
class Champion:
    """The version to serve, as its tags tell."""

    version: int
    metric: str
    """Key of the metric that it was judged by, '' where its tags do not say."""
    value: float | None
    """The mean of that metric, None where its tags do not say."""
    queries: str
    """How many queries the mean is over, '' where its tags do not say."""
    evaluation_digest: str
    """What it is over (`EvaluationSet.digest`), '' where its tags do not say."""

    def told(self) -> str:
        """Return the version with its metric, as a person reads it."""
        if self.value is None or not self.metric:
            return f"version {self.version} (its tags do not say how good it is)"
        over = f" over {self.queries} queries" if self.queries else ""
        return f"version {self.version} ({written_name(self.metric)} {self.value:.4f}{over})"


@dataclass(frozen=True)
class Judgment:
    """A new version against the champion."""

    better: bool
    comparable: bool
    """Whether their numbers are means of one metric over one evaluation set."""
    reason: str
    """Why, as the end of a sentence about the champion."""


def evaluation_tags(comparison: Comparison) -> dict[str, str]:
    """Return the tags by which a later version compares itself with this one, at full precision."""
    metric = comparison.decision.metric
    return {
        _DIGEST: comparison.evaluation_digest,
        _METRIC: metric,
        _VALUE: repr(comparison.value(metric, TUNED)),
        _QUERIES: str(comparison.queries),
    }


def read_champion(client: "MlflowClient", name: str) -> Champion | None:
    """Return the registered model's champion as the registry has it now, None where there is none.

    Raises:
        MlflowException: MLflow cannot be asked.
    """
    from mlflow.exceptions import MlflowException

    version = client.get_registered_model(name).aliases.get(CHAMPION)
    if version is None:
        return None
    try:
        tags = client.get_model_version(name, str(version)).tags
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        tags = {}  # deleted, and its alias with it a moment later
    return champion_of(int(version), tags)


def champion_of(version: int, tags: Mapping[str, str]) -> Champion:
    """Return what a version's tags tell; whatever cannot be read counts as not told."""
    try:
        value: float | None = float(tags.get(_VALUE, ""))
    except ValueError:
        value = None
    if value is not None and not math.isfinite(value):
        value = None
    return Champion(version, tags.get(_METRIC, ""), value, tags.get(_QUERIES, ""), tags.get(_DIGEST, ""))


def judge_by_champion(champion: Champion, comparison: Comparison) -> Judgment:
    """Return whether a version with this comparison is better than the champion, as far as stored numbers tell."""
    obstacle = _why_not_comparable(champion, comparison)
    if obstacle or champion.value is None:
        return Judgment(False, False, obstacle)
    metric = comparison.decision.metric
    name, value = written_name(metric), comparison.value(metric, TUNED)
    old, new = _told_apart(champion.value, value)
    if value > champion.value + ROUNDING:
        return Judgment(True, True, f"on the same held-out data its {name} was {old}, and is {new} now")
    if value < champion.value - ROUNDING:
        return Judgment(False, True, f"on the same held-out data its {name} is {old}, the new version's only {new}")
    return Judgment(False, True, f"on the same held-out data its {name} is {old}, and so is the new version's")


def _why_not_comparable(champion: Champion, comparison: Comparison) -> str:
    digest, metric = comparison.evaluation_digest, comparison.decision.metric
    if champion.value is None or not champion.metric or not champion.evaluation_digest:
        return "its tags do not say how good it was on which held-out data"
    if not digest:
        return "the new comparison does not say on which held-out data it was made"
    if champion.evaluation_digest != digest:
        return (
            f"it was judged on other held-out data ({champion.queries} queries, {_short(champion.evaluation_digest)}) "
            f"than the new version ({comparison.queries} queries, {_short(digest)})"
        )
    if champion.metric != metric:
        return f"it was judged by {written_name(champion.metric)}, the new version by {written_name(metric)}"
    return ""


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]


def _told_apart(first: float, second: float) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to see that they differ, if they do."""
    texts = [(f"{first:.{digits}f}", f"{second:.{digits}f}") for digits in _SHOWN_DIGITS]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])
