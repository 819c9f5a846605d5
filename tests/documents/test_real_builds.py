"""Builds of real data."""

import csv
from pathlib import Path

import pytest

from embedtune.documents.build import BuildOptions
from embedtune.records.layouts import Layout

ROOT = Path(__file__).parents[2]


def read_csv(path: Path, header: bool) -> list[tuple[str, str]]:
    if not path.exists():
        pytest.skip(f"{path.name} is not there")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [(first, second) for first, second in csv.reader(file)]
    return rows[1:] if header else rows


class TestRealData:
    def test_quora_questions(self, build):
        rows = read_csv(ROOT.parent / "shared" / "data" / "quora" / "questions.csv", header=False)
        summary = build(Layout.LABELLED, rows, BuildOptions()).summary
        assert (summary.split_rule, summary.quarantined) == ("group", 0)
        assert summary.query.documents > 150
        assert summary.relevant_per_query >= 1
        assert summary.warnings == ()

    def test_support_tickets(self, build):
        rows = read_csv(ROOT / "examples" / "support_tickets.csv", header=True)
        summary = build(Layout.LABELLED, rows, BuildOptions()).summary
        assert summary.split_rule == "stratified"
        assert summary.query.labels == summary.index.labels == len({label for _, label in rows})

    @pytest.mark.parametrize("name", ["headlines-train.csv", "headlines-eval.csv", "images-train.tsv"])
    def test_scored_sentences(self, build, name):
        path = ROOT.parent / "shared" / "data" / "sts" / name
        if not path.exists():
            pytest.skip(f"{name} is not there")
        with path.open(encoding="utf-8", newline="") as file:
            cells = list(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
        rows = [(first.strip(), second.strip(), float(score)) for first, second, score in cells]
        summary = build(Layout.SCORED, rows, BuildOptions()).summary
        assert summary.rows == 750
        assert summary.quarantined <= 2
        assert 550 <= summary.train.documents <= 620
        assert summary.query.documents + summary.unanswered_queries >= 120

    def test_questions_with_wrong_answers(self, build):
        path = ROOT.parent / "shared" / "data" / "covid-qa" / "dataset.csv"
        if not path.exists():
            pytest.skip(f"{path.name} is not there")
        with path.open(encoding="utf-8", newline="") as file:
            cells = list(csv.DictReader(file))
        rows = [
            (row["question"].strip(), row[name].strip(), gain)
            for row in cells
            for name, gain in (("answer", 1.0), ("wrong_answer", 0.0))
        ]
        summary = build(Layout.MATCHES, rows, BuildOptions(max_bad_share=0.05)).summary
        assert summary.largest_group_share < 0.2
        assert summary.query.documents >= 30
        assert summary.torn_judgments > 0

    def test_recipes(self, build):
        rows = read_csv(ROOT / "examples" / "recipes_pairs.csv", header=True)
        built = build(Layout.PAIRS, rows, BuildOptions())
        assert built.summary.split_rule == "group"
        assert built.pairs(built.train) | built.pairs(built.evaluation) == {(q.strip(), d.strip()) for q, d in rows}
