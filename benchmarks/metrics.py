"""How long the scores of 10,000 queries with 100 ranks each take: `python -m benchmarks.metrics`.

The best of seven rounds, in milliseconds, from gains to a score of each query. One cutoff should take at most
20 ms on one core, seven at most 60.
"""

import time
from collections.abc import Sequence

import numpy as np

from embedtune.retrieval.metric_names import NAMES, USUAL_NAMES, Metric
from embedtune.retrieval.metrics import JudgedRanking, score

QUERIES, RANKS = 10_000, 100
SEVEN = (1, 3, 5, 10, 20, 50, 100)
_ROUNDS = 7


def draw_ranking() -> JudgedRanking:
    """Return rankings in which one document of five is relevant, with gains 1 to 3, and as many more not found."""
    generator = np.random.default_rng(0)
    gains = generator.integers(1, 4, (QUERIES, 2 * RANKS)) * (generator.random((QUERIES, 2 * RANKS)) < 0.2)
    ideal = -np.sort(-gains, axis=1)
    return JudgedRanking(gains[:, :RANKS].astype(float), ideal[:, :RANKS].astype(float), (gains > 0).sum(axis=1))


def measure(names: Sequence[str], cutoffs: Sequence[int]) -> float:
    """Return the milliseconds that some metrics take at some cutoffs."""
    judged, metrics = draw_ranking(), [Metric(name, k) for k in cutoffs for name in names]
    seconds = []
    for _ in range(_ROUNDS):
        begin = time.perf_counter()
        score(judged, metrics)
        seconds.append(time.perf_counter() - begin)
    return 1000 * min(seconds)


def main() -> None:
    """Print a line for each case."""
    for names, what in ((USUAL_NAMES, "six metrics"), (NAMES, f"all {len(NAMES)} metrics")):
        for cutoffs in ((10,), (RANKS,), SEVEN):
            where = f"at cutoff {cutoffs[0]}" if len(cutoffs) == 1 else f"at {len(cutoffs)} cutoffs"
            print(f"{what} {where}: {measure(names, cutoffs):.1f} ms")


if __name__ == "__main__":
    main()
