"""Whether the tuned model earned promotion by what was asked for, and everything that is against it."""

from collections.abc import Iterator
from dataclasses import dataclass

from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import CONFIDENCE
from embedtune.retrieval.comparison import (
    COLLAPSE_COSINE,
    MIN_QUERIES,
    ROUNDING,
    Decision,
)
from embedtune.retrieval.metric_names import parse_metric, written_name
from embedtune.retrieval.sides import Difference


@dataclass(frozen=True)
class Asked:
    """What a promotion needs."""

    metric: str
    """Key of the metric that decides, where no scores of pairs do."""
    min_gain: float
    """The least difference of that metric, 0..1."""
    min_lower_bound: float = 0.0
    """What the lower bound of the difference's interval must be above, 0..1."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: the metric is unknown, or a bound is outside 0..1.
        """
        check_gate(self.metric, self.min_gain, self.min_lower_bound)


@dataclass(frozen=True)
class Incumbent:
    """The registered version that is champion, as far as is known."""

    version: str = ""
    """Its number; '' where there was none when the run began, or the registry could not be asked."""
    obstacle: str = ""
    """Why it could not be scored, in whole sentences; '' where it was, or where there is none."""

    @property
    def name(self) -> str:
        """What a sentence calls it."""
        return f"the champion, version {self.version}"


@dataclass(frozen=True)
class Evidence:
    """All that a decision rests on."""

    over_base: Difference
    """The tuned model against the base, in the metric that decides."""
    over_champion: Difference | None
    """The same against the champion, over what it was not trained on; None where it was not scored."""
    base_cosine: float
    """Mean cosine of all pairs of index documents, base model, -1..1."""
    tuned_cosine: float
    """The same for the tuned model."""
    incumbent: Incumbent


def check_gate(metric: str, min_gain: float, min_lower_bound: float) -> None:
    """Refuse options that no decision can be based on.

    Args:
        metric: Key of a metric.
        min_gain: The least difference that is asked for, 0..1.
        min_lower_bound: What the lower bound of its interval must be above, 0..1.

    Raises:
        ConfigError: the metric is unknown, or a bound is outside 0..1.
    """
    parse_metric(metric)
    for name, value in (("min_gain", min_gain), ("min_lower_bound", min_lower_bound)):
        if not 0.0 <= value <= 1.0:
            raise ConfigError(f"{name} is {value}; it is a difference of {written_name(metric)} and lies in 0..1.")


def decide(evidence: Evidence, asked: Asked) -> Decision:
    """Call it better if nothing is against it, and say everything that is.

    Over the base and over the champion alike, the gain must be as large as asked for, its interval must lie above the
    bound and above zero, and there must be enough units. A champion that could not be scored is not replaced.

    Where both models are equally good, the lower bound should lie above zero in 2.5 % of all evaluations. It does in
    23 % of them with 2 units, 11 % with 3, 4.1 % with 5, 3.6 % with 10, 3.4 % with 20 and 3.2 % with 50; with 20 to
    100 units of unequal size in up to 4.4 %: `python -m benchmarks.gate_simulation`, 1000 draws each.

    Args:
        evidence: What was measured.
        asked: What a promotion needs; of its metric that of the evidence counts.
    """
    collapse = _collapse(evidence.base_cosine, evidence.tuned_cosine)
    against_base = (*collapse, *_against(evidence.over_base, asked, "the base", ""))
    reasons = (*against_base, *_against_champion(evidence, asked))
    praise = () if against_base else (_praise(evidence, asked),)
    return Decision(
        better=not reasons,
        reason=" ".join((*praise, *reasons)),
        metric=evidence.over_base.metric,
        min_gain=asked.min_gain,
        min_lower_bound=asked.min_lower_bound,
        better_than_base=not against_base,
        reasons=reasons,
        champion_version=evidence.incumbent.version,
    )


def _collapse(base_cosine: float, tuned_cosine: float) -> Iterator[str]:
    """Yield that the tuned model hardly tells documents apart, if so.

    Scores that differ only in their last digits may still rank well here and fall apart once vectors are stored in
    half precision or quantised. Where the base model tells them apart no better, training is not what did it.
    """
    if tuned_cosine <= COLLAPSE_COSINE:
        return
    if base_cosine > COLLAPSE_COSINE:
        yield (
            f"Neither model tells the index documents apart: two of them have a cosine of {tuned_cosine:.4f} on "
            f"average, and {base_cosine:.4f} with the base model, so training did not cause it. Look at what is read "
            "of the texts."
        )
    else:
        yield (
            f"The tuned model has collapsed: two index documents have a cosine of {tuned_cosine:.4f} on average (base "
            f"model {base_cosine:.4f}), above the {COLLAPSE_COSINE} that is accepted, so it hardly tells documents "
            "apart."
        )


def _against_champion(evidence: Evidence, asked: Asked) -> Iterator[str]:
    incumbent = evidence.incumbent
    if incumbent.obstacle or (incumbent.version and evidence.over_champion is None):
        unscored = f"The champion, version {incumbent.version}, could not be scored, so nothing replaces it"
        yield f"{unscored}: {incumbent.obstacle}" if incumbent.obstacle else f"{unscored}."
    elif evidence.over_champion is not None:
        yield from _against(evidence.over_champion, asked, incumbent.name, f"Compared with {incumbent.name}, ")


def _against(found: Difference, asked: Asked, other: str, opening: str) -> Iterator[str]:
    """Yield what is against the tuned model in comparison with another one."""
    name = written_name(found.metric)
    few = f"at least {MIN_QUERIES} are needed to tell a gain from chance. Hold out more (eval_share) or bring more data"
    if not found.value > ROUNDING:  # so that what is no number earns nothing
        the = "the" if opening else "The"
        yield (
            f"{opening}{the} tuned model is worse: {name} fell {_change(found)}."
            if found.value < -ROUNDING
            else f"{opening}{the} tuned model is no better: {name} stayed at {found.of_against:.4f} "
            f"({_interval(found)})."
        )
        if found.units < MIN_QUERIES:
            yield f"Only {found.units} {found.unit} compare it with {other}; {few}."
        return
    faults: list[tuple[str, str]] = []
    if found.units < MIN_QUERIES:
        faults.append((f", but over only {found.units} {found.unit}; {few}", ""))
    if not found.lower > 0.0:
        chance = "includes zero, so the gain may be chance"
        faults.append((f", but the interval {chance}", f"The interval {chance}"))
    if not found.value >= asked.min_gain - ROUNDING:
        less = f"is less than the {asked.min_gain:+.4f} asked for"
        faults.append((f", which {less}", f"The gain {less}"))
    if 0.0 < found.lower <= asked.min_lower_bound:
        low = f"the interval was asked to lie above {asked.min_lower_bound:+.4f}"
        faults.append((f"; {low}", low.capitalize()))
    for place, (first, further) in enumerate(faults):
        yield f"{further}." if place else f"{opening}{name} rose {_change(found)}{first}."


def _praise(evidence: Evidence, asked: Asked) -> str:
    """Say by how much the tuned model is better than the base, and than the champion where it is."""
    found, champion = evidence.over_base, evidence.over_champion
    alone = champion is None and not evidence.incumbent.obstacle
    wanted = f", and {asked.min_gain:+.4f} was asked for" if asked.min_gain > 0.0 else ""
    said = (
        f"The tuned model is better{'' if alone else ' than the base'}: {written_name(found.metric)} rose "
        f"{_change(found)}{wanted}."
    )
    if champion is None or any(_against_champion(evidence, asked)):
        return said
    over = f" over the {champion.units} {champion.unit} that are new to it" if champion.units < found.units else ""
    return f"{said} Compared with {evidence.incumbent.name}, it rose {_change(champion)}{over}."


def _change(found: Difference) -> str:
    return f"from {found.of_against:.4f} to {found.of_side:.4f} ({found.value:+.4f}, {_interval(found)})"


def _interval(found: Difference) -> str:
    return f"{CONFIDENCE:.0%} interval {found.lower:+.4f} to {found.upper:+.4f}"
