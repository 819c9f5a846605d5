"""What all steps share: they tell a parent process that they start, end or fail, and why."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ParamSpec, TypeVar

from embedtune.errors import explain
from embedtune.progress import emit

P = ParamSpec("P")
R = TypeVar("R")

_TOLD = "__embedtune_told__"
"""Attribute of an exception that a parent process was told of."""

OutputFile = Annotated[Path, "output file"]
OutputFolder = Annotated[Path, "output folder"]
"""Paths that a step writes; all others are read. The command line asks before anything there is replaced."""


def step(function: Callable[P, R]) -> Callable[P, R]:
    """Mark a function as a pipeline step, so that the local runner can follow it.

    kfp reports of a failed task only that it failed; the cause travels as an event.
    """
    name = function.__name__

    @functools.wraps(function)
    def followed(*args: P.args, **kwargs: P.kwargs) -> R:
        emit("start", {"step": name})
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            emit_error(name, error)
            raise
        emit("end", {"step": name})
        return result

    return followed


def emit_error(name: str, error: BaseException) -> None:
    """Tell a parent process of the error that ends a step, once.

    Args:
        name: Name of the step.
        error: What ends it; of one that was told before nothing is told.
    """
    if getattr(error, _TOLD, False):
        return
    setattr(error, _TOLD, True)
    told = explain(error)
    message = told if told else f"{type(error).__name__}: {error}"
    emit("error", {"step": name, "message": message, "explained": bool(told)})
