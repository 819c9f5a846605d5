"""All of a source held out: today's queries, say, which nobody trains on."""

from pathlib import Path

import pytest

from embedtune.documents.build import BuildOptions, hold_out_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.summary import SUMMARY_FILE, DataSummary
from embedtune.errors import InputError
from embedtune.records.layouts import Layout


class HeldOut:
    """What was written, read back."""

    def __init__(self, folder: Path, rows: Path) -> None:
        self.summary = hold_out_documents(rows, folder / "held", folder / "aside.csv", BuildOptions(seed=3))
        self.folder = folder / "held"
        tables = {split: BuiltFolder.open(self.folder).table(split) for split in (Split.QUERY, Split.INDEX)}
        self.queries, self.index = (tables[split]["text"].to_pylist() for split in (Split.QUERY, Split.INDEX))
        self.names = {one["id"]: one["text"] for table in tables.values() for one in table.to_pylist()}

    @property
    def gains(self) -> dict[tuple[str, str], float]:
        rows = BuiltFolder.open(self.folder).relevance().to_pylist()
        return {(self.names[row["query_id"]], self.names[row["document_id"]]): row["relevance"] for row in rows}


@pytest.fixture
def held(tmp_path: Path, write_rows):
    return lambda layout, rows: HeldOut(tmp_path, write_rows(tmp_path / "rows.parquet", layout, rows))


def test_every_pair_is_held_out_whatever_hangs_together(held) -> None:
    rows = [("how late", "hours"), ("when open", "hours"), ("when open", "address"), ("where", "address")]
    found = held(Layout.PAIRS, rows)
    assert sorted(found.queries) == ["how late", "when open", "where"]
    assert sorted(found.index) == ["address", "hours"]
    assert found.gains == dict.fromkeys(rows, 1.0)
    assert {shard.split for shard in read_manifest(found.folder).shards} == {Split.QUERY, Split.INDEX}
    assert DataSummary.load(found.folder / SUMMARY_FILE) == found.summary
    assert (found.summary.split_rule, found.summary.eval_share, found.summary.train.documents) == ("group", 1.0, 0)
    assert found.summary.split_reason.startswith("Everything is held out. ")
    assert not any("eval_share" in warning for warning in found.summary.warnings)


def test_half_of_each_label_searches_the_other_half(held) -> None:
    found = held(Layout.LABELLED, [(f"{label} {number}", label) for label in ("cat", "dog") for number in range(10)])
    assert len(found.queries) == len(found.index) == 10
    assert sorted(found.queries + found.index) == sorted(
        f"{one} {each}" for one in ("cat", "dog") for each in range(10)
    )
    assert (sum(text.startswith("cat") for text in found.queries), found.summary.split_rule) == (5, "stratified")


def test_a_corpus_is_searched_whole(held) -> None:
    corpus = [(None, f"passage {number}", 0.0, "") for number in range(30)]
    found = held(Layout.BEIR, [(f"query {number}", f"passage {number}", 1.0, "test") for number in range(5)] + corpus)
    assert (len(found.queries), len(found.index)) == (5, 30)


def test_of_a_benchmark_that_divides_its_judgments_those_of_its_evaluation_count(held) -> None:
    corpus = [(None, f"passage {number}", 0.0, "") for number in range(30)]
    judged = [(f"query {number}", f"passage {number}", 1.0, "train" if number < 20 else "test") for number in range(25)]
    found = held(Layout.BEIR, judged + corpus)
    assert sorted(found.queries) == [f"query {number}" for number in range(20, 25)]
    assert (len(found.index), found.summary.split_rule, found.summary.train.documents) == (30, "official", 0)


def test_the_least_that_can_be_measured(held) -> None:
    found = held(Layout.PAIRS, [("a", "b"), ("a", "c")])
    assert (found.queries, sorted(found.index)) == (["a"], ["b", "c"])


@pytest.mark.parametrize(
    ("layout", "rows", "message"),
    [
        (Layout.PAIRS, [("a", "b")], "All 2 contents held out give 1 queries and 1 documents to search in; at least 1"),
        (Layout.LABELLED, [("a", "x"), ("b", "y"), ("c", "z")], "give 0 queries and 3 documents"),
        (Layout.PLAIN, [("a",), ("b",)], "Plain texts ask for nothing"),
    ],
)
def test_what_measures_nothing_is_refused(held, layout, rows, message) -> None:
    with pytest.raises(InputError, match=message):
        held(layout, rows)
