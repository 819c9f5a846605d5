"""What becomes of judged pairs: scored and matches, and what all such layouts promise."""

import csv
import hashlib
from collections import Counter, defaultdict

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embedtune.documents.build import BuildOptions
from embedtune.documents.distinct_contents import content_key
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import ConfigError, InputError
from embedtune.records.layouts import Layout, Modality

TEXT_IMAGE = (Modality.TEXT, Modality.IMAGE)
PAIRED = [layout for layout in Layout if len(layout.contents) == 2]
VALUED = [layout for layout in PAIRED if layout.values]
JUDGED = [layout for layout in PAIRED if "relevance" in layout.values]

random_rows = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
names = st.builds(
    lambda number, spell: spell(f"text {number}"), st.integers(0, 25), st.sampled_from([str, str.upper, str.title])
)


def identity(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def base(layout: Layout) -> list[tuple]:
    """Forty unconnected rows, enough for any split."""
    value = 0.5 if layout is Layout.SCORED else 1.0
    return [row_of(layout, f"base query {number}", f"base document {number}", value) for number in range(40)]


def row_of(layout: Layout, first: str, second: str, value: float) -> tuple:
    """A row as the layout has it: with the value, with an empty split behind it, or with neither."""
    return (first, second, *(value, "")[: len(layout.values)])


class TestEveryLayoutOfPairs:
    @random_rows
    @given(
        st.sampled_from(PAIRED),
        st.lists(st.tuples(names, names, st.sampled_from([0.0, 0.25, 1.0])), max_size=25),
        st.integers(0, 2**63 - 1),
    )
    def test_connected_rows_are_on_one_side(self, build, layout, drawn, seed):
        rows = [row_of(layout, *row) for row in drawn]
        if layout is Layout.TEXT_IMAGE:
            rows = [(first, f"{second.lower()}.png") for first, second, _ in drawn]
        options = BuildOptions(seed=seed, max_bad_share=1)
        kind = (TEXT_IMAGE,) if layout is Layout.TEXT_IMAGE else ()
        built = build(layout, rows + base(layout), options, *kind)
        train = {content_key(text) for text in built.texts(Split.TRAIN)}
        held = {content_key(text) for text in built.held_out()}
        assert train.isdisjoint(held)
        assert (built.summary.shared_contents, built.summary.compared_contents) == (0, len(held))
        for component in nx.connected_components(nx.Graph(_connected(layout, rows))):
            assert not (component & train and component & held)
        gains = built.gains(built.evaluation)
        relevant = {query for (query, _), gain in gains.items() if gain > 0}
        assert relevant == built.texts(Split.QUERY) == {query for query, _ in gains}
        assert {document for _, document in gains} <= built.texts(Split.INDEX)

    @random_rows
    @given(st.lists(st.tuples(names, names, st.sampled_from([0.0, 1.0])), max_size=40), st.integers(0, 2**63 - 1))
    def test_labels_are_the_connected_components(self, build, rows, seed):
        built = build(Layout.MATCHES, rows + base(Layout.MATCHES), BuildOptions(seed=seed, max_bad_share=1))
        labels = {content_key(row["text"]): row["label"] for split in Split for row in built.rows(split)}
        graph = nx.Graph(_connected(Layout.MATCHES, rows + base(Layout.MATCHES)))
        graph.add_nodes_from(labels)
        groups = defaultdict(set)
        for text, label in labels.items():
            groups[label].add(text)
        assert sorted(map(sorted, groups.values())) == sorted(map(sorted, nx.connected_components(graph)))

    @random_rows
    @given(
        st.sampled_from(VALUED),
        st.lists(st.tuples(names, names, st.sampled_from([0.0, 1.0])), max_size=30),
        st.randoms(),
    )
    def test_do_not_depend_on_the_row_order(self, build, layout, drawn, shuffler):
        rows = [row_of(layout, *row) for row in drawn] + base(layout)
        shuffled = rows[:]
        shuffler.shuffle(shuffled)
        first, second = (build(layout, order, BuildOptions(max_bad_share=1)) for order in (rows, shuffled))
        for split in Split:
            assert sorted(map(str, first.rows(split))) == sorted(map(str, second.rows(split)))
        assert first.gains(first.evaluation) == second.gains(second.evaluation)

    @pytest.mark.parametrize("layout", VALUED)
    def test_contradictions_are_set_aside(self, build, layout):
        drawn = [("a", "b", 1.0), ("A", "b", 0.5), ("a", "b", 1.0), ("c", "b", 0.5)]
        wrong = [row_of(layout, *row) for row in drawn]
        built = build(layout, [*wrong, *base(layout)], BuildOptions(max_bad_share=0.1))
        with built.quarantine.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))[1:]
        reason = "the same two contents have several scores"
        if layout in JUDGED:
            reason = "the same document is judged differently for the same query"
        assert [row[:2] for row in rows] == [[line, reason] for line in ("2", "3", "4")]
        assert rows[1][2] == ("A,b,0.5," if layout is Layout.BEIR else "A,b,0.5")

    @pytest.mark.parametrize("layout", PAIRED)
    def test_stratified_is_refused(self, build, layout):
        kind = (TEXT_IMAGE,) if layout is Layout.TEXT_IMAGE else ()
        with pytest.raises(ConfigError, match=rf"split='stratified' needs labelled rows .* got {layout} \("):
            build(layout, base(layout), BuildOptions(split="stratified"), *kind)


def _connected(layout: Layout, rows: list[tuple]) -> list[tuple[str, str]]:
    keys = [(content_key(row[0]), content_key(row[1]), *row[2:3]) for row in rows]
    if layout is Layout.SCORED:
        several = _several(keys)
        return [key[:2] for key in keys if key[:2] not in several]
    usable = [key for key in keys if key[0] != key[1] and key[:2] not in _several(keys)]
    return [key[:2] for key in usable if len(key) < 3 or key[2] > 0]


def _several(keys: list[tuple]) -> set[tuple[str, str]]:
    values = defaultdict(set)
    for key in keys:
        values[key[:2]].add(key[2:])
    return {pair for pair, found in values.items() if len(found) > 1}


class TestScored:
    def test_training_documents_are_pairs_with_scores(self, build):
        rows = [(f"first {number}", f"second {number}", number / 64) for number in range(64)]
        built = build(Layout.SCORED, rows, BuildOptions())
        train = built.rows(Split.TRAIN)
        assert len(train) == built.summary.train.documents == 51
        for row in train:
            number = int(row["first"].split()[1])
            assert (row["second"], row["score"]) == (f"second {number}", number / 64)
            assert row["id"] == identity(identity(row["first"]) + identity(row["second"]))
            assert row["label"] == min(row["first_id"], row["second_id"])
        assert BuiltFolder.open(built.train).relevance() is None

    def test_scores_are_the_gains_of_the_evaluation(self, build):
        rows = [(f"first {number}", f"second {number}", 0.75) for number in range(60)]
        built = build(Layout.SCORED, rows, BuildOptions(eval_share=0.5))
        gains = built.gains(built.evaluation)
        assert set(gains.values()) == {0.75}
        assert built.texts(Split.QUERY) == {query for query, _ in gains}
        assert built.texts(Split.INDEX) == {document for _, document in gains}

    def test_equal_sentences_are_trained_on_but_not_searched_for(self, build):
        rows = [(f"Text {number}", f"text {number}", 1.0) for number in range(60)] + base(Layout.SCORED)
        built = build(Layout.SCORED, rows, BuildOptions())
        assert built.summary.quarantined == 0
        assert any(row["first"].startswith("Text") for row in built.rows(Split.TRAIN))
        assert not any(query.casefold() == document.casefold() for query, document in built.gains(built.evaluation))

    def test_a_query_whose_scores_are_all_0_is_left_out_of_the_evaluation(self, build):
        rows = [(f"first {number}", f"second {number}", float(number % 2)) for number in range(80)]
        built = build(Layout.SCORED, rows, BuildOptions(eval_share=0.5))
        assert all(int(text.split()[1]) % 2 == 1 for text in built.texts(Split.QUERY))
        assert any(int(text.split()[1]) % 2 == 0 for text in built.texts(Split.INDEX))
        without = 80 - built.summary.train.documents - built.summary.query.documents
        assert built.summary.unanswered_queries == without > 0
        assert f"{without} queries are left out, since no document is relevant to them." in built.summary.warnings

    def test_spellings_of_one_pair_are_one_document(self, build):
        rows = [("Some Text", "other text", 0.5), ("some text", "Other text", 0.5), *base(Layout.SCORED)]
        built = build(Layout.SCORED, rows, BuildOptions())
        assert built.summary.duplicates == 1
        found = [row for row in built.rows(Split.TRAIN) if row["first"].casefold() == "some text"]
        ids = [identity(identity(first) + identity(second)) for first, second, _ in rows[:2]]
        assert [row["id"] for row in found] in ([min(ids)], [])

    def test_scores_are_counted_by_tenths(self, build):
        rows = [(f"first {number}", f"second {number}", [0.25, 0.21, 1.0][number % 3]) for number in range(60)]
        assert build(Layout.SCORED, rows, BuildOptions()).summary.gain_histogram == ((0.2, 40), (1.0, 20))


class TestMatches:
    def test_wrong_answers_do_not_connect(self, build):
        # The shape of Covid QA: each wrong answer is the right one of the next question.
        rows = []
        for number in range(100):
            rows.append((f"question {number}", f"answer {number}", 1.0))
            rows.append((f"question {number}", f"answer {(number + 1) % 100}", 0.0))
        built = build(Layout.MATCHES, rows, BuildOptions())
        assert built.summary.query.documents == 20
        assert built.summary.largest_group_share == 0.01
        gains = built.gains(built.train) | built.gains(built.evaluation)
        assert Counter(gains.values())[1.0] == 100
        held = {int(text.split()[1]) for text in built.texts(Split.QUERY)}
        torn = sum((number in held) != ((number + 1) % 100 in held) for number in range(100))
        assert built.summary.torn_judgments == torn == 200 - len(gains)
        assert any(f"{torn} of 200 judged pairs are not used" in warning for warning in built.summary.warnings)

    def test_documents_relevant_to_nobody_stay_with_a_query_of_theirs(self, build):
        rows = [
            row
            for number in range(60)
            for row in ((f"q {number}", f"a {number}", 1.0), (f"q {number}", f"w {number}", 0.0))
        ]
        built = build(Layout.MATCHES, rows, BuildOptions())
        assert built.summary.torn_judgments == 0
        assert {len(built.texts(split)) % 2 for split in (Split.TRAIN,)} == {1 * (built.summary.train.documents % 2)}
        for folder in (built.train, built.evaluation):
            gains = built.gains(folder)
            assert {(query[2:], document[2:]) for query, document in gains if gains[query, document] == 0} == {
                (query[2:], query[2:]) for query, _ in gains
            }
        labels = {row["text"]: row["label"] for split in Split for row in built.rows(split)}
        assert all(labels[f"q {number}"] == labels[f"a {number}"] != labels[f"w {number}"] for number in range(60))

    def test_roles_and_labels(self, build):
        rows = [*base(Layout.MATCHES), ("base query 1", "wrong 1", 0.0), ("base query 2", "base query 1", 0.0)]
        for seed in range(9):
            built = build(Layout.MATCHES, rows, BuildOptions(seed=seed, eval_share=0.05))
            roles = {row["text"]: row["role"] for row in built.rows(Split.TRAIN)}
            if "base query 1" in roles:
                assert roles["wrong 1"] == "document"
                assert roles["base query 1"] == ("both" if "base query 2" in roles else "query")

    def test_queries_without_a_relevant_document_are_left_out(self, build):
        rows = [*base(Layout.MATCHES), ("lost", "nothing", 0.0), ("lost", "base document 3", 0.0)]
        built = build(Layout.MATCHES, rows, BuildOptions())
        assert built.summary.unanswered_queries == 1
        everything = built.texts(Split.TRAIN) | built.held_out()
        assert "lost" not in everything
        assert "nothing" in built.texts(Split.INDEX)

    @pytest.mark.parametrize("layout", JUDGED)
    def test_nothing_is_relevant(self, build, layout):
        rows = [row_of(layout, f"q {number}", f"d {number}", 0.0) for number in range(9)]
        with pytest.raises(InputError, match="None of the 9 documents is relevant to a query"):
            build(layout, rows, BuildOptions())

    def test_gains_are_counted(self, build):
        rows = [*base(Layout.MATCHES), *((f"base query {number}", f"wrong {number}", 0.0) for number in range(5))]
        assert build(Layout.MATCHES, rows, BuildOptions()).summary.gain_histogram == ((0.0, 5), (1.0, 40))

    def test_one_giant_component_names_what_joins_it(self, build):
        rows = [*base(Layout.MATCHES), *((f"question {number}", "Thanks!", 1.0) for number in range(200))]
        rows += [("base query 3", "Thanks!", 0.0)]
        summary = build(Layout.MATCHES, rows, BuildOptions()).summary
        assert summary.largest_groups[0] == ("text 'Thanks!' in 200 pairs", 201)
        assert len(summary.largest_groups) == 5
        assert any("One group of connected rows holds 72%" in warning for warning in summary.warnings)
