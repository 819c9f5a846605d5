"""Labels that look alike, and contents that stand for nothing."""

import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.data_warnings import lists_of_labels, look_alikes
from embedtune.records.layouts import Layout
from embedtune.text import excerpt


def labelled(texts=10, labels=4):
    return [(f"text {n} of {label}", f"topic {label}") for label in range(labels) for n in range(texts)]


def about(built, what):
    return [warning for warning in built.summary.warnings if what in warning]


class TestLookAlikes:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("Straße", "STRASSE"),
            ("café", "cafe\u0301"),
            ("ﬁnance", "finance"),
            ("ＶＩＰ", "vip"),
            ("refund", "re\u00adfund"),
            ("refund", "refund\u200b"),
            ("new card", "new  card"),
            ("new card", "new\u00a0card"),
            ("refund", "Refund."),
            ("refund", "refund …"),
            ("返金", "返金。"),
        ],
    )
    def test_pairs(self, one, other):
        assert look_alikes({one: 3, "quite different": 9, other: 5}) == [[(other, 5), (one, 3)]]

    @pytest.mark.parametrize(
        ("one", "other"),
        [("C", "C#"), ("C", "C++"), ("?", "!"), (":)", ":("), ("a", "á"), ("1", "-1"), ("1", "1.5"), ("a b", "ab")],
    )
    def test_others_are_left_alone(self, one, other):
        assert look_alikes({one: 3, other: 5}) == []

    def test_the_build_tells_them_with_their_rows_and_keeps_them_apart(self, build):
        rows = [
            *labelled(),
            *((f"more {n}", "Topic 1.") for n in range(8)),
            *((f"and {n}", "TOPIC 2") for n in range(9)),
        ]
        built = build(Layout.LABELLED, rows, BuildOptions())
        assert about(built, "look like") == [
            "4 labels look like another one. Make them one in the data where they mean the same, for what has the one "
            "is taken as not relevant to what has the other: 'topic 2' (10 rows) and 'TOPIC 2' (9 rows); 'topic 1' "
            "(10 rows) and 'Topic 1.' (8 rows)."
        ]
        assert len(built.summary.label_histogram) == 6

    def test_a_decomposed_letter_is_spelt_out(self, build):
        rows = [(f"text {n}", ("caf\u00e9", "cafe\u0301", "bar")[n % 3]) for n in range(60)]
        assert (
            r"'café' (20 rows) and 'cafe\u0301' (20 rows)"
            in about(build(Layout.LABELLED, rows, BuildOptions()), "look")[0]
        )

    def test_few_of_many_are_shown(self, build):
        rows = [(f"text {n}", f"{'topic' if n % 2 else 'Topic'} {n // 2 % 8}") for n in range(160)]
        (warning,) = about(build(Layout.LABELLED, rows, BuildOptions()), "look like")
        assert warning.startswith("16 labels look like another one")
        assert warning.count(" and 'topic") == 5
        assert warning.endswith("; and 3 more such groups.")


class TestListsOfLabels:
    @pytest.mark.parametrize("form", ["{}|{}", "{};{}", "{}, {}", "['{}', '{}']"])
    def test_the_build_tells_them(self, build, form):
        kinds = ["late", "broken", "refund"]
        rows = [(f"text {n}", form.format(kinds[n % 3], kinds[(n + 1) % 3])) for n in range(60)]
        assert about(build(Layout.LABELLED, rows, BuildOptions()), "lists") == [
            f"3 labels seem to be lists of several, such as {excerpt(form.format('late', 'broken'))}. A row has one "
            "label: each list is one of its own, and what has another list is taken as not relevant to it. Write one "
            "label a row."
        ]

    def test_paths_and_single_labels_are_none(self):
        assert lists_of_labels(["Home, Garden", "Home, Kitchen", "Home", "Music", "Music, Pop", "a|b", "1,000"]) == []


class TestNothing:
    @pytest.mark.parametrize("text", ["nan", "NaN", "NULL", "None", r"\N", "#N/A", "n/a", "-", "(null)", "<NA>", "NaT"])
    def test_labelled(self, build, text):
        built = build(Layout.LABELLED, [*labelled(), (text, "topic 0"), (text, "topic 0")], BuildOptions())
        (warning,) = about(built, "nothing")
        assert warning.startswith(f"2 values of content are what programs write where there is nothing: {text!r} (2). ")
        assert built.summary.train.documents + built.summary.query.documents + built.summary.index.documents == 41

    def test_one_that_answers_several_queries_is_named(self, build):
        rows = [(f"query {n}", "nan" if n % 4 == 0 else f"document {n}") for n in range(60)]
        (warning,) = about(build(Layout.PAIRS, [*rows, ("NULL", "document 1")], BuildOptions()), "nothing")
        assert warning.startswith(
            "16 values of query or document are what programs write where there is nothing: 'nan' (15), 'NULL' (1); "
            "'nan' answers 15 queries, which makes these alike."
        )

    def test_plain(self, build):
        built = build(Layout.PLAIN, [("a text",), ("null",)], BuildOptions())
        assert len(about(built, "nothing: 'null' (1)")) == 1

    def test_labels_are_labels(self, build):
        rows = [(f"text {n}", ("NA", "null", "None")[n % 3]) for n in range(60)]
        assert about(build(Layout.LABELLED, rows, BuildOptions()), "nothing") == []

    def test_words_that_only_hold_them_are_texts(self, build):
        rows = [*labelled(), ("none of these", "topic 0"), ("N/A in cell 3", "topic 1")]
        assert about(build(Layout.LABELLED, rows, BuildOptions()), "nothing") == []
