import dataclasses

import numpy as np
import pytest

from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Modality
from embedtune.retrieval.bootstrap import mean_intervals
from embedtune.retrieval.compare import Evaluation, compare
from embedtune.retrieval.comparison import QueryExample, RankedHit, SideResults
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.examples import contents_of
from embedtune.retrieval.gate import Asked, Incumbent
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant, deciding_key, deciding_score
from embedtune.retrieval.metric_names import METRIC_NAMES, parse_metric
from embedtune.retrieval.units import Units

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


def run(
    base: Vectors,
    tuned: Vectors,
    data: EvaluationSet | None = None,
    champion: Vectors | None = None,
    new: np.ndarray | None = None,
) -> Evaluation:
    sides = [Contestant("base", "bert", base), Contestant("tuned", "support, tuned", tuned)]
    if champion is not None:
        sides.append(Contestant("champion", "support, version 3", champion, new))
    incumbent = Incumbent("" if champion is None else "3")
    data = evaluation_set() if data is None else data
    return compare(data, sides, Asked("ndcg_at_10", 0.0), incumbent, seed=1, resamples=500)


def test_a_better_model_is_promoted_with_means_over_the_judged_queries() -> None:
    evaluation = run(vectors(1.0), vectors(4.0))
    comparison = evaluation.comparison
    assert comparison.decision.better
    assert (comparison.queries, comparison.queries_without_relevant, comparison.index_documents) == (38, 2, 120)
    assert (comparison.confidence, comparison.resamples, comparison.seed) == (0.95, 500, 1)
    assert comparison.pairs == 0
    assert [metric.name for metric in comparison.metrics] == list(METRIC_NAMES)
    for metric, found in zip(comparison.metrics, comparison.differences, strict=True):
        base, tuned = (evaluation.results[side].scores[metric.name] for side in ("base", "tuned"))
        assert base.shape == tuned.shape == (38,)
        assert metric.values == {"base": base.mean(), "tuned": tuned.mean()}
        assert (found.metric, found.side, found.against) == (metric.name, "tuned", "base")
        assert (found.of_against, found.of_side) == (base.mean(), tuned.mean())
        assert (found.units, found.unit) == (38, "queries")
        assert found.value == tuned.mean() - base.mean()
        assert found.lower <= found.value <= found.upper
    assert comparison.difference("ndcg_at_10").lower > 0
    assert [(side.name, side.model, side.dimension) for side in comparison.sides] == [
        ("base", "bert", 16),
        ("tuned", "support, tuned", 16),
    ]
    assert evaluation.judged.query_ids == evaluation_set().query_ids[:38]
    assert comparison.evaluation_digest == evaluation.judged.digest() != evaluation_set().digest()


def test_of_one_model_the_deciding_score_is_that_of_the_comparison() -> None:
    data, metric = evaluation_set(), parse_metric("ndcg_at_10")
    comparison = run(vectors(1.0), vectors(4.0)).comparison
    assert deciding_key(data, metric) == comparison.decision.metric
    assert deciding_score(data, vectors(4.0), metric) == comparison.value("ndcg_at_10", "tuned")


def test_scores_equal_a_naive_recomputation() -> None:
    evaluation = run(vectors(1.0), vectors(4.0))
    index = vectors(4.0).index.astype(np.float64)
    index /= np.linalg.norm(index, axis=1, keepdims=True)
    for query in range(38):
        similarity = {row: float(index[query] @ index[row]) for row in range(120) if row != query}
        found = sorted(similarity, key=similarity.__getitem__, reverse=True)[:10]
        hits = sum(row % LABELS == query % LABELS for row in found)
        assert evaluation.results["tuned"].ranking.indices[query].tolist() == found
        assert evaluation.results["tuned"].scores["precision_at_10"][query] == pytest.approx(hits / 10)
        assert evaluation.results["tuned"].scores["recall_at_10"][query] == pytest.approx(hits / 19)


def test_a_worse_model_and_the_same_model_are_not_promoted() -> None:
    worse = run(vectors(4.0), vectors(1.0)).comparison
    assert not worse.decision.better
    assert worse.decision.reason.startswith("The tuned model is worse: nDCG@10 fell from ")
    same = run(vectors(1.0), vectors(1.0)).comparison
    assert not same.decision.better
    assert {(found.value, found.lower, found.upper) for found in same.differences} == {(0.0, 0.0, 0.0)}


def test_a_collapsed_model_is_not_promoted() -> None:
    good = vectors(4.0)
    collapsed = Vectors(good.queries + 1000, good.index + 1000)
    comparison = run(vectors(0.0), collapsed).comparison
    assert comparison.difference("ndcg_at_10").lower > 0
    assert comparison.side("tuned").mean_cosine > 0.999
    assert not comparison.decision.better
    assert "collapsed" in comparison.decision.reason


def test_ties_are_counted_per_model() -> None:
    tied = Vectors(np.ones((40, 2)), np.ones((120, 2)))
    comparison = run(tied, vectors(1.0)).comparison
    assert [side.tied_queries for side in comparison.sides] == [38, 0]


def test_ties_count_between_the_tenth_and_the_eleventh_result() -> None:
    """Documents 9 and 10 are alike; a query that is one of the first eleven documents does not find itself."""
    angles = np.arange(120) * 0.01
    angles[10] = angles[9]
    fan = Vectors(np.tile([1.0, 0.0], (40, 1)), np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert [side.tied_queries for side in run(fan, vectors(1.0)).comparison.sides] == [38 - 11, 0]


def test_models_may_differ_in_dimension() -> None:
    wide = vectors(4.0)
    narrow = Vectors(wide.queries[:, :8], wide.index[:, :8])
    comparison = run(narrow, wide, champion=narrow).comparison
    assert comparison.queries == 38
    assert [side.dimension for side in comparison.sides] == [8, 16, 8]


class TestChampion:
    def test_it_changes_no_number_of_the_other_two(self) -> None:
        alone, scored = run(vectors(1.0), vectors(4.0)), run(vectors(1.0), vectors(4.0), champion=vectors(2.0))
        two, three = alone.comparison, scored.comparison
        assert three.sides[:2] == two.sides
        assert three.differences[: len(two.differences)] == two.differences
        for before, after in zip(two.metrics, three.metrics, strict=True):
            assert before.values == {side: after.values[side] for side in ("base", "tuned")}
        assert three.evaluation_digest == two.evaluation_digest
        assert (two.decision.champion_version, three.decision.champion_version) == ("", "3")

    def test_a_model_between_base_and_champion_is_not_promoted(self) -> None:
        decision = run(vectors(0.5), vectors(1.5), champion=vectors(4.0)).comparison.decision
        assert (decision.better, decision.better_than_base) == (False, True)
        (reason,) = decision.reasons
        assert reason.startswith("Compared with the champion, version 3, the tuned model is worse: nDCG@10 fell from ")
        assert decision.reason.startswith("The tuned model is better than the base: nDCG@10 rose from ")
        assert decision.reason.endswith(reason)

    def test_queries_that_it_was_trained_on_are_left_out_against_it_alone(self) -> None:
        new = np.arange(40) % 3 > 0
        whole, part = run(vectors(1.0), vectors(4.0)), run(vectors(1.0), vectors(4.0), champion=vectors(2.0), new=new)
        comparison, rows = part.comparison, np.flatnonzero(new[:38])
        champion, tuned = (part.results[side].scores["ndcg_at_10"][rows] for side in ("champion", "tuned"))
        found = comparison.difference("ndcg_at_10", "champion")
        assert (found.units, found.of_side, found.of_against) == (rows.size, tuned.mean(), champion.mean())
        lower, upper = mean_intervals((tuned - champion)[:, np.newaxis], 500, seed=1)
        assert (found.lower, found.upper) == (pytest.approx(lower[0]), pytest.approx(upper[0]))
        assert comparison.value("ndcg_at_10", "champion") == champion.mean()
        assert comparison.difference("ndcg_at_10") == whole.comparison.difference("ndcg_at_10")
        assert comparison.queries == 38
        assert f"over the {rows.size} queries that are new to it" in comparison.decision.reason

    def test_ties_count_where_the_query_does(self) -> None:
        tied = Vectors(np.ones((40, 2)), np.ones((120, 2)))
        comparison = run(vectors(1.0), vectors(4.0), champion=tied, new=np.arange(40) < 7).comparison
        assert [side.tied_queries for side in comparison.sides] == [0, 0, 7]

    def test_one_that_was_trained_on_all_queries_is_not_replaced(self) -> None:
        comparison = run(vectors(1.0), vectors(4.0), champion=vectors(2.0), new=np.zeros(40, np.bool_)).comparison
        assert comparison.decision.reasons == (
            "The champion, version 3, could not be scored, so nothing replaces it: It was trained on all held-out "
            "queries, or on what answers them.",
        )
        assert comparison.decision.better_than_base
        assert all(set(metric.values) == {"base", "tuned"} for metric in comparison.metrics)

    def test_examples_leave_out_what_does_not_count(self) -> None:
        new = np.arange(40) % 2 == 0
        examples = run(vectors(1.0), vectors(4.0), champion=vectors(2.0), new=new).comparison.examples
        for example in examples:
            counts = int(example.id) % 2 == 0
            assert [found.side for found in example.results] == ["base", "tuned", *(["champion"] if counts else [])]
            assert (example.of("champion") is None) is not counts


def test_intervals_and_the_gate_count_what_was_held_out_together() -> None:
    """38 judged queries of six labels are six units, and six decide nothing."""
    rows = np.arange(40) % LABELS
    data = dataclasses.replace(evaluation_set(), units=Units("labels", rows, np.arange(120) % LABELS))
    evaluation = run(vectors(1.0), vectors(4.0), data)
    found = evaluation.comparison.difference("ndcg_at_10")
    assert (found.units, found.unit) == (6, "labels")
    change = evaluation.results["tuned"].scores["ndcg_at_10"] - evaluation.results["base"].scores["ndcg_at_10"]
    lower, upper = mean_intervals(change[:, np.newaxis], 500, 1, rows[:38])
    assert (found.lower, found.upper) == (pytest.approx(lower[0]), pytest.approx(upper[0]))
    assert "over only 6 labels; at least 20 are needed" in evaluation.comparison.decision.reason


class TestExamples:
    def test_the_largest_gains_then_the_largest_losses(self) -> None:
        evaluation = run(vectors(1.0), vectors(1.5))
        change = evaluation.results["tuned"].scores["ndcg_at_10"] - evaluation.results["base"].scores["ndcg_at_10"]
        ids = evaluation.judged.query_ids
        rising = sorted(range(38), key=lambda row: (-change[row], ids[row]))
        falling = sorted(range(38), key=lambda row: (change[row], ids[row]))
        shown = evaluation.comparison.examples
        assert [example.id for example in shown] == [ids[row] for row in rising[:4] + falling[:4]]
        assert shown[0].of("tuned").ndcg > shown[0].of("base").ndcg
        assert shown[4].of("tuned").ndcg < shown[4].of("base").ndcg

    def test_hits_are_those_of_the_rankings(self) -> None:
        evaluation = run(vectors(1.0), vectors(4.0))
        example = evaluation.comparison.examples[0]
        row = evaluation.judged.query_ids.index(example.id)
        assert (example.label, example.kind) == (evaluation.judged.query_labels[row], "text")
        for side, result in evaluation.results.items():
            found, shown = result.ranking.indices[row, :5].tolist(), example.of(side)
            assert shown.ndcg == result.scores["ndcg_at_10"][row]
            assert [hit.rank for hit in shown.hits] == [1, 2, 3, 4, 5]
            assert [(hit.kind, hit.id) for hit in shown.hits] == [("text", f"{document:03}") for document in found]
            assert [hit.score for hit in shown.hits] == result.ranking.scores[row, :5].tolist()
            assert [hit.relevant for hit in shown.hits] == [document % LABELS == row % LABELS for document in found]

    def test_contents_are_there_once_by_kind_and_id(self) -> None:
        comparison = run(vectors(1.0), vectors(4.0)).comparison
        texts = {(content.kind, content.id): content.text for content in comparison.contents}
        assert len(texts) == len(comparison.contents)
        hits = [hit for example in comparison.examples for found in example.results for hit in found.hits]
        assert texts == {(each.kind, each.id): f"text of {each.id}" for each in (*comparison.examples, *hits)}

    def test_a_query_and_a_document_of_another_kind_may_share_an_id(self) -> None:
        ids = [f"{row}" for row in range(3)]
        judgments = Judgments.from_pairs(["q"], ids, ["q"], ["1"], [1.0])
        data = EvaluationSet(["q"], ["Q"], [""], ids, ids, judgments, index_kind=Modality.IMAGE)
        shown = (QueryExample("1", "text", "", (SideResults("base", 0.0, (RankedHit(1, "1", "image", 0.5, True),)),)),)
        found = contents_of(dataclasses.replace(data, query_ids=["1"]), shown)
        assert [(each.kind, each.id, each.text) for each in found] == [("text", "1", "Q"), ("image", "1", "1")]

    def test_unchanged_queries_come_by_id_and_none_twice(self) -> None:
        examples = run(vectors(1.0), vectors(1.0)).comparison.examples
        assert [example.id for example in examples] == [f"{row:03}" for row in range(8)]

    def test_few_queries_and_few_documents(self) -> None:
        data = evaluation_set(queries=3, documents=8, lonely=1)
        small = vectors(1.0, queries=3, documents=8, lonely=1)
        examples = run(small, small, data).comparison.examples
        assert [example.id for example in examples] == ["000", "001"]
        assert len(examples[0].of("base").hits) == 5


def test_two_queries_promote_nothing() -> None:
    data, base, tuned = (
        make(queries=2, documents=120, lonely=0)
        for make in (evaluation_set, lambda **sizes: vectors(0.0, **sizes), lambda **sizes: vectors(4.0, **sizes))
    )
    comparison = run(base, tuned, data).comparison
    assert comparison.difference("ndcg_at_10").lower > 0
    assert not comparison.decision.better
    assert "over only 2 queries" in comparison.decision.reason


def test_graded_pairs() -> None:
    judgments = Judgments.from_pairs(["p", "q"], ["a", "b"], ["p", "p", "q"], ["a", "b", "a"], [1.0, 3.0, 1.0])
    data = EvaluationSet(["p", "q"], ["P", "Q"], ["", ""], ["a", "b"], ["A", "B"], judgments)
    index = np.eye(2)
    evaluation = run(Vectors(np.array([[2.0, 1.0], [1.0, 0.0]]), index), Vectors(np.eye(2)[::-1], index), data)
    ideal = 3 + 1 / np.log2(3)
    assert evaluation.results["base"].scores["ndcg_at_10"].tolist() == pytest.approx(
        [(1 + 3 / np.log2(3)) / ideal, 1.0]
    )
    assert evaluation.results["tuned"].scores["ndcg_at_10"].tolist() == pytest.approx([1.0, 1.0])
    assert set(METRIC_NAMES) == set(evaluation.results["tuned"].scores)


class TestBadInput:
    def test_nothing_relevant(self) -> None:
        with pytest.raises(InputError, match="None of the 2 queries has a relevant document among the 120"):
            run(vectors(1.0, queries=2), vectors(1.0, queries=2), evaluation_set(queries=2))

    def test_options_are_checked_before_any_work(self) -> None:
        for metric, min_gain in (("ndcg", 0.0), ("ndcg_at_10", -1.0)):
            with pytest.raises(ConfigError):
                Asked(metric, min_gain)

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
