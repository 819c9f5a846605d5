"""What a split promises, for random tables and for the corner cases."""

import dataclasses
import random
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedtune.documents.build import BuildOptions
from embedtune.documents.distinct_contents import content_key, fingerprint, read_contents
from embedtune.documents.document_set import build_document_set
from embedtune.documents.row_uses import Use
from embedtune.documents.schema import Split
from embedtune.documents.split_checks import verify_no_leak
from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Layout

WORDS = ("red", "green", "blue", "tea", "cup")
SPELLINGS = (str, str.upper, str.title, lambda text: text.replace(" ", "\u00a0"))

texts = st.builds(
    lambda words, spell: spell(" ".join(words)),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=4),
    st.sampled_from(SPELLINGS),
)
random_rows = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def labelled(labels: int, each: int) -> list[tuple[str, str]]:
    return [(f"text {label} {number}", f"label {label}") for label in range(labels) for number in range(each)]


def pairs(count: int) -> list[tuple[str, str]]:
    return [(f"query {number}", f"document {number}") for number in range(count)]


def keys(contents: set[str]) -> set[str]:
    return {content_key(text) for text in contents}


def sides(built) -> dict[Split, set[str]]:
    return {split: built.texts(split) for split in Split}


class TestPromises:
    @random_rows
    @given(
        st.lists(
            st.tuples(texts, st.sampled_from([f"label {number}" for number in range(12)])), min_size=10, max_size=80
        ),
        st.sampled_from(["auto", "group", "stratified"]),
        st.integers(0, 2**63 - 1),
    )
    def test_labelled(self, build, rows, split, seed):
        rows += [(f"{text} base", label) for text, label in labelled(5, 8)]
        built = build(Layout.LABELLED, rows, BuildOptions(split=split, seed=seed, max_bad_share=1))
        labels_of = defaultdict(set)
        for text, label in rows:
            labels_of[text].add(label)
        expected = {text: labels.pop() for text, labels in labels_of.items() if len(labels) == 1}
        documents = [row for part in Split for row in built.rows(part)]
        assert {row["text"]: row["label"] for row in documents} == expected
        assert len(documents) == len(expected)

        assert keys(built.texts(Split.TRAIN)).isdisjoint(keys(built.held_out()))
        assert keys(built.texts(Split.QUERY)).isdisjoint(keys(built.texts(Split.INDEX)))
        in_index = {row["label"] for row in built.rows(Split.INDEX)}
        assert all(row["label"] in in_index for row in built.rows(Split.QUERY))
        if built.summary.split_rule == "group":
            known = {row["label"] for row in built.rows(Split.TRAIN)}
            assert known.isdisjoint(in_index)
        bad = sum(text not in expected for text, _ in rows)
        assert (built.summary.quarantined, built.summary.duplicates) == (bad, len(rows) - bad - len(expected))

    @random_rows
    @given(st.lists(st.tuples(texts, texts), min_size=1, max_size=15), st.integers(0, 2**63 - 1))
    def test_pairs(self, build, rows, seed):
        rows += pairs(20)
        built = build(Layout.PAIRS, rows, BuildOptions(seed=seed, max_bad_share=1))
        usable = [pair for pair in rows if content_key(pair[0]) != content_key(pair[1])]
        distinct = {(content_key(query), content_key(document)) for query, document in usable}
        train, evaluation = built.pairs(built.train), built.pairs(built.evaluation)
        judged = [(content_key(query), content_key(document)) for query, document in (*train, *evaluation)]
        assert sorted(judged) == sorted(distinct)
        bad = len(rows) - len(usable)
        assert (built.summary.quarantined, built.summary.duplicates) == (bad, len(usable) - len(distinct))
        documents = {row["id"]: row["text"] for split in Split for row in built.rows(split)}
        assert len(keys(set(documents.values()))) == len(documents)
        assert set(documents.values()) <= {text for pair in usable for text in pair}

        assert keys(built.texts(Split.TRAIN)).isdisjoint(keys(built.held_out()))
        assert built.texts(Split.TRAIN) == {text for pair in train for text in pair}
        assert built.texts(Split.QUERY) == {query for query, _ in evaluation}
        assert built.texts(Split.INDEX) == {document for _, document in evaluation}
        for row in built.rows(Split.TRAIN):
            ends = (any(row["text"] == end for end in side) for side in zip(*train, strict=True))
            assert row["role"] == {(1, 0): "query", (0, 1): "document", (1, 1): "both"}[tuple(map(int, ends))]

    @random_rows
    @given(st.integers(0, 2**63 - 1), st.sampled_from(["labelled", "pairs"]), st.randoms())
    def test_does_not_depend_on_the_row_order(self, build, seed, layout, shuffler: random.Random):
        spelled = [("query 1", "document 2"), ("QUERY 1", "Document 3"), ("Query 4", "DOCUMENT 4")]
        rows = labelled(12, 9) + labelled(3, 5) if layout == "labelled" else [*pairs(20), *spelled]
        shuffled = rows[:]
        shuffler.shuffle(shuffled)
        options = BuildOptions(seed=seed)
        first, second = (build(Layout(layout), order, options) for order in (rows, shuffled))
        for split in Split:
            assert sorted(map(str, first.rows(split))) == sorted(map(str, second.rows(split)))

    @pytest.mark.parametrize(("layout", "rows"), [(Layout.LABELLED, labelled(20, 8)), (Layout.PAIRS, pairs(60))])
    def test_seed_decides(self, build, layout, rows):
        first, again, other = (build(layout, rows, BuildOptions(seed=seed)) for seed in (1, 1, 2))
        assert sides(first) == sides(again)
        assert sides(first) != sides(other)

    def test_old_texts_mostly_stay_on_their_side_when_data_grow(self, build):
        before = build(Layout.PAIRS, pairs(400), BuildOptions())
        after = build(Layout.PAIRS, pairs(440), BuildOptions())
        moved = after.held_out() & before.texts(Split.TRAIN)
        assert len(moved) < 0.05 * len(before.texts(Split.TRAIN))

    def test_two_spellings_in_two_documents_of_pairs_would_be_noticed(self, write_rows, tmp_path):
        contents = read_contents([write_rows(tmp_path / "rows", Layout.PAIRS, [("query", "document")])])
        prints = fingerprint(contents.values, len(contents.values), True, 1, lambda done: None)
        corpus = build_document_set(contents, prints, np.array([Use.OPEN], np.int8))
        held, none = np.array([True, True]), np.array([False, False])
        verify_no_leak(corpus, none, held, held)
        with pytest.raises(RuntimeError, match="A content of pairs is in two documents"):
            verify_no_leak(dataclasses.replace(corpus, keys=np.array([0, 0])), none, held, held)


class TestStratified:
    def test_holds_out_a_share_of_each_label(self, build):
        built = build(Layout.LABELLED, labelled(6, 20), BuildOptions(split="stratified", eval_share=0.25))
        held = [row["label"] for split in (Split.QUERY, Split.INDEX) for row in built.rows(split)]
        assert Counter(held) == {f"label {number}": 5 for number in range(6)}
        assert Counter(row["label"] for row in built.rows(Split.QUERY)) == {f"label {number}": 2 for number in range(6)}

    def test_labels_with_few_texts_stay_in_training(self, build):
        small = [(f"{text} small", f"small {label}") for text, label in labelled(5, 3)]
        spelled = [(spelling, "spelled") for spelling in ("one", "One", "ONE", "two", "Two", "three")]
        built = build(Layout.LABELLED, labelled(6, 20) + small + spelled, BuildOptions(split="stratified"))
        assert {text for text, _ in small + spelled} <= built.texts(Split.TRAIN)

    def test_small_shares_are_held_out_by_twos(self, build):
        # 30 labels x 5 texts x 0.2 = 1 text a label: 15 labels give two instead.
        built = build(Layout.LABELLED, labelled(30, 5), BuildOptions(split="stratified"))
        assert (built.summary.query.documents, built.summary.index.documents) == (15, 15)
        assert built.summary.query.labels == 15

    def test_shared_content_stays_in_training(self, build):
        rows = [*labelled(4, 10), ("Shared words", "label 0"), ("shared words", "label 1")]
        for seed in range(10):
            built = build(Layout.LABELLED, rows, BuildOptions(split="stratified", seed=seed))
            assert {"Shared words", "shared words"} <= built.texts(Split.TRAIN)

    def test_is_refused_for_pairs(self, build):
        with pytest.raises(ConfigError, match="split='stratified' needs labelled rows"):
            build(Layout.PAIRS, pairs(20), BuildOptions(split="stratified"))

    def test_needs_labels_with_enough_texts(self, build):
        with pytest.raises(InputError, match=r"gives 0 queries.*use split='group'"):
            build(Layout.LABELLED, labelled(20, 3), BuildOptions(split="stratified"))


class TestGroup:
    def test_holds_out_whole_labels(self, build):
        built = build(Layout.LABELLED, labelled(50, 4), BuildOptions(split="group"))
        assert built.summary.train.documents == 160
        assert (built.summary.query.documents, built.summary.index.documents) == (20, 20)
        assert built.summary.relevant_per_query == 2.0

    def test_labels_with_a_shared_content_stay_together(self, build):
        rows = [*labelled(20, 4), ("Shared words", "label 0"), ("shared words", "label 1")]
        for seed in range(20):
            built = build(Layout.LABELLED, rows, BuildOptions(split="group", seed=seed))
            known = {row["label"] for row in built.rows(Split.TRAIN)}
            assert ("label 0" in known) == ("label 1" in known)
            assert len({"Shared words", "shared words"} & built.texts(Split.QUERY)) == 0

    def test_label_with_one_text_is_only_a_distractor(self, build):
        rows = labelled(10, 4) + [(f"lone {number}", f"lone {number}") for number in range(100)]
        built = build(Layout.LABELLED, rows, BuildOptions(split="group", eval_share=0.5))
        assert not any(row["label"].startswith("lone") for row in built.rows(Split.QUERY))
        assert any(row["label"].startswith("lone") for row in built.rows(Split.INDEX))

    def test_giant_group_stays_in_training_with_a_warning(self, build):
        rows = pairs(20) + [(f"question {number}", "Thanks!") for number in range(60)]
        built = build(Layout.PAIRS, rows, BuildOptions())
        assert "Thanks!" in built.texts(Split.TRAIN)
        assert built.summary.largest_group_share == pytest.approx(61 / 101)
        assert any("holds 60%" in warning and "'Thanks!' in 60 pairs" in warning for warning in built.summary.warnings)

    def test_large_groups_are_not_favoured(self, build):
        lone = [(f"lone {number}", f"lone {number}") for number in range(160)]
        held = 0
        for seed in range(30):
            built = build(Layout.LABELLED, labelled(40, 4) + lone, BuildOptions(split="group", seed=seed))
            held += sum(not text.startswith("lone") for text in built.held_out())
        assert held / (30 * 160) == pytest.approx(0.2, abs=0.03)

    def test_at_least_two_groups_are_held_out(self, build):
        built = build(Layout.LABELLED, labelled(5, 10), BuildOptions(split="group"))
        assert built.summary.index.labels == 2
        assert any("40.0% of the documents are held out instead of 20.0%" in text for text in built.summary.warnings)

    def test_text_with_both_roles_is_query_and_index_document(self, build):
        rows = [row for number in range(40) for row in ((f"a {number}", f"b {number}"), (f"b {number}", f"c {number}"))]
        built = build(Layout.PAIRS, rows, BuildOptions())
        both = {row["id"] for row in built.rows(Split.QUERY)} & {row["id"] for row in built.rows(Split.INDEX)}
        assert len(both) == 8
        assert {row["text"][0] for row in built.rows(Split.INDEX) if row["id"] in both} == {"b"}

    def test_label_is_the_smallest_id_of_the_component(self, build):
        built = build(Layout.PAIRS, [*pairs(20), ("QUERY 3", "document 4")], BuildOptions())
        members = defaultdict(set)
        for row in (row for split in Split for row in built.rows(split)):
            members[row["label"]].add(row["id"])
        assert all(label == min(ids) for label, ids in members.items())
        labels = {content_key(row["text"]): row["label"] for split in Split for row in built.rows(split)}
        assert len({labels[text] for text in ("query 3", "document 3", "document 4", "query 4")}) == 1


class TestAuto:
    def test_enough_texts_per_label_means_stratified(self, build):
        summary = build(Layout.LABELLED, labelled(10, 8) + labelled(20, 2), BuildOptions()).summary
        assert summary.split_rule == "stratified"

    def test_few_texts_per_label_means_group(self, build):
        rows = labelled(4, 8) + [(f"{text} few", f"few {label}") for text, label in labelled(20, 2)]
        summary = build(Layout.LABELLED, rows, BuildOptions()).summary
        assert summary.split_rule == "group"
        assert summary.split_reason.startswith("44% of the documents have labels with at least 8 different texts")

    def test_pairs_mean_group(self, build):
        summary = build(Layout.PAIRS, pairs(20), BuildOptions()).summary
        assert summary.split_rule == "group"
        assert "(20 groups)" in summary.split_reason


class TestRefusals:
    def test_one_label(self, build):
        with pytest.raises(InputError, match="All 9 documents have the label 'label 0'"):
            build(Layout.LABELLED, labelled(1, 9), BuildOptions())

    def test_one_component(self, build):
        rows = [(f"question {number}", "Thanks!") for number in range(30)]
        with pytest.raises(InputError, match=r"hang together in one group .*'Thanks!' in 30 pairs"):
            build(Layout.PAIRS, rows, BuildOptions())

    def test_nothing_left_to_train_on(self, build):
        with pytest.raises(InputError, match="1 groups of connected pairs have at least two different contents"):
            build(Layout.PAIRS, pairs(3), BuildOptions())

    @pytest.mark.parametrize("count", [2, 3])
    def test_whole_labels_need_four_of_them(self, build, count):
        message = (
            rf"whole labels takes 4 of them, .* but there are {count}\. Add rows with other labels, or use split='st"
        )
        with pytest.raises(InputError, match=message):
            build(Layout.LABELLED, labelled(count, 10), BuildOptions(split="group"))
        build(Layout.LABELLED, labelled(4, 10), BuildOptions(split="group"))
        with pytest.raises(
            InputError, match=rf"of connected pairs takes 4 of them, .* there are {count}\. Add pairs that"
        ):
            build(Layout.PAIRS, pairs(count), BuildOptions())

    def test_only_single_texts(self, build):
        with pytest.raises(InputError, match="0 labels have at least two different contents"):
            build(Layout.LABELLED, labelled(40, 1), BuildOptions())
