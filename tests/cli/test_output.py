"""What commands print, and what they leave alone."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from embedtune.cli.steps import _runner
from embedtune.cli.tables import plain_facts
from embedtune.mlflow.connection import TRACKING_VARIABLE
from embedtune.steps.list_sources import ListSourcesConfig
from embedtune.steps.register_model import RegisterModelConfig


@dataclass(frozen=True)
class Part:
    documents: int
    labels: int


@dataclass(frozen=True)
class Result:
    train: Part
    aliases: tuple[str, ...]
    warnings: tuple[str, ...]
    none: tuple[str, ...]
    pairs: tuple[tuple[str, int], ...]
    options: dict[str, int]


def test_warnings_aliases_and_parts_are_shown() -> None:
    result = Result(Part(8, 2), ("challenger", "champion"), ("Few rows.", "Long texts."), (), (("a", 1),), {"a": 1})
    assert plain_facts(result) == [
        "train: documents 8, labels 2",
        "aliases: challenger, champion",
        "warnings:",
        "- Few rows.",
        "- Long texts.",
        "none: none",
    ]


def register_model(config: RegisterModelConfig, model: Path) -> str:
    return os.environ.get(TRACKING_VARIABLE, "")


def finetune(config: ListSourcesConfig, model: Path) -> str:
    return os.environ.get(TRACKING_VARIABLE, "")


@pytest.fixture
def _no_tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TRACKING_VARIABLE, "")
    monkeypatch.delenv(TRACKING_VARIABLE)


@pytest.mark.usefixtures("_no_tracking")
def test_only_registration_of_a_model_that_is_there_makes_a_database(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    _runner(finetune, ListSourcesConfig)({"uri": "a", "model": tmp_path / "model"})
    _runner(register_model, RegisterModelConfig)({"model_name": "a", "model": tmp_path / "typo" / "model"})
    assert capsys.readouterr().out.split() == []
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    _runner(register_model, RegisterModelConfig)({"model_name": "a", "model": tmp_path / "model"})
    assert capsys.readouterr().out.strip() == f"sqlite:///{tmp_path / 'mlflow.db'}"


def test_brackets_of_a_message_are_no_markup(embedtune) -> None:
    done = embedtune("resolve-data", "--data-uri", "ftp://[bold]host\\[/]/x")
    assert done.code == 1
    assert "'ftp://[bold]host\\\\[/]/x'" in done.err


def test_search_says_what_it_read(embedtune, tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text("text;label\nred, box;a\nblue box;b\n", encoding="utf-8")
    done = embedtune("search", "box", "--model", tiny_model, "--index", tmp_path / "index.csv")
    assert (done.code, len(done.out.splitlines())) == (0, 2)
    assert "2 texts of 'text' (1 of 2 columns), read as semicolon with delimiter ';'; utf-8; header yes" in done.err
