"""An MLflow that is away is waited for."""

from collections.abc import Callable
from time import sleep
from typing import TypeVar

from embedtune.mlflow.failures import UnreachableError
from embedtune.progress import note

T = TypeVar("T")

WAITS_S = (10, 30, 60, 120)
"""Seconds until a server that does not answer is asked again. Its client has tried for seconds to a minute by then; a
pod that is moved to another node is away for longer."""


def patiently(what: str, call: Callable[[], T]) -> T:
    """Call, and call again later while MLflow, or the store of its files, does not answer.

    Args:
        what: What is out of reach then, to be told.
        call: May be repeated.

    Raises:
        UnreachableError: it is still away in the end.
    """
    for wait in WAITS_S:
        try:
            return call()
        except UnreachableError as error:
            note(f"{what} is out of reach; asking again in {wait} s. {error}")
            sleep(wait)
    return call()
