"""What an evaluation leaves on disk."""

import csv
from pathlib import Path

import numpy as np
import pytest

from embedtune.retrieval.compare import compare
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.gate import Asked, Incumbent
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.score_files import write_scores


class TestTrecFiles:
    """Which judgments become a qrels file."""

    def write(self, folder: Path, gains: list[float]) -> set[str]:
        judgments = Judgments.from_pairs(["q"], ["a", "b"], ["q", "q"], ["a", "b"], gains)
        data = EvaluationSet(["q"], ["Q"], [""], ["a", "b"], ["A", "B"], judgments)
        vectors = Vectors(np.array([[1.0, 0.0]]), np.eye(2))
        sides = [Contestant(name, "", vectors) for name in ("base", "tuned")]
        write_scores(folder, compare(data, sides, Asked("ndcg_at_10", 0.0), Incumbent(), seed=0, resamples=10))
        return {path.name for path in folder.iterdir()}

    def test_graded(self, tmp_path: Path) -> None:
        assert "qrels.txt" in self.write(tmp_path, [2.0, 0.0])
        assert (tmp_path / "qrels.txt").read_text(encoding="utf-8") == "q 0 a 2\n"

    def test_fractions(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        names = self.write(tmp_path, [0.5, 1.0])
        assert names == {"comparison.json", "base.run", "tuned.run", "queries.csv"}
        assert "qrels.txt is left out: its format holds whole gains only" in capsys.readouterr().err

    def test_too_many(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("embedtune.retrieval.score_files._MOST_JUDGMENTS", 1)
        assert "qrels.txt" not in self.write(tmp_path, [1.0, 1.0])
        assert "it would have 2 lines, more than 1" in capsys.readouterr().err


def test_a_query_that_a_side_was_trained_on_is_in_neither_its_run_nor_its_scores(tmp_path: Path) -> None:
    queries, documents = ["p", "q"], ["a", "b"]
    judgments = Judgments.from_pairs(queries, documents, queries, documents, [1.0, 1.0])
    data = EvaluationSet(queries, ["P", "Q"], ["", ""], documents, ["A", "B"], judgments)
    vectors = Vectors(np.eye(2), np.eye(2))
    sides = [Contestant(name, "", vectors) for name in ("base", "tuned")]
    sides.append(Contestant("champion", "", vectors, np.array([False, True])))
    outcome = compare(data, sides, Asked("ndcg_at_10", 0.0), Incumbent("3"), seed=0, resamples=10)
    write_scores(tmp_path, outcome)
    found = {
        name: [line.split()[0] for line in (tmp_path / f"{name}.run").read_text(encoding="utf-8").splitlines()]
        for name in ("base", "tuned", "champion")
    }
    assert found == {"base": ["p", "p", "q", "q"], "tuned": ["p", "p", "q", "q"], "champion": ["q", "q"]}
    with (tmp_path / "queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["query_id"], row["tuned_hit_at_10"], row["champion_hit_at_10"]) for row in rows] == [
        ("p", "1.0", ""),
        ("q", "1.0", "1.0"),
    ]
