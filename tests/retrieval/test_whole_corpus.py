"""Held-out queries in the whole corpus, and the four cells, against loops over all pairs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import OFFICIAL_RULE, Split, SplitRule
from embedtune.models.contents import Contents
from embedtune.models.trained_texts import trained_digests
from embedtune.records.layouts import Layout, Modality
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant, measure_sides
from embedtune.retrieval.metric_names import Metric
from embedtune.retrieval.training_documents import Pool, TrainingDocuments, read_training
from embedtune.retrieval.units import GROUPS, LABELS, QUERIES, Units
from embedtune.retrieval.whole_corpus import WholeCorpus, join_corpus, measure_cells, measure_whole

METRICS = [Metric("ndcg", 10), Metric("recall", 3)]


def pool(prefix: str, labels: Sequence[str]) -> Pool:
    ids = [f"{prefix}{row}" for row in range(len(labels))]
    return Pool(ids, list(labels), Contents.of_texts([f"text {each}" for each in ids]))


def held_out(queries: Pool, index: Pool, judgments: Judgments, labelled: bool, units: Units | None = None) -> HeldOut:
    labels = queries.labels if labelled else [""] * len(queries.ids)
    texts = queries.contents.texts(), index.contents.texts()
    data = EvaluationSet(queries.ids, texts[0], labels, index.ids, texts[1], judgments, units=units)
    return HeldOut(data, queries.contents, index.contents, index.labels if labelled else None)


@dataclass
class Drawn:
    """Vectors by id, and who is relevant to whom."""

    vectors: dict[str, dict[str, np.ndarray]]
    relevant: Callable[[str, str], bool]

    def ndcg(self, side: str, queries: Sequence[str], documents: Sequence[str]) -> float:
        found = []
        for query in queries:
            others = [each for each in documents if each != query]
            total = sum(self.relevant(query, each) for each in others)
            if total:
                order = sorted(others, key=lambda each: (-round(self.cosine(side, query, each), 6), each))[:10]
                gained = sum(self.relevant(query, each) / math.log2(rank + 2) for rank, each in enumerate(order))
                found.append(gained / sum(1 / math.log2(rank + 2) for rank in range(min(total, 10))))
        return sum(found) / len(found)

    def cosine(self, side: str, one: str, other: str) -> float:
        first, second = self.vectors[side][one], self.vectors[side][other]
        return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))

    def first(self, side: str, query: str, documents: Sequence[str]) -> list[str]:
        others = [each for each in documents if each != query]
        return sorted(others, key=lambda each: (-round(self.cosine(side, query, each), 6), each))[:10]


def drawn(corpus: WholeCorpus, relevant: Callable[[str, str], bool]) -> tuple[Drawn, list[Contestant]]:
    generator = np.random.default_rng(5)
    data = corpus.held_out.documents
    queries, index = [*data.query_ids, *corpus.queries.ids], [*data.index_ids, *corpus.documents.ids]
    vectors, sides = {}, []
    for side in ("base", "tuned"):
        of = {each: generator.standard_normal(6).astype(np.float32) for each in dict.fromkeys([*queries, *index])}
        vectors[side] = of
        matrices = (np.stack([of[each] for each in part]) for part in (queries, index))
        sides.append(Contestant(side, side, Vectors(*matrices)))
    return Drawn(vectors, relevant), sides


def value(cell: Cell, side: str, metric: str = "ndcg_at_10") -> float:
    return {each.name: each.values for each in cell.metrics}[metric][side]


def kinds(cells: Sequence[Cell]) -> list[tuple[bool, bool]]:
    return [(cell.new_queries, cell.new_documents) for cell in cells]


ALL_KINDS = [(True, True), (True, False), (False, True), (False, False)]


class TestLabelled:
    """Texts of three labels, some of each held out."""

    queries, index = pool("q", "aabbcc"), pool("d", "aaabbbc")
    trained = pool("t", "aaaabbbbccccx")
    judgments = Judgments.from_labels(queries.labels, queries.ids, index.labels, index.ids)

    def corpus(self, rule: str = SplitRule.STRATIFIED, units: Units | None = None) -> WholeCorpus:
        held = held_out(self.queries, self.index, self.judgments, True, units)
        return join_corpus(held, TrainingDocuments(self.trained, self.trained, None), rule, 3)

    def relevant(self, one: str, other: str) -> bool:
        pools = {"q": self.queries, "d": self.index, "t": self.trained}
        first, second = (pools[each[0]].labels[int(each[1:])] for each in (one, other))
        return first == second and one != other

    def test_every_cell_is_what_a_loop_finds(self) -> None:
        corpus = self.corpus()
        told, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(6), metrics=METRICS, seed=1)
        assert kinds(cells) == ALL_KINDS
        of_queries = {True: self.queries.ids, False: corpus.queries.ids}
        of_documents = {True: self.index.ids, False: self.trained.ids}
        for cell in cells:
            queries, documents = of_queries[cell.new_queries], of_documents[cell.new_documents]
            for side in ("base", "tuned"):
                assert value(cell, side) == pytest.approx(told.ndcg(side, queries, documents), abs=1e-12)
            count = sum(any(self.relevant(query, each) for each in documents) for query in queries)
            assert (cell.queries, cell.documents, cell.why) == (count, len(documents), "")

    def test_new_queries_and_documents_are_what_the_comparison_is_over(self) -> None:
        corpus = self.corpus()
        _, sides = drawn(corpus, self.relevant)
        new = measure_cells(corpus, sides, np.arange(6), metrics=METRICS, seed=1)[0]
        own = [
            Contestant(one.name, one.model, Vectors(one.vectors.queries[:6], one.vectors.index[:7])) for one in sides
        ]
        found = measure_sides(corpus.held_out.documents, own, metrics=METRICS, seed=1)
        assert (new.metrics, new.differences) == (found.metrics, found.differences)

    def test_the_whole_corpus_is_what_a_loop_finds(self) -> None:
        corpus = self.corpus()
        told, sides = drawn(corpus, self.relevant)
        trained = {"base": None, "tuned": trained_digests([*self.trained.contents.texts(), "text q1"])}
        table = measure_whole(corpus, sides, trained, np.arange(6), metrics=METRICS, seed=1)
        everything = [*self.index.ids, *self.trained.ids]
        values = {each.name: each.values for each in table.metrics}["ndcg_at_10"]
        for side in ("base", "tuned"):
            assert values[side] == pytest.approx(told.ndcg(side, self.queries.ids, everything), abs=1e-12)
            first = [each for query in self.queries.ids for each in told.first(side, query, everything)]
            assert table.trained_hits[side] == pytest.approx(sum(each[0] == "t" for each in first) / len(first))
        assert (table.name, table.queries, table.index_documents) == ("whole corpus", 6, 20)
        assert (table.trained_queries, table.trained_index) == ({"tuned": 1}, {"tuned": 13})

    def test_hits_that_the_base_of_the_tuned_model_was_trained_on_count_as_trained_on(self) -> None:
        corpus = self.corpus()
        told, sides = drawn(corpus, self.relevant)
        trained = {"base": None, "tuned": trained_digests([*self.trained.contents.texts(), "text d1", "text d4"])}
        table = measure_whole(corpus, sides, trained, np.arange(6), metrics=METRICS, seed=1)
        everything, known = [*self.index.ids, *self.trained.ids], {*self.trained.ids, "d1", "d4"}
        for side in ("base", "tuned"):
            first = [each for query in self.queries.ids for each in told.first(side, query, everything)]
            assert table.trained_hits[side] == pytest.approx(sum(each in known for each in first) / len(first))
        assert table.trained_index == {"tuned": 15}

    def test_queries_that_do_not_count_are_left_out(self) -> None:
        corpus = self.corpus()
        told, sides = drawn(corpus, self.relevant)
        table = measure_whole(corpus, sides, {"base": None, "tuned": None}, np.array([1, 4]), metrics=METRICS, seed=1)
        values = {each.name: each.values for each in table.metrics}["ndcg_at_10"]
        expected = told.ndcg("tuned", ["q1", "q4"], [*self.index.ids, *self.trained.ids])
        assert (table.queries, values["tuned"]) == (2, pytest.approx(expected, abs=1e-12))
        cells = measure_cells(corpus, sides, np.array([1, 4]), metrics=METRICS, seed=1)
        assert [cell.queries for cell in cells[:2]] == [2, 2]

    def test_what_a_champion_was_trained_on_does_not_count_for_it(self) -> None:
        corpus = self.corpus()
        told, sides = drawn(corpus, self.relevant)
        new = np.ones(12, np.bool_)
        new[[0, 4]] = False
        champion = Contestant("champion", "c", sides[0].vectors, new)
        cells = measure_cells(corpus, [*sides, champion], np.array([1, 3, 4]), metrics=METRICS, seed=1)
        assert value(cells[1], "champion") == pytest.approx(
            told.ndcg("base", ["q1", "q3"], self.trained.ids), abs=1e-12
        )
        assert value(cells[3], "champion") == value(cells[3], "base")
        assert [each.units for each in cells[1].differences] == [3, 3, 2, 2]

    def test_queries_with_nothing_to_find_are_counted(self) -> None:
        queries = pool("q", "abn")
        judgments = Judgments.from_labels(queries.labels, queries.ids, self.index.labels, self.index.ids)
        held = held_out(queries, self.index, judgments, True)
        corpus = join_corpus(held, TrainingDocuments(self.trained, self.trained, None), SplitRule.STRATIFIED, 3)
        _, sides = drawn(corpus, self.relevant)
        table = measure_whole(corpus, sides, {"base": None, "tuned": None}, np.arange(3), metrics=METRICS, seed=1)
        assert (table.queries, table.queries_without_relevant) == (2, 1)

    def test_as_many_training_queries_are_drawn_as_are_held_out(self) -> None:
        corpus = self.corpus()
        assert len(corpus.queries.ids) == 6
        assert set(corpus.queries.ids) < set(self.trained.ids)
        assert corpus.queries.contents.texts() == [f"text {each}" for each in corpus.queries.ids]
        assert [len(part) for part in corpus.further] == [6, 13]
        few = TrainingDocuments(pool("t", "ab"), pool("t", "ab"), None)
        held = held_out(self.queries, self.index, self.judgments, True)
        assert join_corpus(held, few, SplitRule.STRATIFIED, 3).queries.ids == ["t0", "t1"]

    def test_where_whole_labels_are_held_out(self) -> None:
        held = held_out(self.queries, self.index, self.judgments, True)
        others = pool("t", "xxyyzz")
        corpus = join_corpus(held, TrainingDocuments(others, others, None), SplitRule.GROUP, 3)
        _, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(6), metrics=METRICS, seed=1)
        assert [cell.why for cell in cells] == [
            "",
            "Whole labels were held out, so nothing that is relevant to a held-out query was trained on.",
            "Whole labels were held out, so nothing that is relevant to a training query was held out.",
            "",
        ]
        assert [(cell.queries, cell.documents) for cell in cells] == [(6, 7), (0, 6), (0, 7), (6, 6)]
        assert cells[1].metrics == cells[1].differences == ()

    def test_intervals_draw_labels_where_these_were_held_out(self) -> None:
        units = Units(LABELS, np.array([0, 0, 1, 1, 2, 2]), np.array([0, 0, 0, 1, 1, 1, 2]))
        corpus = self.corpus(SplitRule.GROUP, units)
        _, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(6), metrics=METRICS, seed=1)
        drawn_labels = {self.trained.labels[int(each[1:])] for each in corpus.queries.ids} - {"x"}
        assert [cell.differences[0].units for cell in cells] == [3, 3, len(drawn_labels), len(drawn_labels)]

    @pytest.mark.parametrize("name", [QUERIES, LABELS])
    def test_held_out_and_training_queries_are_never_one_unit(self, name: str) -> None:
        corpus = self.corpus(SplitRule.GROUP, Units(name, np.array([0, 0, 1, 1, 2, 2]), np.zeros(7, np.int64)))
        units = corpus.part(np.arange(12), np.arange(20)).units
        assert units is not None
        assert (units.name, units.index.size, units.queries[:6].tolist()) == (name, 20, [0, 0, 1, 1, 2, 2])
        labels = {self.trained.labels[int(each[1:])] for each in corpus.queries.ids}
        assert units.queries[6:].min() == 3
        assert np.unique(units.queries[6:]).size == (6 if name == QUERIES else len(labels))
        assert self.corpus().part(np.arange(12), np.arange(20)).units is None


class TestPairs:
    """Groups of connected pairs held out whole, and a source that divides its judgments itself."""

    def corpus(self, rule: str, shared: bool) -> WholeCorpus:
        queries, index = pool("q", "...."), pool("d", "......")
        pairs = {("q0", "d0"), ("q1", "d1"), ("q1", "d2"), ("q2", "d3"), ("q3", "d4")}
        judgments = Judgments.from_pairs(
            queries.ids, index.ids, *map(list, zip(*sorted(pairs), strict=True)), [1.0] * 5
        )
        asked, found = pool("s", "xxyyz"), pool("d" if shared else "t", "xxy")
        trained = (
            ["s0", "s1", "s2", "s3", "s4"],
            [f"{found.ids[0][0]}{row}" for row in (0, 0, 1, 2, 2)],
            [1, 1, 1, 2, 0],
        )
        self.pairs = pairs | {ends for *ends, gain in zip(*trained, strict=True) if gain for ends in [tuple(ends)]}
        units = Units(GROUPS, np.array([0, 1, 2, 2]), np.arange(6))
        held = held_out(queries, index, judgments, False, units)
        return join_corpus(held, TrainingDocuments(asked, found, tuple(map(list, trained))), rule, 0)

    def relevant(self, one: str, other: str) -> bool:
        return (one, other) in self.pairs

    def test_groups(self) -> None:
        corpus = self.corpus(SplitRule.GROUP, False)
        told, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(4), metrics=METRICS, seed=1)
        what = "Whole groups of connected pairs were held out, so nothing that is relevant to"
        assert [cell.why for cell in cells] == [
            "",
            f"{what} a held-out query was trained on.",
            f"{what} a training query was held out.",
            "",
        ]
        new, seen = cells[0], cells[3]
        assert value(new, "tuned") == pytest.approx(
            told.ndcg("tuned", corpus.held_out.documents.query_ids, corpus.held_out.documents.index_ids), abs=1e-12
        )
        assert value(seen, "tuned") == pytest.approx(
            told.ndcg("tuned", corpus.queries.ids, corpus.documents.ids), abs=1e-12
        )
        assert len(corpus.queries.ids) == 4
        assert (new.differences[0].units, new.differences[0].unit) == (3, "groups of connected pairs")

    def test_one_corpus_for_all(self) -> None:
        corpus = self.corpus(OFFICIAL_RULE, True)
        assert corpus.documents.ids == []
        assert corpus.seen.tolist() == [True, True, True, False, False, False]
        told, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(4), metrics=METRICS, seed=1)
        queries = corpus.held_out.documents.query_ids
        for cell, documents in zip(cells[:2], (["d3", "d4", "d5"], ["d0", "d1", "d2"]), strict=True):
            assert value(cell, "base") == pytest.approx(told.ndcg("base", queries, documents), abs=1e-12)
            assert (cell.queries, cell.documents) == (2, 3)
        assert cells[2].why == "Nothing that is relevant to a training query is among the new documents."
        assert value(cells[3], "tuned") == pytest.approx(
            told.ndcg("tuned", corpus.queries.ids, ["d0", "d1", "d2"]), abs=1e-12
        )

    def test_seen_documents_between_new_ones(self) -> None:
        corpus = self.corpus(OFFICIAL_RULE, True)
        corpus.seen[:] = [True, False, True, True, False, True]
        told, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(4), metrics=METRICS, seed=1)
        queries = corpus.held_out.documents.query_ids
        for cell, documents in zip(cells[:2], (["d1", "d4"], ["d0", "d2", "d3", "d5"]), strict=True):
            assert value(cell, "tuned") == pytest.approx(told.ndcg("tuned", queries, documents), abs=1e-12)

    def test_where_everything_was_trained_on(self) -> None:
        corpus = self.corpus(OFFICIAL_RULE, True)
        corpus.seen[:] = True
        _, sides = drawn(corpus, self.relevant)
        cells = measure_cells(corpus, sides, np.arange(4), metrics=METRICS, seed=1)
        assert cells[0].why == cells[2].why == "All documents were trained on."
        corpus.seen[:] = False
        cells = measure_cells(corpus, sides, np.arange(4), metrics=METRICS, seed=1)
        assert cells[1].why == cells[3].why == "No document was trained on."


class TestReading:
    """The training folder of each layout as queries and documents."""

    def read(self, build, tmp_path: Path, layout: Layout, rows: list[tuple], *kind: object) -> TrainingDocuments:
        built = build(layout, rows, BuildOptions(eval_share=0.3), *kind)
        self.trained = built.rows(Split.TRAIN)
        return read_training(built.train, tmp_path)

    def test_labels(self, build, tmp_path: Path) -> None:
        found = self.read(build, tmp_path, Layout.LABELLED, [(f"{one}{n}", one) for one in "ab" for n in range(20)])
        assert found.queries is found.index
        assert found.pairs is None
        assert found.index.labels == [row["label"] for row in self.trained]
        assert found.index.contents.texts() == [row["text"] for row in self.trained]

    def test_pairs(self, build, tmp_path: Path) -> None:
        rows = [(f"query {n}", f"document {n}") for n in range(20)]
        found = self.read(build, tmp_path, Layout.PAIRS, rows)
        names = {row["id"]: row["text"] for row in self.trained}
        assert found.pairs is not None
        queries, documents, gains = found.pairs
        assert {(names[one], names[other]) for one, other in zip(queries, documents, strict=True)} < set(rows)
        assert set(gains) == {1.0}
        assert sorted(found.queries.ids) == sorted(queries)
        assert sorted(found.index.ids) == sorted(documents)
        assert all(name.startswith("query") for name in found.queries.contents.texts())
        assert all(name.startswith("document") for name in found.index.contents.texts())

    def test_one_text_on_both_sides(self, build, tmp_path: Path) -> None:
        rows = [(f"a{n}", f"b{n}") for n in range(9)] + [(f"b{n}", f"c{n}") for n in range(9)]
        found = self.read(build, tmp_path, Layout.PAIRS, rows)
        assert {name[0] for name in found.queries.contents.texts()} == {"a", "b"}
        assert {name[0] for name in found.index.contents.texts()} == {"b", "c"}

    def test_scores(self, build, tmp_path: Path) -> None:
        rows = [(f"first {n // 2}", f"second {n}", n % 3 / 2) for n in range(40)]
        found = self.read(build, tmp_path, Layout.SCORED, rows)
        assert found.pairs is not None
        names = {row["first_id"]: row["first"] for row in self.trained}
        names |= {row["second_id"]: row["second"] for row in self.trained}
        judged = [(names[one], names[other], gain) for one, other, gain in zip(*found.pairs, strict=True)]
        assert set(judged) < set(rows)
        assert len(judged) == len(self.trained)
        assert len(found.queries.ids) == len(set(found.queries.ids)) == len({one for one, _, _ in judged})
        assert found.queries.contents.texts() == [names[each] for each in found.queries.ids]

    def test_texts_and_images(self, build, tmp_path: Path) -> None:
        rows = [(f"a picture {n}", f"{n}.png") for n in range(20)]
        found = self.read(build, tmp_path, Layout.TEXT_IMAGE, rows, (Modality.TEXT, Modality.IMAGE))
        assert found.index.contents.kinds == {Modality.IMAGE}
        assert found.pairs is not None
        assert set(found.pairs[2]) == {1.0}
        assert len(found.pairs[0]) == len(found.index.ids) == len(self.trained)
