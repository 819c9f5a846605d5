"""What is held out of training documents for a validation, by the rules of the evaluation's split."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedtune.documents.build import BuildOptions
from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import Split, SplitColumns, SplitRule
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.summary import SPLIT_FILE, load_split_rule
from embedtune.documents.validation_split import ValidationSplit, split_training
from embedtune.errors import InputError
from embedtune.records.layouts import Layout, Modality

LAYOUTS = [layout for layout in Layout if layout is not Layout.PLAIN]
KINDS = {Layout.TEXT_IMAGE: ((Modality.TEXT, Modality.IMAGE),)}

names = st.builds(
    lambda number, spell: spell(f"text {number}"), st.integers(0, 25), st.sampled_from([str, str.upper, str.title])
)
drawn = st.lists(st.tuples(names, names, st.sampled_from([0.0, 0.25, 1.0])), max_size=25)
random_rows = settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def rows_of(layout: Layout, cells: list[tuple[str, str, float]]) -> list[tuple]:
    """Rows of the layout: random ones, and 60 that any split can divide."""
    if layout is Layout.LABELLED:
        rows = [(first, f"label {second[-1]}") for first, second, _ in cells]
        return [*rows, *((f"base {number}", f"label {number % 6}") for number in range(60))]
    ending = ".png" if layout is Layout.TEXT_IMAGE else ""
    base = [(f"query {number}", f"document {number}", number % 4 / 4 + 0.25) for number in range(60)]
    values = len(layout.values)
    return [(first, f"{second}{ending}", *(value, "")[:values]) for first, second, value in (*cells, *base)]


def split_of(built, share: float, rule: SplitRule = SplitRule.AUTO, seed: int = 0) -> ValidationSplit:
    form = SplitColumns(read_manifest(built.train).rows_format, Split.TRAIN)
    return split_training(
        BuiltFolder.open(built.train).table(Split.TRAIN),
        form,
        BuiltFolder.open(built.train).relevance(),
        rule,
        share,
        seed,
    )


def contents_of(built) -> dict[str, str]:
    """What tells the contents of the training folder apart up to spelling, by their ids."""
    found = {}
    for row in built.rows(Split.TRAIN):
        sides = [("first_id", "first"), ("second_id", "second")] if "first_id" in row else [("id", "text")]
        for name, column in sides:
            value = row[column]
            found[row[name]] = content_key(value) if isinstance(value, str) else value
    return found


def trained_contents(built, split: ValidationSplit) -> set[str]:
    """The ids of the contents of the Documents that are still trained on."""
    kept = set(split.train.to_pylist())
    names = ("first_id", "second_id") if split_is_of_parents(built) else ("id",)
    return {row[name] for row in built.rows(Split.TRAIN) if row["id"] in kept for name in names}


def split_is_of_parents(built) -> bool:
    return read_manifest(built.train).layout.has_parents


class TestPromises:
    @random_rows
    @given(st.sampled_from(LAYOUTS), drawn, st.sampled_from([0.1, 0.3]), st.integers(0, 2**32 - 1))
    def test_no_content_is_on_both_sides(self, build, layout, cells, share, seed):
        built = build(layout, rows_of(layout, cells), BuildOptions(seed=seed, max_bad_share=1), *KINDS.get(layout, ()))
        split, known = split_of(built, share, seed=seed), contents_of(built)
        trained = {known[each] for each in trained_contents(built, split)}
        queries, index = ({known[each] for each in ids.to_pylist()} for ids in (split.queries, split.index))
        assert queries
        assert index
        assert trained.isdisjoint(queries | index)
        assert trained | queries | index <= set(known.values())
        self._check_judgments(layout, split, trained_contents(built, split))

    def _check_judgments(self, layout, split, trained):
        if layout is Layout.LABELLED:
            assert split.relevance is split.train_relevance is None
            return
        queries, index = set(split.queries.to_pylist()), set(split.index.to_pylist())
        judged = split.relevance.to_pylist()
        assert {row["query_id"] for row in judged} == queries
        assert {row["query_id"] for row in judged if row["relevance"] > 0} == queries
        assert {row["document_id"] for row in judged} <= index
        if layout.has_parents:
            assert split.train_relevance is None
        else:
            ends = [(row["query_id"], row["document_id"]) for row in split.train_relevance.to_pylist()]
            assert {end for pair in ends for end in pair} == trained

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_about_the_share_is_held_out_and_the_seed_decides(self, build, layout):
        built = build(layout, rows_of(layout, []), BuildOptions(), *KINDS.get(layout, ()))
        documents = len(built.rows(Split.TRAIN))
        splits = [split_of(built, 0.25, seed=seed) for seed in (1, 1, 2)]
        assert len(splits[0].train) == pytest.approx(0.75 * documents, abs=2)
        assert splits[0].train.equals(splits[1].train)
        assert not splits[0].train.equals(splits[2].train)
        assert splits[0].rule is (SplitRule.STRATIFIED if layout is Layout.LABELLED else SplitRule.GROUP)


def test_whole_labels_are_held_out_where_the_evaluation_held_out_whole_ones(build):
    built = build(Layout.LABELLED, rows_of(Layout.LABELLED, []), BuildOptions(split="group"))
    labels = {row["id"]: row["label"] for row in built.rows(Split.TRAIN)}
    rule = load_split_rule(built.train)
    assert rule is SplitRule.GROUP
    split = split_of(built, 0.4, rule)
    known = {labels[each] for each in split.train.to_pylist()}
    assert known.isdisjoint(labels[each] for each in split.queries.to_pylist() + split.index.to_pylist())
    by_default = split_of(built, 0.4, SplitRule.AUTO)
    assert {labels[each] for each in by_default.train.to_pylist()} == set(labels.values())


@pytest.mark.parametrize(
    ("split", "expected"), [("auto", SplitRule.STRATIFIED), ("stratified", SplitRule.STRATIFIED), ("group", "group")]
)
def test_the_training_folder_says_by_which_rule(build, split, expected):
    built = build(Layout.LABELLED, rows_of(Layout.LABELLED, []), BuildOptions(split=split))
    assert load_split_rule(built.train) == expected
    digest = read_manifest(built.train).digest
    (built.train / SPLIT_FILE).write_text(json.dumps({"rule": "official"}), encoding="utf-8")
    assert load_split_rule(built.train) is SplitRule.AUTO
    (built.train / SPLIT_FILE).write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match=r"split\.json is damaged\. Build the documents again"):
        load_split_rule(built.train)
    (built.train / SPLIT_FILE).unlink()
    assert load_split_rule(built.train) is SplitRule.AUTO
    assert read_manifest(built.train).digest == digest


def test_documents_that_nobody_judged_are_searched_in_and_not_trained_on(build):
    built = build(Layout.MATCHES, rows_of(Layout.MATCHES, []), BuildOptions())
    documents, relevance = BuiltFolder.open(built.train).table(Split.TRAIN), BuiltFolder.open(built.train).relevance()
    unjudged = set(relevance.slice(0, 5)["document_id"].to_pylist())
    form = SplitColumns(read_manifest(built.train).rows_format, Split.TRAIN)
    split = split_training(documents, form, relevance.slice(5), SplitRule.AUTO, 0.2, 0)
    assert unjudged <= set(split.index.to_pylist())
    assert unjudged.isdisjoint(split.train.to_pylist())
    assert unjudged.isdisjoint(split.queries.to_pylist())


def test_too_little_to_hold_out_is_refused_by_the_name_of_the_option(build):
    rows = [(f"query {number}", f"document {number}") for number in range(8)]
    built = build(Layout.PAIRS, rows, BuildOptions(eval_share=0.4))
    assert len(built.rows(Split.TRAIN)) == 2 * 5
    with pytest.raises(InputError) as caught:
        split_of(built, 0.9)
    assert str(caught.value) == (
        "train_options: validation_share is 0.9, but so much of the training documents cannot be held out. 0 groups "
        "of connected pairs have at least two different contents among the 0 of 10 documents left for training with "
        "validation_share=0.9; at least 2 are needed. Add rows, or lower validation_share. Or leave validation_share "
        "at 0: then nothing is validated on."
    )
