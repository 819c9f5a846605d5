"""How often a model that is no better lies above zero, by what is held out: `python -m benchmarks.gate_simulation`.

Two models are equally good, but they differ from query to query, and where whole labels or components are held out,
from one of these to the next as much as from query to query. A good interval has its lower bound above zero in 2.5 % of
all draws. The first number takes each query, or pair with a score, for independent of the others; the second one
resamples what was held out together, as evaluations do.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.correlation import correlation_intervals

DRAWS = 1000
_RESAMPLES = 1000
_PAIR_RESAMPLES = 300
_SPREAD = 0.1
"""Standard deviation of the difference, from query to query and from unit to unit, of metrics of 0..1."""

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
    sides = [scores + generator.normal(0, 0.2, count)[units] + generator.normal(0, 0.2, units.size) for _ in range(2)]
    bounds = [correlation_intervals(scores, *sides, _PAIR_RESAMPLES, seed, numbers)[0][0] for numbers in (None, units)]
    return np.array(bounds) > 0


def main() -> None:
    """Print a line for each case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=DRAWS)
    draws = parser.parse_args().draws
    print(f"{draws} draws each\n\n| held out | above zero, by query | above zero, by unit |\n|---|---|---|")
    for case in CASES:
        by_query, by_unit = shares_above_zero(case, draws)
        print(f"| {case.name} | {by_query:.1%} | {by_unit:.1%} |", flush=True)


if __name__ == "__main__":
    main()
