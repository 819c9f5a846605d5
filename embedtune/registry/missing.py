"""MLflow's answer that something is not there, or is there already, where that is as good."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_NOT_THERE = "RESOURCE_DOES_NOT_EXIST"
_THERE = "RESOURCE_ALREADY_EXISTS"


def unless_missing(call: Callable[[], T]) -> T | None:
    """Return what a call to MLflow returns, None where it says that there is no such thing.

    Raises:
        MlflowException: anything else.
    """
    return _unless(call, _NOT_THERE)


def unless_there(call: Callable[[], T]) -> T | None:
    """Return what a call to MLflow returns, None where it says that there is one already.

    Raises:
        MlflowException: anything else.
    """
    return _unless(call, _THERE)


def _unless(call: Callable[[], T], code: str) -> T | None:
    from mlflow.exceptions import MlflowException

    try:
        return call()
    except MlflowException as error:
        if error.error_code != code:
            raise
        return None
