from pathlib import Path

import numpy as np
import pytest

from embedtune.errors import ConfigError, InputError
from embedtune.retrieval.compare import Evaluation, compare
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.metric_names import METRIC_NAMES

LABELS = 6


def evaluation_set(queries: int = 40, documents: int = 120, lonely: int = 2) -> EvaluationSet:
    """Labelled texts; the last `lonely` queries have a label of their own, all other queries are documents too."""
    index_ids = [f"{row:03}" for row in range(documents)]
    index_labels = [f"label {row % LABELS}" for row in range(documents)]
    query_ids = index_ids[: queries - lonely] + [f"q{row}" for row in range(lonely)]
    query_labels = index_labels[: queries - lonely] + [f"lonely {row}" for row in range(lonely)]
    return EvaluationSet(
        query_ids=query_ids,
        query_texts=[f"text of {one}" for one in query_ids],
        query_labels=query_labels,
        index_ids=index_ids,
        index_texts=[f"text of {one}" for one in index_ids],
        judgments=Judgments.from_labels(query_labels, query_ids, index_labels, index_ids),
    )


def vectors(signal: float, queries: int = 40, documents: int = 120, lonely: int = 2) -> Vectors:
    """Noise plus `signal` times the direction of the label."""
    index = np.random.default_rng(0).standard_normal((documents, 16)).astype(np.float32)
    index[np.arange(documents), np.arange(documents) % LABELS] += signal
    return Vectors(np.concatenate([index[: queries - lonely], np.ones((lonely, 16), np.float32)]), index)


def run(base: Vectors, tuned: Vectors, data: EvaluationSet | None = None, min_gain: float = 0.0) -> Evaluation:
    data = evaluation_set() if data is None else data
    return compare(data, base, tuned, metric="ndcg_at_10", min_gain=min_gain, seed=1, resamples=500)


def test_a_better_model_is_promoted_with_means_over_the_judged_queries() -> None:
    evaluation = run(vectors(1.0), vectors(4.0))
    comparison = evaluation.comparison
    assert comparison.decision.better
    assert (comparison.queries, comparison.queries_without_relevant, comparison.index_documents) == (38, 2, 120)
    assert (comparison.confidence, comparison.resamples, comparison.seed) == (0.95, 500, 1)
    assert [metric.name for metric in comparison.metrics] == list(METRIC_NAMES)
    for metric in comparison.metrics:
        base, tuned = evaluation.base.scores[metric.name], evaluation.tuned.scores[metric.name]
        assert base.shape == tuned.shape == (38,)
        assert (metric.base, metric.tuned) == (base.mean(), tuned.mean())
        assert metric.difference == metric.tuned - metric.base
        assert metric.lower <= metric.difference <= metric.upper
    assert comparison.metric("ndcg_at_10").lower > 0
    assert evaluation.judged.query_ids == evaluation_set().query_ids[:38]


def test_scores_equal_a_naive_recomputation() -> None:
    evaluation = run(vectors(1.0), vectors(4.0))
    index = vectors(4.0).index.astype(np.float64)
    index /= np.linalg.norm(index, axis=1, keepdims=True)
    for query in range(38):
        similarity = {row: float(index[query] @ index[row]) for row in range(120) if row != query}
        found = sorted(similarity, key=similarity.__getitem__, reverse=True)[:10]
        hits = sum(row % LABELS == query % LABELS for row in found)
        assert evaluation.tuned.ranking.indices[query].tolist() == found
        assert evaluation.tuned.scores["precision_at_10"][query] == pytest.approx(hits / 10)
        assert evaluation.tuned.scores["recall_at_10"][query] == pytest.approx(hits / 19)


def test_a_worse_model_and_the_same_model_are_not_promoted() -> None:
    worse = run(vectors(4.0), vectors(1.0)).comparison
    assert not worse.decision.better
    assert worse.decision.reason.startswith("The tuned model is worse: nDCG@10 fell from ")
    same = run(vectors(1.0), vectors(1.0)).comparison
    assert not same.decision.better
    assert {(metric.difference, metric.lower, metric.upper) for metric in same.metrics} == {(0.0, 0.0, 0.0)}


def test_a_collapsed_model_is_not_promoted() -> None:
    good = vectors(4.0)
    collapsed = Vectors(good.queries + 1000, good.index + 1000)
    comparison = run(vectors(0.0), collapsed).comparison
    assert comparison.metric("ndcg_at_10").lower > 0
    assert comparison.tuned_mean_cosine > 0.999
    assert not comparison.decision.better
    assert "collapsed" in comparison.decision.reason


def test_ties_are_counted_per_model() -> None:
    tied = Vectors(np.ones((40, 2)), np.ones((120, 2)))
    comparison = run(tied, vectors(1.0)).comparison
    assert (comparison.base_tied_queries, comparison.tuned_tied_queries) == (38, 0)


def test_models_may_differ_in_dimension() -> None:
    wide = vectors(4.0)
    narrow = Vectors(wide.queries[:, :8], wide.index[:, :8])
    assert run(narrow, wide).comparison.queries == 38


class TestExamples:
    def test_the_largest_gains_then_the_largest_losses(self) -> None:
        evaluation = run(vectors(1.0), vectors(1.5))
        change = evaluation.tuned.scores["ndcg_at_10"] - evaluation.base.scores["ndcg_at_10"]
        texts = evaluation.judged.query_texts
        rising = sorted(range(38), key=lambda row: (-change[row], texts[row]))
        falling = sorted(range(38), key=lambda row: (change[row], texts[row]))
        shown = evaluation.comparison.examples
        assert [example.query for example in shown] == [texts[row] for row in rising[:4] + falling[:4]]
        assert shown[0].tuned_ndcg > shown[0].base_ndcg
        assert shown[4].tuned_ndcg < shown[4].base_ndcg

    def test_hits_are_those_of_the_rankings(self) -> None:
        evaluation = run(vectors(1.0), vectors(4.0))
        example = evaluation.comparison.examples[0]
        row = evaluation.judged.query_texts.index(example.query)
        assert example.label == evaluation.judged.query_labels[row]
        assert example.base_ndcg == evaluation.base.scores["ndcg_at_10"][row]
        for hits, result in ((example.base, evaluation.base), (example.tuned, evaluation.tuned)):
            found = result.ranking.indices[row, :5].tolist()
            assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5]
            assert [hit.text for hit in hits] == [f"text of {document:03}" for document in found]
            assert [hit.score for hit in hits] == result.ranking.scores[row, :5].tolist()
            assert [hit.relevant for hit in hits] == [document % LABELS == row % LABELS for document in found]

    def test_unchanged_queries_come_by_id_and_none_twice(self) -> None:
        examples = run(vectors(1.0), vectors(1.0)).comparison.examples
        assert [example.query for example in examples] == [f"text of {row:03}" for row in range(8)]

    def test_few_queries_and_few_documents(self) -> None:
        data = evaluation_set(queries=3, documents=8, lonely=1)
        small = vectors(1.0, queries=3, documents=8, lonely=1)
        examples = run(small, small, data).comparison.examples
        assert [example.query for example in examples] == ["text of 000", "text of 001"]
        assert len(examples[0].base) == 5


def test_two_runs_are_equal_and_survive_saving(tmp_path: Path) -> None:
    first, second = (run(vectors(1.0), vectors(1.5)).comparison for _ in range(2))
    assert first == second
    first.save(tmp_path / "comparison.json")
    assert Comparison.load(tmp_path / "comparison.json") == first


def test_a_file_that_is_no_comparison(tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    with pytest.raises(InputError, match=r"comparison\.json cannot be read as a comparison"):
        Comparison.load(path)
    run(vectors(1.0), vectors(1.5)).comparison.save(path)
    whole = path.read_text(encoding="utf-8")
    for damaged in (whole[:-9], whole.replace('"seed"', '"grain"'), whole.replace('"rank"', '"place"'), "[]", "{}"):
        path.write_text(damaged, encoding="utf-8")
        with pytest.raises(InputError, match="Evaluate the model again"):
            Comparison.load(path)


def test_two_queries_promote_nothing() -> None:
    data, base, tuned = (
        make(queries=2, documents=120, lonely=0)
        for make in (evaluation_set, lambda **sizes: vectors(0.0, **sizes), lambda **sizes: vectors(4.0, **sizes))
    )
    comparison = run(base, tuned, data).comparison
    assert comparison.metric("ndcg_at_10").lower > 0
    assert not comparison.decision.better
    assert "over only 2 queries" in comparison.decision.reason


def test_graded_pairs() -> None:
    judgments = Judgments.from_pairs(["p", "q"], ["a", "b"], ["p", "p", "q"], ["a", "b", "a"], [1.0, 3.0, 1.0])
    data = EvaluationSet(["p", "q"], ["P", "Q"], ["", ""], ["a", "b"], ["A", "B"], judgments)
    index = np.eye(2)
    evaluation = run(Vectors(np.array([[2.0, 1.0], [1.0, 0.0]]), index), Vectors(np.eye(2)[::-1], index), data)
    ideal = 3 + 1 / np.log2(3)
    assert evaluation.base.scores["ndcg_at_10"].tolist() == pytest.approx([(1 + 3 / np.log2(3)) / ideal, 1.0])
    assert evaluation.tuned.scores["ndcg_at_10"].tolist() == pytest.approx([1.0, 1.0])
    assert set(METRIC_NAMES) == set(evaluation.tuned.scores)


class TestBadInput:
    def test_nothing_relevant(self) -> None:
        with pytest.raises(InputError, match="None of the 2 queries has a relevant document among the 120"):
            run(vectors(1.0, queries=2), vectors(1.0, queries=2), evaluation_set(queries=2))

    def test_options_are_checked_before_any_work(self) -> None:
        broken = Vectors(np.full((40, 2), np.nan), np.ones((120, 2)))
        for metric, min_gain in (("ndcg", 0.0), ("ndcg_at_10", -1.0)):
            with pytest.raises(ConfigError):
                compare(evaluation_set(), broken, broken, metric=metric, min_gain=min_gain, seed=0)

    def test_vectors_that_do_not_fit(self) -> None:
        good = vectors(1.0)
        with pytest.raises(InputError, match="The tuned index vectors have shape"):
            run(good, Vectors(good.queries, good.index[:-1]))
        for count in (39, 41):
            with pytest.raises(InputError, match=f"The base query vectors have shape .{count}, 16. for 40 ids"):
                run(Vectors(np.resize(good.queries, (count, 16)), good.index), good)

    def test_columns_of_different_length(self) -> None:
        judgments = Judgments.from_labels(["x"], ["q"], ["x"], ["a"])
        with pytest.raises(InputError, match="There are 2 query_texts for 1 ids"):
            EvaluationSet(["q"], ["Q", "R"], ["x"], ["a"], ["A"], judgments)
        with pytest.raises(InputError, match="There are 1 judged index documents for 2 ids"):
            EvaluationSet(["q"], ["Q"], ["x"], ["a", "b"], ["A", "B"], judgments)

    def test_repeated_query_id(self) -> None:
        judgments = Judgments.from_labels(["x", "x"], ["q", "q"], ["x"], ["a"])
        with pytest.raises(InputError, match="1 of 2 query ids repeat"):
            EvaluationSet(["q", "q"], ["Q", "Q"], ["x", "x"], ["a"], ["A"], judgments)

    def test_a_model_that_gives_no_numbers_is_named(self) -> None:
        good = vectors(1.0)
        broken = good.index.copy()
        broken[3, 0] = np.nan
        with pytest.raises(InputError, match=r"1 of 120 tuned index vectors hold NaN .* \(first: id '003'\)"):
            run(good, Vectors(good.queries, broken))
