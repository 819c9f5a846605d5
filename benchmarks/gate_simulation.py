"""How often the gate lets through what is no better, by what is held out: `python -m benchmarks.gate_simulation`.

First two models, of which neither is better, but which differ from query to query, and where whole labels or components
are held out, from one of these to the next as much as from query to query. A good interval has its lower bound above
zero in 2.5 % of all draws. The first number takes each query, or pair with a score, for independent of the others; the
second one resamples what was held out together, as evaluations do.

Then the whole gate, with a champion far above the base: in how many draws a model is promoted that is as good as the
champion, one that is worse and one that is better.

Last the probe for forgetting: in how many draws it holds, by the interval as it does and by the mean alone.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.comparison import Probe
from embedtune.retrieval.correlation import correlation_intervals, spearman
from embedtune.retrieval.gate import Asked, Evidence, Incumbent, decide, judge_probe
from embedtune.retrieval.options import PROBE_DROP
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED, Difference

DRAWS = 1000
_RESAMPLES = 1000
_PAIR_RESAMPLES = 300
_SPREAD = 0.1
"""Standard deviation of the difference, from query to query and from unit to unit, of metrics of 0..1."""
_PAIR_ERROR = 0.2
"""Standard deviation of a similarity's error, from pair to pair and from unit to unit, of scores of 0..1."""
_BASE_GAIN = -0.2
"""How far the base is below the champion."""
GAINS = (0.0, -0.02, 0.05)
"""How far the tuned model is above the champion: equal, worse, better."""
_ASKED = Asked("ndcg_at_10", 0.0)
_PROBE_SPREAD = 0.2
"""Standard deviation of the difference from query to query on data that the model is not tuned for."""
PROBE_QUERIES = (20, 65, 130, 500)
DROPS = (0.0, PROBE_DROP, 2 * PROBE_DROP)
"""What the tuned model forgot: nothing, just what is accepted, twice as much."""

Sizes = Callable[[np.random.Generator], NDArray[np.int64]]


@dataclass(frozen=True)
class Case:
    """Held-out data of one shape."""

    name: str
    sizes: Sizes
    """Queries of each unit (U,)."""
    spread: float = _SPREAD
    """Of the units."""
    scored: bool = False
    """Whether pairs with scores are compared by Spearman's correlation."""
    known: float = 0.0
    """Share of the queries or pairs that the champion was trained on."""


def equal(units: int, queries: int) -> Sizes:
    """Return units of as many queries each."""
    return lambda _: np.full(units, queries)


def uneven(units: int, queries: int) -> Sizes:
    """Return units whose sizes fall as 1, 1/2, 1/3, ... (Zipf's law)."""
    shares = 1 / np.arange(1, units + 1)
    return lambda _: np.maximum(1, np.rint(queries * shares / shares.sum())).astype(np.int64)


def heavy_tailed(units: int) -> Sizes:
    """Return units of mostly one query and few of up to fifty, as components of real pairs are (Pareto's law)."""
    return lambda generator: np.minimum(1 + generator.pareto(1.5, units), 50).astype(np.int64)


CASES = (
    *(Case(f"single queries (stratified, official): {count}", equal(count, 1)) for count in (2, 3, 5, 10, 20, 50, 200)),
    Case("labels (group): 20 of 10 queries, all labels alike", equal(20, 10), 0.0),
    Case("labels (group): 20 of 10 queries", equal(20, 10)),
    Case("labels (group): 20 of uneven size, 200 queries", uneven(20, 200)),
    Case("labels (group): 40 of uneven size, 400 queries", uneven(40, 400)),
    Case("pairs, matches, BEIR (group): 20 components of 1 to 50 queries", heavy_tailed(20)),
    Case("pairs, matches, BEIR (group): 100 components of 1 to 50 queries", heavy_tailed(100)),
    Case("texts and images (group): 30 images of 5 texts", equal(30, 5)),
    Case("scores (group): 40 single pairs", equal(40, 1), scored=True),
    Case("scores (group): 20 components of 5 pairs", equal(20, 5), scored=True),
    Case("scores (group): 40 components of 1 to 50 pairs", heavy_tailed(40), scored=True),
)

CHAMPION_CASES = (
    *CASES,
    Case("single queries (stratified, official): 60, a third known to the champion", equal(60, 1), known=1 / 3),
    Case("labels (group): 40 of uneven size, 400 queries, a third known", uneven(40, 400), known=1 / 3),
    Case("scores (group): 20 components of 5 pairs, a third known", equal(20, 5), scored=True, known=1 / 3),
)


def shares_above_zero(case: Case, draws: int) -> tuple[float, float]:
    """Return in which share of draws the lower bound is above zero, resampling queries and resampling units."""
    generator = np.random.default_rng(0)
    above = np.zeros(2)
    for seed in range(draws):
        sizes = case.sizes(generator)
        units = np.repeat(np.arange(sizes.size), sizes)
        measure = _pairs if case.scored else _queries
        above += measure(generator, units, case.spread, seed)
    by_query, by_unit = (above / draws).tolist()
    return by_query, by_unit


def _queries(generator: np.random.Generator, units: NDArray[np.int64], spread: float, seed: int) -> NDArray[np.bool_]:
    effects = generator.normal(0, spread, units.max() + 1) if np.bincount(units).max() > 1 else np.zeros(units.size)
    differences = np.clip(effects[units] + generator.normal(0, _SPREAD, units.size), -1, 1)[:, np.newaxis]
    bounds = [mean_intervals(differences, _RESAMPLES, seed, numbers)[0][0] for numbers in (None, units)]
    return np.array(bounds) > 0


def _pairs(generator: np.random.Generator, units: NDArray[np.int64], _spread: float, seed: int) -> NDArray[np.bool_]:
    """Both models follow the score with an error of their own, that of a unit as large as that of a pair."""
    scores = generator.random(units.size)
    count = int(units.max()) + 1
    errors = [
        generator.normal(0, _PAIR_ERROR, count)[units] + generator.normal(0, _PAIR_ERROR, units.size) for _ in range(2)
    ]
    sides = [scores + error for error in errors]
    bounds = [correlation_intervals(scores, *sides, _PAIR_RESAMPLES, seed, numbers)[0][0] for numbers in (None, units)]
    return np.array(bounds) > 0


def promoted_share(case: Case, gain: float, draws: int) -> float:
    """Return in which share of draws a model is promoted that is above the champion by a gain, or below it."""
    generator = np.random.default_rng(0)
    return sum(_is_promoted(case, gain, generator, seed) for seed in range(draws)) / draws


def _is_promoted(case: Case, gain: float, generator: np.random.Generator, seed: int) -> bool:
    sizes = case.sizes(generator)
    units = np.repeat(np.arange(sizes.size), sizes)
    gains = {BASE: _BASE_GAIN, TUNED: gain, CHAMPION: 0.0}
    new = generator.random(units.size) >= case.known
    counted = ((BASE, np.ones(units.size, np.bool_)), (CHAMPION, new))
    found: list[Difference] = []
    if case.scored:
        scores = generator.random(units.size)
        similar = {side: _similarities(generator, scores, units, above) for side, above in gains.items()}
        for against, rows in counted:
            sides = scores[rows], similar[against][rows], similar[TUNED][rows]
            bounds = correlation_intervals(*sides, _PAIR_RESAMPLES, seed, units[rows])
            values = spearman(sides[2], sides[0]), spearman(sides[1], sides[0])
            found.append(_difference(against, values, bounds, units[rows]))
    else:
        measured = {side: _measures(generator, units, case.spread, above) for side, above in gains.items()}
        for against, rows in counted:
            tuned, other = measured[TUNED][rows], measured[against][rows]
            bounds = mean_intervals((tuned - other)[:, np.newaxis], _RESAMPLES, seed, units[rows])
            found.append(_difference(against, (tuned.mean(), other.mean()), bounds, units[rows]))
    return decide(Evidence(*found, 0.2, 0.2, Incumbent("1")), _ASKED).better


def held_shares(queries: int, drop: float, draws: int) -> tuple[float, float]:
    """Return in which share of draws a probe holds that a model drops on, and would if its mean alone decided."""
    generator = np.random.default_rng(0)
    held = np.zeros(2)
    units = np.arange(queries)
    for seed in range(draws):
        differences = generator.normal(-drop, _PROBE_SPREAD, (queries, 1))
        mean = float(differences.mean())
        found = _difference(BASE, (0.7 + mean, 0.7), mean_intervals(differences, _RESAMPLES, seed), units)
        probe = judge_probe("general", Probe(_ASKED.metric, PROBE_DROP), [found])
        held += probe.held, mean >= -PROBE_DROP
    by_interval, by_mean = (held / draws).tolist()
    return by_interval, by_mean


def _difference(
    against: str,
    values: tuple[float, float],
    bounds: tuple[NDArray[np.float64], NDArray[np.float64]],
    units: NDArray[np.int64],
) -> Difference:
    lower, upper = (float(bound[0]) for bound in bounds)
    return Difference(
        _ASKED.metric, TUNED, against, *values, values[0] - values[1], lower, upper, np.unique(units).size
    )


def _measures(
    generator: np.random.Generator, units: NDArray[np.int64], spread: float, gain: float
) -> NDArray[np.float64]:
    """Return a metric of 0..1 of each query; the difference of two models spreads as in `_queries`."""
    share = np.sqrt(0.5)  # of each model in the spread of the difference
    effects = generator.normal(0, share * spread, units.max() + 1) * (np.bincount(units).max() > 1)
    values: NDArray[np.float64] = 0.6 + gain + effects[units] + generator.normal(0, share * _SPREAD, units.size)
    return np.clip(values, 0, 1)


def _similarities(
    generator: np.random.Generator, scores: NDArray[np.float64], units: NDArray[np.int64], gain: float
) -> NDArray[np.float64]:
    """Return similarities whose correlation with uniform scores is above that of the champion in `_pairs` by a gain."""
    variance, error = 1 / 12, 2 * _PAIR_ERROR**2
    wanted = np.sqrt(variance / (variance + error)) + gain
    size = np.sqrt(variance * (1 / wanted**2 - 1) / 2)
    errors = generator.normal(0, size, units.max() + 1)[units] + generator.normal(0, size, units.size)
    return scores + np.asarray(errors, np.float64)


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    draws = parser.parse_args().draws
    print(f"{draws} draws each\n\n| held out | above zero, by query | above zero, by unit |\n|---|---|---|")
    for case in CASES:
        by_query, by_unit = shares_above_zero(case, draws)
        print(f"| {case.name} | {by_query:.1%} | {by_unit:.1%} |", flush=True)
    heads = " | ".join(f"{gain:+.2f}" if gain else "equal to the champion" for gain in GAINS)
    print(f"\npromoted\n\n| held out | {heads} |\n|---|{'---|' * len(GAINS)}")
    for case in CHAMPION_CASES:
        shares = " | ".join(f"{promoted_share(case, gain, draws):.1%}" for gain in GAINS)
        print(f"| {case.name} | {shares} |", flush=True)
    heads = " | ".join(f"drop {drop:.2f}, by interval | by mean" for drop in DROPS)
    print(f"\nprobe held, a drop of {PROBE_DROP} accepted\n\n| queries | {heads} |\n|---|{'---|' * 2 * len(DROPS)}")
    for queries in PROBE_QUERIES:
        found = [share for drop in DROPS for share in held_shares(queries, drop, draws)]
        print(f"| {queries} | {' | '.join(f'{share:.1%}' for share in found)} |", flush=True)


if __name__ == "__main__":
    main()
