"""Whether the tuned model earned promotion by what was asked for, and everything that is against it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import CONFIDENCE
from embedtune.retrieval.comparison import (
    COLLAPSE_COSINE,
    MIN_QUERIES,
    ROUNDING,
    Decision,
    Probe,
)
from embedtune.retrieval.metric_names import parse_metric, written_name
from embedtune.retrieval.sides import BASE, CHAMPION, Difference


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


def judge_probe(name: str, asked: Probe, differences: Sequence[Difference]) -> Probe:
    """Say everything that further data have against a promotion, because the model may have forgotten them.

    The probe holds where the whole interval of the difference from the base lies at or above the accepted drop: the
    interval decides and not the mean, as in a trial of non-inferiority (D'Agostino, Massaro and Sullivan,
    Non-inferiority trials: design concepts and issues, Statistics in Medicine 22(2), 2003). Of models that forgot just
    as much as is accepted, the mean would let half through, whatever the number of queries, and a small probe would let
    much worse ones through by chance. So what is not shown is not accepted. With a standard deviation of 0.2 from
    query to query and a drop of 0.05 accepted, a model that forgot nothing holds in 21 % of all draws of 20 queries,
    53 % of 65, 81 % of 130 and all of 500; one that forgot just as much in 3 %, by the mean it would in 50 %; one that
    forgot twice as much in 0.2 % of 20 queries, by the mean in 15 %: `python -m benchmarks.gate_simulation`.

    The champion is told of as well and decides nothing, for it may have been tuned on the like of the probe.

    Args:
        name: What the further data are called.
        asked: The deciding metric, the accepted drop, and what was left out.
        differences: Of the tuned model from each other side on these data.
    """
    found = {each.against: each for each in differences if each.metric == asked.metric}
    return replace(asked, reasons=tuple(_against_probe(name, asked, found.get(BASE), found.get(CHAMPION))))


def with_probe(decision: Decision, name: str, probe: Probe, differences: Sequence[Difference]) -> Decision:
    """Add to a decision what the probe says.

    Args:
        decision: What the held-out data say.
        name: What the probe is called.
        probe: What `judge_probe` returned.
        differences: What it was judged by.
    """
    reasons = (*decision.reasons, *probe.reasons)
    said = probe.reasons
    if not reasons:
        found = {each.against: each for each in differences if each.metric == probe.metric}
        said = (f"Probe {name} held: {_probed(found[BASE], found.get(CHAMPION))}.",)
    return replace(decision, better=not reasons, reason=" ".join((decision.reason, *said)), reasons=reasons)


def _against_probe(name: str, asked: Probe, found: Difference | None, champion: Difference | None) -> Iterator[str]:
    """Yield what a probe has against the tuned model."""
    if found is None:
        yield (
            f"Probe {name} could not be measured: the tuned model was trained on all {asked.left_out} of its queries, "
            "so nothing tells what it forgot. Name data of another kind than those that it is trained on."
        )
        return
    accepted = f"a drop of at most {asked.accepted_drop:.4f} is accepted"
    if not found.value >= -asked.accepted_drop - ROUNDING:  # so that what is no number holds nothing
        yield f"Probe {name}: {_probed(found, champion)}; {accepted}."
    elif not found.lower >= -asked.accepted_drop - ROUNDING:
        yield (
            f"Probe {name}: {_probed(found, champion)}; {accepted}, and the interval does not rule out a larger one. "
            "Measure it on more queries, or accept more (probe_drop)."
        )
    if found.units < MIN_QUERIES:
        yield (
            f"Probe {name}: only {found.units} {found.unit} compare the tuned model with the base there; at least "
            f"{MIN_QUERIES} are needed to tell what was forgotten. Name more data."
        )


def _probed(found: Difference, champion: Difference | None) -> str:
    """Say how the tuned model differs from the base on a probe, and from the champion where that was scored."""
    went = "rose" if found.value > ROUNDING else "fell" if found.value < -ROUNDING else "stayed"
    said = f"{written_name(found.metric)} {went} {_change(found)}"
    return said if champion is None else f"{said}; against the champion {champion.value:+.4f} ({_interval(champion)})"


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
        chance = f"{'includes' if found.lower < 0.0 else 'begins at'} zero, so the gain may be chance"
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
