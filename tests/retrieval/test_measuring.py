"""What is measured, by which distance, and over which units."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embedtune.errors import ConfigError
from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.compare import Evaluation, compare
from embedtune.retrieval.correlation import correlation_intervals
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.finetuner_metrics import LIMIT
from embedtune.retrieval.gate import Asked, Incumbent
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.metric_names import NAMES, Metric
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.ranking import Ranking
from embedtune.retrieval.score_files import write_finetuner_scores, write_scores
from embedtune.retrieval.scoring import evaluate, pair_scores, tied_at
from embedtune.retrieval.units import GROUPS, Units

QUERIES, DOCUMENTS = 60, 90
QUERY_IDS, INDEX_IDS = [f"q{row:02}" for row in range(QUERIES)], [f"d{row:02}" for row in range(DOCUMENTS)]
LABELS = [f"label {row % 6}" for row in range(DOCUMENTS)]


def labelled(units: Units | None = None) -> EvaluationSet:
    judgments = Judgments.from_labels(LABELS[:QUERIES], QUERY_IDS, LABELS, INDEX_IDS)
    return EvaluationSet(QUERY_IDS, QUERY_IDS, LABELS[:QUERIES], INDEX_IDS, INDEX_IDS, judgments, units=units)


def vectors(signal: float, distance: str = "cosine") -> Vectors:
    noise = np.random.default_rng(0).standard_normal((QUERIES + DOCUMENTS, 8))
    for row, label in enumerate([*LABELS[:QUERIES], *LABELS]):
        noise[row, int(label[-1])] += signal
    return Vectors(noise[:QUERIES], noise[QUERIES:] * np.linspace(1, 3, DOCUMENTS)[:, np.newaxis], distance)


def measured(
    data: EvaluationSet, metric: str = "ndcg_at_10", distance: str = "cosine", **options: object
) -> Evaluation:
    sides = [Contestant(name, name, vectors(signal, distance)) for name, signal in (("base", 1.0), ("tuned", 2.0))]
    return compare(data, sides, Asked(metric, 0.0), Incumbent(), seed=1, resamples=200, **options)


class TestOptions:
    """What eval_options ask for."""

    def test_the_usual_metrics_at_ten_unless_somebody_asks_for_others(self) -> None:
        keys = [metric.key for metric in EvalOptions().measured("ndcg_at_10")]
        assert keys == [f"{name}_at_10" for name in ("ndcg", "mrr", "map", "recall", "precision", "hit")]

    def test_by_cutoff_then_by_name_and_each_once(self) -> None:
        options = EvalOptions.from_json('{"cutoffs": [5, 100, 5], "metrics": ["hit", "f1", "hit"]}')
        keys = [metric.key for metric in options.measured("map_at_20")]
        assert keys == ["hit_at_5", "f1_at_5", "hit_at_100", "f1_at_100", "map_at_20", "ndcg_at_10"]

    @pytest.mark.parametrize(
        ("json", "message"),
        [
            ('{"cutoffs": []}', r"cutoffs is \[\]; accepted: one or more whole numbers from 1 to 1000"),
            ('{"cutoffs": [0]}', r"cutoffs is \[0\]"),
            ('{"cutoffs": [1001]}', r"cutoffs is \[1001\]"),
            ('{"cutoffs": [true]}', "accepted: a list of whole numbers"),
            ('{"cutoffs": ["5"]}', "accepted: a list of whole numbers"),
            ('{"cutoffs": 5}', "accepted: a list of whole numbers"),
            ('{"metrics": [5]}', "accepted: a list of strings"),
            ('{"metrics": []}', "one or more of ndcg, mrr"),
            ('{"metrics": ["ndcg", "bpref"]}', r"metrics is \['ndcg', 'bpref'\]"),
            ('{"metric_set": "docarray"}', "accepted: one of trec, finetuner"),
            ('{"documents": -1}', "accepted: 0 or more documents"),
            ('{"distance": "manhattan"}', "accepted: one of cosine, dot, euclidean, or '' for the model's own"),
        ],
    )
    def test_what_is_not_accepted(self, json: str, message: str) -> None:
        with pytest.raises(ConfigError, match=f"eval_options: .*{message}"):
            EvalOptions.from_json(json)
        EvalOptions.from_json('{"cutoffs": [1, 1000]}')

    def test_the_models_own_distance_unless_one_is_set(self) -> None:
        assert EvalOptions().distance_of("m", "dot") == "dot"
        assert EvalOptions(distance="cosine").distance_of("m", "dot") == "cosine"
        assert EvalOptions(distance="cosine").distance_of("m", "manhattan") == "cosine"
        with pytest.raises(ConfigError, match=r"m compares its vectors by manhattan, .* set distance to one of cosine"):
            EvalOptions().distance_of("m", "manhattan")

    def test_finetuner_looks_at_twenty(self) -> None:
        assert (EvalOptions().depth, EvalOptions(metric_set="finetuner").depth) == (1, LIMIT)


class TestMetrics:
    """At any cutoff."""

    def test_numbers_do_not_depend_on_what_else_is_measured(self) -> None:
        few = measured(labelled())
        many = measured(labelled(), metrics=[Metric(name, k) for k in (100, 1, 10) for name in NAMES])
        for side in ("base", "tuned"):
            for key, values in few.results[side].scores.items():
                assert many.results[side].scores[key].tolist() == values.tolist()
        assert few.results["tuned"].ranking.indices.shape == (QUERIES, 10)
        assert many.results["tuned"].ranking.indices.shape == (QUERIES, 100)
        assert [side.tied_queries for side in few.comparison.sides] == [0, 0]

    def test_the_one_that_decides_has_its_own(self) -> None:
        outcome = measured(labelled(), "map_at_20", metrics=EvalOptions().measured("map_at_20"))
        assert outcome.comparison.decision.metric == "map_at_20"
        assert "MAP@20 rose from " in outcome.comparison.decision.reason

    def test_ranks_as_deep_as_asked_for(self) -> None:
        assert evaluate(labelled(), vectors(1.0), [Metric("hit", 3)], 7).ranking.indices.shape == (QUERIES, 7)
        assert evaluate(labelled(), vectors(1.0), [Metric("hit", 3)], 2).ranking.indices.shape == (QUERIES, 3)


def test_ties_at_a_rank() -> None:
    scores = np.array([[0.9, 0.5, 0.5], [0.9, 0.9, 0.5], [0.9, -np.inf, -np.inf]])
    ranking = Ranking(np.zeros((3, 3), int), scores, np.array([True, False, False]), np.zeros(3, int))
    assert tied_at(ranking, 3).tolist() == [True, False, False]
    assert tied_at(ranking, 2).tolist() == [True, False, False]
    assert tied_at(ranking, 1).tolist() == [False, True, False]


class TestDistances:
    """Cosine, dot product, Euclidean."""

    @pytest.mark.parametrize("distance", ["cosine", "dot", "euclidean"])
    def test_the_index_is_ranked_by_it(self, distance: str) -> None:
        found = vectors(1.0, distance)
        outcome = measured(labelled(), distance=distance)
        assert [side.distance for side in outcome.comparison.sides] == [distance, distance]
        ranking = outcome.results["base"].ranking
        near = np.array([[pair_scores(distance, q[None], x[None])[0] for x in found.index] for q in found.queries])
        best = -np.sort(-near, axis=1)[:, :10]
        np.testing.assert_allclose(np.take_along_axis(near, ranking.indices, axis=1), best, rtol=0, atol=1e-4)
        np.testing.assert_allclose(ranking.scores, best, rtol=0, atol=1e-4)

    def test_by_hand(self) -> None:
        first, second = np.array([[3.0, 4.0]], np.float32), np.array([[6.0, 0.0]], np.float32)
        assert pair_scores("cosine", first, second).tolist() == [pytest.approx(0.6)]
        assert pair_scores("dot", first, second).tolist() == [18.0]
        assert pair_scores("euclidean", first, second).tolist() == [-5.0]

    def test_go_with_the_vectors(self) -> None:
        dot = vectors(1.0, "dot")
        assert (dot.reversed().distance, dot.of(np.array([3])).distance) == ("dot", "dot")
        assert dot.reversed().queries is dot.index
        assert dot.of(np.array([3])).queries.tolist() == [dot.queries[3].tolist()]


class TestUnits:
    """The interval resamples what was held out together, and the gate counts it."""

    def test_of_queries(self) -> None:
        numbers = np.arange(QUERIES) // 4
        outcome = measured(labelled(Units(GROUPS, numbers, np.zeros(DOCUMENTS, int))))
        (found,) = (each for each in outcome.comparison.differences if each.metric == "ndcg_at_10")
        change = [outcome.results[side].scores["ndcg_at_10"] for side in ("tuned", "base")]
        lower, upper = mean_intervals((change[0] - change[1])[:, np.newaxis], 200, 1, numbers)
        assert (found.lower, found.upper) == pytest.approx((lower[0], upper[0]), abs=1e-12)
        assert (found.units, found.unit) == (15, GROUPS)
        assert not outcome.comparison.decision.better
        assert "over only 15 groups of connected pairs; at least 20 are needed" in outcome.comparison.decision.reason

    def test_twenty_are_enough(self) -> None:
        units = Units(GROUPS, np.arange(QUERIES) // 3, np.zeros(DOCUMENTS, int))
        outcome = measured(labelled(units))
        assert outcome.comparison.differences[0].units == 20
        assert outcome.comparison.decision.better

    def test_without_units_each_query_counts(self) -> None:
        found = measured(labelled()).comparison.differences[0]
        assert (found.units, found.unit) == (QUERIES, "queries")

    def test_of_pairs_with_scores(self) -> None:
        scores = np.random.default_rng(3).random(QUERIES)
        ends = list(zip(QUERY_IDS, INDEX_IDS[:QUERIES], strict=True))
        judgments = Judgments.from_pairs(QUERY_IDS, INDEX_IDS, QUERY_IDS, INDEX_IDS[:QUERIES], scores)
        pairs = ScoredPairs.from_ids(ends, scores, QUERY_IDS, INDEX_IDS)
        units = Units(GROUPS, np.arange(QUERIES) // 5, np.zeros(DOCUMENTS, int))
        data = EvaluationSet(
            QUERY_IDS, QUERY_IDS, [""] * QUERIES, INDEX_IDS, INDEX_IDS, judgments, scored=pairs, units=units
        )
        found = measured(data).comparison.differences[0]
        near = [
            pair_scores("cosine", vectors(signal).queries, vectors(signal).index[:QUERIES]) for signal in (1.0, 2.0)
        ]
        lower, upper = correlation_intervals(scores, *near, 200, 1, units.queries)
        assert found.metric == "spearman"
        assert (found.lower, found.upper) == pytest.approx((lower[0], upper[0]), abs=1e-12)
        assert (found.units, found.unit) == (12, GROUPS)


class TestFiles:
    """Tables by label and by Finetuner's definitions."""

    def test_labels_worst_first(self, tmp_path: Path) -> None:
        outcome = measured(labelled())
        write_scores(tmp_path, outcome)
        with (tmp_path / "labels.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["queries"] for row in rows] == ["10"] * 6
        values = [float(row["tuned_ndcg_at_10"]) for row in rows]
        assert values == sorted(values)
        tuned = outcome.results["tuned"].scores["ndcg_at_10"]
        assert values[0] == pytest.approx(min(tuned[number::6].mean() for number in range(6)), abs=1e-12)
        assert rows[0]["base_hit_at_10"] != ""

    def test_no_label_is_a_formula(self, tmp_path: Path) -> None:
        formulas = [f"={label}" for label in LABELS[:QUERIES]]
        write_scores(tmp_path, measured(replace(labelled(), query_labels=formulas)))
        lines = (tmp_path / "labels.csv").read_text(encoding="utf-8").splitlines()
        assert {line[:2] for line in lines[1:]} == {"'="}

    def test_none_where_pairs_say_what_is_relevant(self, tmp_path: Path) -> None:
        judgments = Judgments.from_pairs(QUERY_IDS, INDEX_IDS, QUERY_IDS, INDEX_IDS[:QUERIES], np.ones(QUERIES))
        data = EvaluationSet(QUERY_IDS, QUERY_IDS, [""] * QUERIES, INDEX_IDS, INDEX_IDS, judgments)
        write_scores(tmp_path, measured(data))
        assert not (tmp_path / "labels.csv").exists()

    def test_finetuners(self, tmp_path: Path) -> None:
        outcome = measured(labelled(), depth=LIMIT)
        write_finetuner_scores(tmp_path, outcome)
        with (tmp_path / "finetuner.csv").open(encoding="utf-8", newline="") as file:
            rows = {row["metric"]: row for row in csv.DictReader(file)}
        found = outcome.results["tuned"].ranking.indices
        hits = np.array([[LABELS[column] == LABELS[row] for column in found[row]] for row in range(QUERIES)])
        assert found.shape == (QUERIES, LIMIT)
        assert float(rows["precision_at_k"]["tuned"]) == pytest.approx(hits.mean(), abs=1e-12)
        assert float(rows["recall_at_k"]["tuned"]) == pytest.approx((hits.sum(axis=1) / 15).mean(), abs=1e-12)
        assert list(rows["hit_at_k"]) == ["metric", "base", "tuned"]
