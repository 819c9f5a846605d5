"""Documents with matches, the form in which Jina Finetuner's first releases took their training data."""

from collections.abc import Callable, Iterator
from typing import ParamSpec

from docarray import DocumentArray

from embedtune.errors import ConfigError

_Parameters = ParamSpec("_Parameters")


def match_tags(value: int) -> dict[str, dict[str, int]]:
    """Return the tags that say whether a match is a positive or a negative of its Document."""
    return {"finetuner": {"label": value}}


def check_values(pos_value: int, neg_value: int) -> None:
    """Refuse labels that do not tell positives from negatives."""
    if pos_value == neg_value:
        raise ConfigError(
            f"pos_value and neg_value are both {pos_value}, so positives could not be told from negatives. Give two "
            "numbers, such as 1 and -1."
        )


def check_num_total(num_total: int | None, available: int, what: str) -> int:
    """Return how many to give, 1 to all that there are: all where None is asked for."""
    if num_total is None:
        return available
    if not 1 <= num_total <= available:
        raise ConfigError(
            f"num_total is {num_total}; {what} has {available}, so give 1 to {available}, or nothing for all."
        )
    return num_total


def check_seed(seed: int) -> None:
    """Refuse a seed that numpy does not take."""
    if seed < 0:
        raise ConfigError(f"seed is {seed}; give 0 or more.")


def check_range(name: str, value: int, lowest: int, highest: int, why: str) -> None:
    """Refuse a number that is out of range, with a reason that ends the sentence."""
    if not lowest <= value <= highest:
        raise ConfigError(f"{name} is {value}; {lowest} to {highest} are accepted, because {why}.")


def collected(generate: Callable[_Parameters, Iterator[object]]) -> Callable[_Parameters, DocumentArray]:
    """Return a generator of Documents as a function that gives all of them in one DocumentArray."""

    def documents(*args: _Parameters.args, **kwargs: _Parameters.kwargs) -> DocumentArray:
        return DocumentArray(generate(*args, **kwargs))

    return documents
