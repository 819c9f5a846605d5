from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import pytrec_eval

from embedtune.errors import InputError
from embedtune.retrieval.distances import DISTANCES
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.metric_names import Metric
from embedtune.retrieval.metrics import JudgedRanking, score
from embedtune.retrieval.ranking import Ranking, rank
from embedtune.retrieval.trec import has_whole_gains, write_qrels, write_run
from tests.trec_names import trec_names

NAMES = trec_names(10)


def trec_eval(run: Path, qrels: Path) -> dict[str, dict[str, float]]:
    with qrels.open() as qrels_file, run.open() as run_file:
        evaluator = pytrec_eval.RelevanceEvaluator(pytrec_eval.parse_qrel(qrels_file), set(NAMES.values()))
        return evaluator.evaluate(pytrec_eval.parse_run(run_file))


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("graded", [False, True])
def test_trec_eval_finds_our_numbers_in_the_files_in_spite_of_ties(tmp_path: Path, graded: bool, distance: str) -> None:
    generator = np.random.default_rng(0)
    # Few directions: most scores are tied with many others, and cosines of 1, 0 and -1 occur.
    index = generator.integers(-1, 2, (60, 3)).astype(np.float32)
    index_ids = [f"{number:04x}" for number in generator.permutation(60)]
    own = generator.permutation(60)[:30]
    query_ids = [index_ids[row] for row in own]
    if graded:
        rows, columns = np.nonzero(generator.random((30, 60)) < 0.1)
        gains = generator.integers(1, 4, rows.size)
        pairs = [query_ids[row] for row in rows], [index_ids[row] for row in columns]
        judgments = Judgments.from_pairs(query_ids, index_ids, *pairs, gains)
    else:
        labels = generator.choice(["x", "y", "z"], 60)
        judgments = Judgments.from_labels(labels[own].tolist(), query_ids, labels.tolist(), index_ids)
    judged_rows = np.flatnonzero(judgments.relevant_counts())
    judgments, query_ids = judgments.select(judged_rows), [query_ids[row] for row in judged_rows]

    ranking = rank(index[own[judged_rows]], query_ids, index, index_ids, 10, distance)
    assert (np.diff(ranking.scores) == 0).mean() > 0.5
    write_run(tmp_path / "run", ranking, query_ids, index_ids, "tuned")
    write_qrels(tmp_path / "qrels", query_ids, index_ids, judgments)

    theirs = trec_eval(tmp_path / "run", tmp_path / "qrels")
    judged = JudgedRanking(judgments.gains(ranking.indices), judgments.ideal_gains(10), judgments.relevant_counts())
    assert list(theirs) == query_ids
    ours = score(judged, [Metric(key.removesuffix("_at_10"), 10) for key in NAMES])
    for key, measure in NAMES.items():
        expected = [theirs[query_id][measure] for query_id in query_ids]
        np.testing.assert_allclose(ours[key], expected, rtol=0, atol=1e-12, err_msg=key)


def test_run_lines(tmp_path: Path) -> None:
    ranking = Ranking(
        indices=np.array([[2, 0, 1, 3], [1, -1, -1, -1]]),
        scores=np.array([[0.5, 0.5, 0.499999, 0.1], [-1.0, -np.inf, -np.inf, -np.inf]]),
        tied_at_cut=np.array([False, False]),
        decimals=np.array([6, 6]),
    )
    write_run(tmp_path / "run", ranking, ["q", "r"], ["a", "b", "c", "d"], "base")
    assert (tmp_path / "run").read_text().splitlines() == [
        "q Q0 c 1 0.500000 base",
        "q Q0 a 2 0.499999 base",
        "q Q0 b 3 0.499998 base",
        "q Q0 d 4 0.100000 base",
        "r Q0 b 1 -1.000000 base",
    ]


def test_qrels_lines_leave_out_the_query_itself(tmp_path: Path) -> None:
    judgments = Judgments.from_labels(["x", "y"], ["a", "q"], ["x", "y", "x"], ["a", "b", "c"])
    write_qrels(tmp_path / "qrels", ["a", "q"], ["a", "b", "c"], judgments)
    assert (tmp_path / "qrels").read_text() == "a 0 c 1\nq 0 b 1\n"


def test_run_lines_of_other_distances(tmp_path: Path) -> None:
    ranking = Ranking(
        indices=np.array([[0, 1, 2], [2, 1, 0]]),
        scores=np.array([[-0.25, -0.25, -3.5], [1200.0, 1200.0, -700.0]]),
        tied_at_cut=np.array([False, False]),
        decimals=np.array([2, -2]),
    )
    write_run(tmp_path / "run", ranking, ["q", "r"], ["a", "b", "c"], "base")
    assert (tmp_path / "run").read_text().splitlines() == [
        "q Q0 a 1 -0.25 base",
        "q Q0 b 2 -0.26 base",
        "q Q0 c 3 -3.50 base",
        "r Q0 c 1 1200 base",
        "r Q0 b 2 1100 base",
        "r Q0 a 3 -700 base",
    ]


@pytest.mark.parametrize("distance", ["dot", "euclidean"])
@pytest.mark.parametrize("length", [1e-12, 1.7, 1.8, 4e4, 1e12])
def test_scores_of_a_run_differ_in_the_float32_of_trec_eval(tmp_path: Path, distance: str, length: float) -> None:
    index = np.array([[length, 0]] * 5 + [[0, length]] * 5)
    ids = [str(row) for row in range(10)]
    for sign in (1, -1):
        ranking = rank(sign * index[:1], ["q"], index, ids, 10, distance)
        write_run(tmp_path / "run", ranking, ["q"], ids, "tuned")
        written = [np.float32(line.split()[4]) for line in (tmp_path / "run").read_text().splitlines()]
        assert all(better > worse for better, worse in pairwise(written))
        np.testing.assert_allclose(written, ranking.scores[0], rtol=0, atol=2e-5 * np.abs(written).max())


@pytest.mark.parametrize("bad", ["", "a b", " a", "a\n", "a\u00a0b"])
def test_ids_with_white_space(tmp_path: Path, bad: str) -> None:
    ranking = Ranking(np.array([[0]]), np.array([[1.0]]), np.array([False]), np.array([6]))
    judgments = Judgments.from_labels(["x"], ["q"], ["x"], [bad])
    with pytest.raises(InputError, match="cannot stand in a TREC file"):
        write_run(tmp_path / "run", ranking, ["q"], [bad], "base")
    with pytest.raises(InputError, match="cannot stand in a TREC file"):
        write_qrels(tmp_path / "qrels", ["q"], [bad], judgments)
    assert not any(tmp_path.iterdir())


def test_whole_gains_are_told() -> None:
    for gains, whole in (([1.0, 3.0], True), ([2.0, 2.5], False), ([0.5, 1.0], False)):
        assert has_whole_gains(Judgments.from_pairs(["q"], ["a", "b"], ["q", "q"], ["a", "b"], gains)) is whole


def test_fractional_gains(tmp_path: Path) -> None:
    judgments = Judgments.from_pairs(["q"], ["a"], ["q"], ["a"], [0.5])
    with pytest.raises(InputError, match=r"1 gains are not whole numbers \(first: 0\.5\)"):
        write_qrels(tmp_path / "qrels", ["q"], ["a"], judgments)
