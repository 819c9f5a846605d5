"""The command line in this process, and a run of all six steps with a tiny model."""

import contextlib
import csv
import io
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from embedtune.cli.main import main
from embedtune.mlflow.connection import TRACKING_VARIABLE


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str


Run = Callable[..., Finished]


def run(*words: object) -> Finished:
    out, err = io.StringIO(), io.StringIO()
    environment = {name: value for name, value in os.environ.items() if name != TRACKING_VARIABLE}
    with (
        mock.patch.dict(os.environ, {**environment, "COLUMNS": "100"}, clear=True),
        mock.patch.object(sys, "argv", ["embedtune", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        main()
    return Finished(0 if end.value.code is None else int(end.value.code), out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def embedtune() -> Run:
    return run


@pytest.fixture(scope="session")
def tiny_model(tiny_model_folder: Path) -> Path:
    import torch

    torch.set_num_threads(1)
    return tiny_model_folder


@pytest.fixture(scope="session")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 texts with 8 labels, each label with a word of its own."""
    topics = ("refund", "invoice", "delivery", "password", "warranty", "repair", "opening", "voucher")
    path = tmp_path_factory.mktemp("data") / "tickets.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((f"{topic} case {number * 37 % 101}", topic) for topic in topics for number in range(15))
    return path
