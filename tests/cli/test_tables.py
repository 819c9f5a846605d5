"""Results as a person reads them on a terminal."""

import io
from dataclasses import dataclass

import pytest
from rich.console import Console

from embedtune.cli.tables import comparison_table, decision_line, plain_facts
from embedtune.retrieval.comparison import Comparison, Decision
from embedtune.retrieval.metric_names import METRIC_NAMES
from tests.comparisons import two_sides, with_champion


def comparison(better: bool) -> Comparison:
    numbers = [(name, 0.5, 0.6126, 0.1126, -0.01, 0.2349) for name in METRIC_NAMES]
    return two_sides(numbers, Decision(better, "nDCG@10 rose by 0.1126 [0.0 to 0.2].", "ndcg_at_10", 0.0))


def drawn(content: object, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    console.print(content)
    return console.file.getvalue()


def test_table_has_every_metric_with_its_interval() -> None:
    lines = drawn(comparison_table(comparison(better=True))).splitlines()
    assert lines[0].strip() == "Base vs tuned, 10 queries, 20 in the index"
    assert [cell.strip() for cell in lines[2].strip("┃").split("┃")] == [
        "metric",
        "base",
        "tuned",
        "difference",
        "95% interval",
    ]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [[name, "0.500", "0.613", "+0.113", "-0.010 to +0.235"] for name in METRIC_NAMES.values()]


def test_table_has_a_column_for_the_champion_and_what_differs_from_it_on_a_narrow_terminal() -> None:
    found = with_champion(comparison(better=False), dict.fromkeys(METRIC_NAMES, 0.65))
    lines = drawn(comparison_table(found), width=80).splitlines()
    assert lines[0].strip() == "Base vs tuned vs champion, 10 queries, 20 in the index"
    heads = [cell.strip() for cell in lines[2].strip("┃").split("┃")]
    assert heads == ["metric", "base", "tuned", "champion", "difference from", "95% interval"]
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if line.startswith("│")]
    assert rows == [
        row
        for name in METRIC_NAMES.values()
        for row in (
            [name, "0.500", "0.613", "0.650", "base +0.113", "-0.010 to +0.235"],
            ["", "", "", "", "champion -0.037", "-0.047 to -0.027"],
        )
    ]


@pytest.mark.parametrize(("better", "word"), [(True, "Better than the base"), (False, "Not shown to be better")])
def test_decision_with_its_reason(better: bool, word: str) -> None:
    assert drawn(decision_line(comparison(better))) == f"{word}: nDCG@10 rose by 0.1126 [0.0 to 0.2].\n"


@dataclass
class Part:
    documents: int
    labels: int


@dataclass
class Result:
    rows: int
    train: Part
    columns: tuple[str, ...]
    warnings: tuple[str, ...]
    histogram: tuple[tuple[str, int], ...]
    versions: dict[str, str]
    empty: str = ""


def test_facts_are_a_line_each_and_long_tables_are_left_out() -> None:
    result = Result(3, Part(2, 1), ("a", "b"), ("One thing.", "Another."), (("a", 1),), {"torch": "2"})
    assert plain_facts(result) == [
        "rows: 3",
        "train: documents 2, labels 1",
        "columns: a, b",
        "warnings:",
        "- One thing.",
        "- Another.",
        "empty: ",
    ]


def test_a_result_that_is_a_text_is_that_text() -> None:
    assert plain_facts("sha256:00") == ["sha256:00"]
