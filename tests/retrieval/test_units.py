"""What was held out together, by hand and of folders that a split has made."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import SplitRule
from embedtune.errors import InputError
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.held_out import read_held_out
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.units import GROUPS, LABELS, QUERIES, Units, connected_pairs, single_queries, whole_labels
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from tests.tiny_data import scored_pairs, write_rows


def same(numbers: np.ndarray) -> list[list[int]]:
    """Return which rows have the same number, in the order of the first of them."""
    found: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(numbers.tolist()):
        found[number].append(row)
    return list(found.values())


def test_spellings_of_a_query_are_one_unit() -> None:
    units = single_queries(["tea", "cup", "tea"], 4)
    assert (units.name, same(units.queries), units.index.tolist()) == (QUERIES, [[0, 2], [1]], [0, 1, 2, 3])


def test_labels_that_share_a_content_are_one_unit() -> None:
    units = whole_labels(["a", "b", "c", "a", "d"], list("vwxyz"), ["b", "c", "a", "d"], ["k", "k", "l", "m"])
    assert units.name == LABELS
    assert same(units.queries) == [[0, 3], [1, 2], [4]]
    assert same(np.concatenate([units.queries, units.index])) == [[0, 3, 7], [1, 2, 5, 6], [4, 8]]


def test_a_chain_of_shared_contents_is_one_unit() -> None:
    labels, keys = ["a", "b", "c", "d"], ["1", "1", "2", "3"]
    assert same(whole_labels(labels, keys, ["b", "e"], ["2", "4"]).queries) == [[0, 1, 2], [3]]
    assert same(whole_labels(labels, ["1", "2", "3", "4"], ["a"], ["5"]).queries) == [[0], [1], [2], [3]]


def test_a_label_that_is_called_like_a_content_is_another_thing() -> None:
    assert same(whole_labels(["a", "b"], ["b", "c"], ["x"], ["a"]).queries) == [[0], [1]]


def test_units_of_an_evaluation_set_follow_its_queries() -> None:
    ids, documents = ["p", "q", "r"], ["s", "t"]
    judgments = Judgments.from_pairs(ids, documents, ids, ["s", "t", "t"], [1, 1, 1])
    units = connected_pairs(["one", "two", "two"], ["one", "two"])
    assert units.name == GROUPS
    data = EvaluationSet(ids, ids, [""] * 3, documents, documents, judgments, units=units)
    assert data.select(np.array([2, 0])).units.queries.tolist() == [1, 0]
    back = data.reversed().units
    assert (back.queries.tolist(), back.index.tolist(), back.name) == ([0, 1], [0, 1, 1], GROUPS)
    assert data.select(np.array([1])).reversed().units.index.tolist() == [1]
    for wrong in (Units(GROUPS, units.queries[:2], units.index), Units(GROUPS, units.queries, units.index[:1])):
        with pytest.raises(InputError, match="units for"):
            EvaluationSet(ids, ids, [""] * 3, documents, documents, judgments, units=wrong)


def held_out_units(folder: Path, source: Path, split: str) -> EvaluationSet:
    rows, pages = folder / "rows.parquet", (folder / "data.html", folder / "data.md")
    ingest_csv(IngestCSVConfig(str(source)), rows, folder / "q.csv")
    options = BuildOptions(split=SplitRule(split), eval_share=0.5)
    build_documents(options, rows, folder / "train", folder / "evaluation", folder / "aside.csv", *pages)
    return read_held_out(folder / "evaluation", folder).documents


def labelled(folder: Path) -> Path:
    """Labels of eight texts; each two that follow one another share a text but for its case."""
    rows = [("text", "label")]
    for number in range(16):
        rows += [(f"text {number} {place}", f"label {number}") for place in range(7)]
        rows.append((f"{'Shared' if number % 2 else 'shared'} {number // 2}", f"label {number}"))
    return write_rows(folder / "labelled.csv", rows)


def test_labels_held_out_whole(tmp_path: Path) -> None:
    data = held_out_units(tmp_path, labelled(tmp_path), "group")
    assert data.units.name == LABELS
    expected = [int(label.split()[1]) // 2 for label in data.query_labels]
    assert same(data.units.queries) == same(np.array(expected))
    assert len(same(data.units.queries)) * 2 == len(set(data.query_labels)) >= 4


def test_texts_of_known_labels(tmp_path: Path) -> None:
    data = held_out_units(tmp_path, labelled(tmp_path), "stratified")
    assert data.units.name == QUERIES
    assert same(data.units.queries) == [[row] for row in range(len(data.query_ids))]
    assert len(data.query_ids) > len(set(data.query_labels))


def test_pairs_held_out_by_component(tmp_path: Path) -> None:
    rows = [("query", "document")]
    rows += [(f"query {number}", f"document {number // 3}") for number in range(60)]
    data = held_out_units(tmp_path, write_rows(tmp_path / "pairs.csv", rows), "auto")
    assert data.units.name == GROUPS
    assert same(data.units.queries) == same(np.array([int(text.split()[1]) // 3 for text in data.query_texts]))
    assert len(same(data.units.queries)) * 3 == len(data.query_ids)
    place_of = {text.split()[1]: unit for text, unit in zip(data.index_texts, data.units.index, strict=True)}
    assert [place_of[str(int(text.split()[1]) // 3)] for text in data.query_texts] == data.units.queries.tolist()


def test_pairs_with_scores_held_out_by_component(tmp_path: Path) -> None:
    data = held_out_units(tmp_path, scored_pairs(tmp_path / "scored.csv"), "auto")
    assert data.units.name == GROUPS
    units = data.units.queries[data.scored.queries], data.units.index[data.scored.documents]
    assert units[0].tolist() == units[1].tolist()
    assert len(same(units[0])) == len(data.scored.scores)
