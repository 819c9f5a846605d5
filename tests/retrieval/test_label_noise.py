"""Labels that seem to be wrong: planted ones are found, right ones are let alone."""

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.retrieval.label_noise import Doubt, DoubtfulLabel, LabelNoise, find_doubts, write_label_noise

LABELS, EACH, DIMENSION = 20, 15, 24


def clusters(seed: int, spread: float) -> tuple[NDArray[np.float64], list[str]]:
    """Contents of each label around a direction of its own."""
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(LABELS, DIMENSION))
    vectors = np.repeat(centres, EACH, axis=0) + spread * draw.normal(size=(LABELS * EACH, DIMENSION))
    return vectors, [f"label {number:02}" for number in range(LABELS) for _ in range(EACH)]


def ids_of(labels: list[str]) -> list[str]:
    return [f"id {row:03}" for row in range(len(labels))]


def planted(labels: list[str], seed: int, share: float) -> tuple[list[str], dict[int, str]]:
    """Give a share of the rows another label; return the labels, and the right ones by row."""
    draw, changed = np.random.default_rng(seed), list(labels)
    rows = draw.permutation(len(labels))[: round(share * len(labels))].tolist()
    for row in rows:
        changed[row] = str(draw.choice(sorted(set(labels) - {labels[row]})))
    return changed, {row: labels[row] for row in rows}


def test_of_clear_labels_planted_ones_are_found_and_no_right_one_is_listed() -> None:
    vectors, labels = clusters(1, 0.5)
    changed, wrong = planted(labels, 2, 0.05)
    found = find_doubts(vectors, ids_of(labels), changed)
    assert {doubt.row: doubt.suggested for doubt in found}.items() <= wrong.items()
    assert (len(found), len(wrong)) == (5, 15)


def test_of_labels_that_overlap_few_right_ones_are_listed() -> None:
    vectors, labels = clusters(3, 2.0)
    changed, wrong = planted(labels, 4, 0.05)
    found = find_doubts(vectors, ids_of(labels), changed)
    assert (len(found), sum(doubt.row in wrong for doubt in found)) == (6, 4)


@pytest.mark.parametrize("seed", range(3))
def test_right_labels_are_let_alone(seed: int) -> None:
    vectors, labels = clusters(seed, 1.0)
    assert find_doubts(vectors, ids_of(labels), labels) == ()


def test_what_is_unlike_most_of_its_label_but_not_alone_is_let_alone() -> None:
    """Two contents of 'a' stand together among 'b': by the mean of 'a' alone they would be listed."""
    vectors = np.array([[1.0, 0.0, 0.0]] * 12 + [[0.0, 1.0, 0.0]] * 12 + [[0.0, 0.0, 1.0]] * 12)
    labels = ["a"] * 12 + ["b"] * 12 + ["c"] * 12
    vectors[12:24, 2] = [0.1, -0.1] * 6
    vectors[:2] = [0.0, 1.0, 0.0]
    assert find_doubts(vectors, ids_of(labels), labels) == ()
    labels[1] = "b"
    (doubt,) = find_doubts(vectors, ids_of(labels), labels)
    assert (doubt.row, doubt.suggested, doubt.neighbours) == (0, "b", 10)
    assert (doubt.fit, doubt.suggested_fit) == pytest.approx((0.0, 1.0))
    assert doubt.nearest == (1, 12, 13)


def test_the_surest_come_first_and_each_block_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors, labels = clusters(1, 0.5)
    changed, _ = planted(labels, 2, 0.05)
    whole = find_doubts(vectors, ids_of(labels), changed)
    margins = [doubt.suggested_fit - doubt.fit for doubt in whole]
    assert margins == sorted(margins, reverse=True)
    monkeypatch.setattr("embedtune.retrieval.label_noise._BLOCK_ROWS", 7)
    parts = find_doubts(vectors, ids_of(labels), changed)
    assert [(each.row, each.suggested, each.nearest) for each in parts] == [
        (each.row, each.suggested, each.nearest) for each in whole
    ]


def test_a_single_content_of_a_label_is_not_judged() -> None:
    vectors = np.array([[1.0, 0.0]] * 12 + [[0.0, 1.0]] * 12 + [[1.0, 0.1]])
    assert find_doubts(vectors, ids_of(["a"] * 25), ["a"] * 12 + ["b"] * 12 + ["c"]) == ()


def test_one_label_leaves_nothing_to_suggest() -> None:
    assert find_doubts(np.eye(3), ["x", "y", "z"], ["a", "a", "a"]) == ()


def test_vectors_that_are_no_numbers() -> None:
    vectors, labels = clusters(1, 0.5)
    vectors[3, 0] = np.nan
    with pytest.raises(InputError, match=r"1 of 300 .* hold NaN"):
        find_doubts(vectors, ids_of(labels), labels)


def test_the_list_opens_in_a_spreadsheet(tmp_path: Path) -> None:
    doubt = Doubt(0, "+other", -0.0126, 0.5, 7, (1, 2))
    row = DoubtfulLabel("id 1", '=HYPERLINK("http://x")\n' + "ä" * 40_000, True, "@label", doubt, ("near, by", "-2"))
    write_label_noise(tmp_path / "noise.csv", LabelNoise((row,), 1, 2, 2))
    assert (tmp_path / "noise.csv").read_bytes().startswith(b"\xef\xbb\xbfcontent,label,suggested_label,")
    with (tmp_path / "noise.csv").open(encoding="utf-8-sig", newline="") as file:
        (found,) = csv.DictReader(file)
    assert found["content"].startswith('\'=HYPERLINK("http://x")\nä')
    assert len(found["content"]) == 32_001
    del found["content"]
    assert list(found.values()) == [
        *("'@label", "'+other", "-0.013", "0.500", "7 of 10", "training", "id 1", "near, by", "'-2", None)
    ]
