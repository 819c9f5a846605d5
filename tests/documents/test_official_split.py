"""BEIR sources: their own split of the judgments, and what is not judged."""

import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import InputError
from embedtune.records.layouts import Layout

CORPUS = [(None, f"passage {number}", 0.0, "") for number in range(200)]


def judged(split: str, queries: range) -> list[tuple]:
    """Each query has a relevant passage with its number, a very relevant one, and one that is not relevant."""
    return [
        (f"query {number}", f"passage {(number + step) % 200}", gain, split)
        for number in queries
        for step, gain in ((0, 1.0), (50, 2.0), (100, 0.0))
    ]


def queries(built, split: Split) -> set[str]:
    return {text for text in built.texts(split) if text.startswith("query")}


class TestOfficialSplit:
    def test_test_is_measured_on_the_whole_corpus(self, build):
        rows = judged("train", range(60)) + judged("test", range(60, 80)) + CORPUS
        built = build(Layout.BEIR, rows, BuildOptions())
        assert built.summary.split_rule == "official"
        assert built.texts(Split.QUERY) == {f"query {number}" for number in range(60, 80)}
        assert built.texts(Split.INDEX) == {f"passage {number}" for number in range(200)}
        assert queries(built, Split.TRAIN) == {f"query {number}" for number in range(60)}
        expected = {(query, document): gain for query, document, gain, _ in judged("", range(60, 80))}
        assert built.gains(built.evaluation) == expected
        assert built.summary.relevant_per_query == 2.0

    def test_training_judgments_and_roles(self, build):
        rows = judged("train", range(30)) + judged("test", range(60, 80)) + CORPUS
        built = build(Layout.BEIR, rows, BuildOptions())
        expected = {(query, document): gain for query, document, gain, _ in judged("", range(30))}
        assert built.gains(built.train) == expected
        roles = {row["text"]: row["role"] for row in built.rows(Split.TRAIN)}
        assert roles == {
            text: "query" if text.startswith("query") else "document" for pair in expected for text in pair
        }

    def test_training_labels_do_not_tell_of_evaluation_judgments(self, build):
        rows = judged("train", range(20))
        rows += [
            ("asked", "passage 1", 1.0, "test"),
            ("asked", "passage 2", 1.0, "test"),
            *judged("test", range(60, 80)),
        ]
        built = build(Layout.BEIR, rows + CORPUS, BuildOptions())
        labels = {row["text"]: row["label"] for row in built.rows(Split.TRAIN)}
        assert labels["passage 1"] != labels["passage 2"]

    @pytest.mark.parametrize(
        ("splits", "training", "measured"),
        [
            (("train", "test"), "train", "test"),
            (("train", "dev"), "train", "dev"),
            (("dev", "test"), "dev", "test"),
            (("train", "dev", "test"), "train", "test"),
            (("", "test"), None, None),
            (("test",), None, None),
            (("train",), None, None),
        ],
    )
    def test_which_split_is_for_what(self, build, splits, training, measured):
        ranges = {split: range(20 * place, 20 * place + 20) for place, split in enumerate(splits)}
        rows = [row for split, numbers in ranges.items() for row in judged(split, numbers)]
        built = build(Layout.BEIR, rows + CORPUS, BuildOptions())
        if training is None:
            assert built.summary.split_rule == "group"
            return
        assert queries(built, Split.TRAIN) == {f"query {number}" for number in ranges[training]}
        assert queries(built, Split.QUERY) == {f"query {number}" for number in ranges[measured]}
        unused = 60 if len(splits) == 3 else 0
        assert built.summary.other_judgments == unused
        assert any("split dev are used for neither" in text for text in built.summary.warnings) == bool(unused)

    def test_a_training_query_that_is_also_measured_is_dropped(self, build):
        rows = judged("train", range(30)) + judged("test", range(60, 80)) + CORPUS
        rows += [("QUERY  70", "passage 9", 1.0, "train"), ("query 3", "query 71", 1.0, "train")]
        built = build(Layout.BEIR, rows, BuildOptions())
        train = {content_key(text) for text in built.texts(Split.TRAIN)}
        assert train.isdisjoint(built.texts(Split.QUERY))
        assert built.summary.overlapping_judgments == 2
        assert any("2 training judgments are left out" in text for text in built.summary.warnings)
        # The document of the dropped judgment is still in the corpus.
        assert "query 71" in built.texts(Split.INDEX)

    def test_shared_contents_are_told(self, build):
        rows = judged("train", range(10)) + judged("test", range(60, 80)) + CORPUS
        summary = build(Layout.BEIR, rows, BuildOptions()).summary
        assert summary.shared_contents == 30
        assert summary.compared_contents == 220

    def test_judgments_of_one_split_only_are_divided_and_that_is_told(self, build):
        summary = build(Layout.BEIR, judged("test", range(60)) + CORPUS, BuildOptions()).summary
        assert summary.split_rule == "group"
        assert any("judgments of one split only (test)" in warning for warning in summary.warnings)
        both = build(Layout.BEIR, judged("train", range(10)) + judged("test", range(60, 80)) + CORPUS, BuildOptions())
        assert not any("one split only" in warning for warning in both.summary.warnings)

    def test_a_split_can_be_asked_for(self, build):
        rows = judged("train", range(60)) + judged("test", range(60, 80)) + CORPUS
        built = build(Layout.BEIR, rows, BuildOptions(split="group"))
        assert built.summary.split_rule == "group"
        assert built.texts(Split.TRAIN).isdisjoint(built.held_out())
        assert any(int(text.split()[1]) < 60 for text in queries(built, Split.QUERY))

    def test_official_judgments_may_differ_between_splits(self, build):
        rows = judged("train", range(30)) + judged("test", range(60, 80)) + CORPUS
        rows += [
            ("other", "passage 1", 1.0, "train"),
            ("again", "passage 1", 1.0, "test"),
            ("again", "passage 1", 0.0, "train"),
        ]
        assert build(Layout.BEIR, rows, BuildOptions()).summary.quarantined == 0

    def test_queries_without_a_relevant_document_are_not_measured(self, build):
        rows = judged("train", range(30)) + judged("test", range(60, 80)) + CORPUS
        built = build(Layout.BEIR, [*rows, ("lost", "passage 1", 0.0, "test")], BuildOptions())
        assert "lost" not in built.texts(Split.QUERY)
        assert built.summary.unanswered_queries == 1

    def test_too_little_to_train_on(self, build):
        rows = [("query 1", "passage 1", 1.0, "train"), *judged("test", range(60, 80)), *CORPUS]
        with pytest.raises(InputError, match="1 groups of connected pairs have at least two different contents"):
            build(Layout.BEIR, rows, BuildOptions())


class TestOwnSplit:
    def test_documents_that_nobody_judged_are_in_the_index_only(self, build):
        built = build(Layout.BEIR, judged("", range(50)) + CORPUS, BuildOptions())
        unjudged = {f"passage {number}" for number in range(150, 200)}
        assert unjudged <= built.texts(Split.INDEX)
        assert built.texts(Split.TRAIN).isdisjoint(built.held_out())
        assert built.texts(Split.TRAIN) | built.held_out() == {row[1] for row in CORPUS} | {
            f"query {number}" for number in range(50)
        }

    def test_the_share_is_of_what_is_judged(self, build):
        corpus = [(None, f"passage {number}", 0.0, "") for number in range(5000)]
        rows = [(f"query {number}", f"passage {number}", 1.0, "") for number in range(100)]
        built = build(Layout.BEIR, rows + corpus, BuildOptions())
        assert built.summary.query.documents == 20
        assert built.summary.index.documents == 20 + 4900
        assert BuiltFolder.open(built.train).relevance().num_rows == 80

    def test_a_wrong_judgment_leaves_its_document_in_the_corpus(self, build):
        rows = [*judged("", range(50)), ("same", "Same", 1.0, ""), *CORPUS]
        built = build(Layout.BEIR, rows, BuildOptions())
        assert built.summary.quarantined == 1
        assert "Same" in built.texts(Split.INDEX)
        assert "same" not in built.texts(Split.TRAIN) | built.held_out()

    def test_a_query_that_is_also_a_document(self, build):
        rows = [*judged("", range(50)), *CORPUS, *((None, f"query {number}", 0.0, "") for number in range(50))]
        built = build(Layout.BEIR, rows, BuildOptions())
        assert built.texts(Split.QUERY) <= built.texts(Split.INDEX)
        assert built.texts(Split.TRAIN).isdisjoint(built.held_out())
