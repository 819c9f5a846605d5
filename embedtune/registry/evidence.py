"""What a version was judged on, as its tags keep it, and whether that lets it replace a champion."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from embedtune.registry.champion import Champion
from embedtune.retrieval.comparison import ROUNDING, Comparison
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import TUNED
from embedtune.text import shortened

_DIGEST, _METRIC, _VALUE, _QUERIES, _PASSED, _CHAMPION, _MIN_GAIN, _REASON = (
    f"evaluation_{name}"
    for name in ("digest", "metric", "value", "queries", "passed", "champion", "min_gain", "reason")
)
NONE = "none"
_SHOWN_DIGITS = (4, 6, 9)

COST_TAGS = tuple(f"promotion_{name}" for name in ("documents", "hours", "index_bytes", "agreement"))
"""Tags of what it takes to replace the champion that a version was compared with."""

TAG_LIMIT = 5000
"""Characters that MLflow 2 servers take as a tag or description."""


@dataclass(frozen=True)
class Evidence:
    """How good a version is and what it was compared with; whatever its tags do not say counts as not known."""

    version: int
    metric: str
    """Key of the metric that it was judged by, '' where that is not known."""
    value: float | None
    """Its mean of that metric, None where that is not known."""
    queries: str
    """How many queries the mean is over, '' where that is not known."""
    digest: str
    """What it is over (`EvaluationSet.digest`), '' where that is not known."""
    passed: bool
    """Whether its own comparison calls it better than everything that it was compared with."""
    reason: str
    """Why, in the comparison's words."""
    champion: int | None
    """The champion that it was compared with, None where there was none or that is not known."""
    min_gain: float
    """The least difference that was asked for."""

    def as_champion(self) -> Champion:
        """Return what is told of a champion."""
        return Champion(self.version, self.metric, self.value, self.queries, self.digest)


@dataclass(frozen=True)
class Verdict:
    """Whether a version may replace a champion."""

    replaces: bool
    reason: str
    """Why, or why not, in sentences."""


def evidence_tags(comparison: Comparison) -> dict[str, str]:
    """Return the tags that `read_evidence` reads, numbers at full precision."""
    decision = comparison.decision
    tags = {
        _DIGEST: comparison.evaluation_digest,
        _METRIC: decision.metric,
        _VALUE: repr(comparison.value(decision.metric, TUNED)),
        _QUERIES: str(comparison.queries),
        _PASSED: "true" if decision.better else "false",
        _REASON: decision.reason,
        _CHAMPION: decision.champion_version if decision.champion_version else NONE,
        _MIN_GAIN: repr(decision.min_gain),
    }
    return {key: shortened(value, TAG_LIMIT) for key, value in tags.items()}


def cost_tags(comparison: Comparison) -> dict[str, str]:
    """Return what it takes to replace the champion; none where no champion was scored."""
    cost = comparison.migration
    if cost is None:
        return {}
    found = cost.agreement
    values = (
        f"{'' if cost.is_known else 'at least '}{cost.documents}",
        f"{cost.hours:.4g}",
        str(cost.index_bytes),
        NONE if found is None else f"{found.metric} {found.mapped:.4f} of {found.tuned:.4f}",
    )
    return dict(zip(COST_TAGS, values, strict=True))


def read_evidence(version: int, tags: Mapping[str, str]) -> Evidence:
    """Return what a version's tags tell; those of earlier versions of embedtune tell less, which never promotes."""
    champion = tags.get(_CHAMPION, NONE)
    return Evidence(
        version=version,
        metric=tags.get(_METRIC, ""),
        value=_number(tags.get(_VALUE, "")),
        queries=tags.get(_QUERIES, ""),
        digest=tags.get(_DIGEST, ""),
        passed=tags.get(_PASSED) == "true",
        reason=tags.get(_REASON, "Its tags do not say how its evaluation ended."),
        champion=int(champion) if champion.isdecimal() else None,
        min_gain=_number(tags.get(_MIN_GAIN, "")) or 0.0,
    )


def may_replace(new: Evidence, champion: Evidence | None, name: str) -> Verdict:
    """Tell whether a version may replace a champion, which is None where there is none.

    It may if its evaluation passed, and the champion is the one that it was compared with there. Another champion,
    which became it since, is compared by what both versions keep: the mean of one metric over the same held-out data.
    Where these do not compare, the champion stays.
    """
    if champion is None:
        return Verdict(new.passed, new.reason)
    stays = f"{name} version {champion.version} stays champion"
    if not new.passed:
        return Verdict(False, f"{new.reason} {stays}.")
    if new.champion == champion.version:
        return Verdict(True, f"{new.reason} It replaces version {champion.version}, with which it was compared.")
    return _by_stored_scores(new, champion, name)


def _by_stored_scores(new: Evidence, champion: Evidence, name: str) -> Verdict:
    obstacle, stays = _why_not_comparable(new, champion), f"{name} version {champion.version} stays champion"
    if obstacle or new.value is None or champion.value is None:
        return Verdict(False, f"{stays}: {obstacle}. {new.reason} {_advice(new, name)}")
    old, now = _told_apart(champion.value, new.value)
    gain, judged = new.value - champion.value, f"on the same held-out data its {written_name(new.metric)}"
    if gain > ROUNDING and gain >= new.min_gain - ROUNDING:
        reason = f"{new.reason} It replaces version {champion.version}: {judged} was {old}, and is {now} now."
        return Verdict(True, reason)
    if gain < -ROUNDING:
        than = f"the new version's only {now}"
    elif gain > ROUNDING:
        than = f"the new version's {now}, and a gain of {new.min_gain:.4f} was asked for"
    else:
        than = "and so is the new version's"
    return Verdict(False, f"{stays}: {judged} is {old}, {than}.")


def _advice(new: Evidence, name: str) -> str:
    return (
        f"Version {new.version} is registered and not promoted. Run the pipeline again: it compares with the champion "
        f"of that moment. Or make it champion on your own word: embedtune promote {_quoted(name)} {new.version}"
    )


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _why_not_comparable(new: Evidence, champion: Evidence) -> str:
    if champion.value is None or not champion.metric or not champion.digest:
        return "its tags do not say how good it was on which held-out data"
    if new.value is None or not new.digest:
        return "the new comparison does not say on which held-out data it was made"
    since = (
        ""
        if new.champion is None
        else f"it became champion after the evaluation had compared with {new.champion}, and "
    )
    if champion.digest != new.digest:
        return (
            f"{since}it was judged on other held-out data ({champion.queries} queries, {_short(champion.digest)}) "
            f"than the new version ({new.queries} queries, {_short(new.digest)})"
        )
    if champion.metric != new.metric:
        names = written_name(champion.metric), written_name(new.metric)
        return f"{since}it was judged by {names[0]}, the new version by {names[1]}"
    return ""


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _short(digest: str) -> str:
    return digest[: len("sha256:") + 12]


def _told_apart(first: float, second: float) -> tuple[str, str]:
    """Return two numbers with as many digits as it takes to see that they differ, if they do."""
    texts = [(f"{first:.{digits}f}", f"{second:.{digits}f}") for digits in _SHOWN_DIGITS]
    return next((pair for pair in texts if pair[0] != pair[1]), texts[0])
