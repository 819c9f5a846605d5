"""The examples of a page: queries with what each side found, grouped by how they went."""

from collections.abc import Sequence
from dataclasses import dataclass

from embedtune.reports.metric_tables import CHANGE_WORDS, Change
from embedtune.retrieval.comparison import QueryExample
from embedtune.retrieval.sides import BASE, TUNED


@dataclass(frozen=True)
class ExampleGroup:
    """Queries that went the same way."""

    name: str
    sign: str
    total: int
    """Number of examples that went this way, of which the page shows the clearest."""
    examples: tuple[QueryExample, ...]


def example_groups(examples: Sequence[QueryExample], most: int) -> tuple[ExampleGroup, ...]:
    """Group the examples by how their nDCG@10 went, the clearest first; losses are shown as fully as gains.

    Args:
        examples: What was kept of the evaluation.
        most: Examples of a group that are shown.
    """
    groups = (
        ("Better", Change.BETTER, [each for each in examples if _gain(each) > 0]),
        ("Worse", Change.WORSE, [each for each in examples if _gain(each) < 0]),
        ("Same", Change.SAME, [each for each in examples if _gain(each) == 0]),
    )
    return tuple(
        ExampleGroup(name, CHANGE_WORDS[change][0], len(members), tuple(sorted(members, key=_clarity)[:most]))
        for name, change, members in groups
        if members
    )


def _gain(example: QueryExample) -> float:
    before, after = example.of(BASE), example.of(TUNED)
    return 0.0 if before is None or after is None else after.ndcg - before.ndcg


def _clarity(example: QueryExample) -> float:
    return -abs(_gain(example))
