"""A comparison is read again, whichever version of embedtune wrote it."""

import dataclasses
import json
from pathlib import Path

import pytest

from embedtune.errors import InputError
from embedtune.models.card import CutTexts
from embedtune.retrieval.cells import Cell
from embedtune.retrieval.comparison import Comparison, Decision, Direction, Probe, ShownContent, SideTable, basis_of
from embedtune.retrieval.metric_names import METRIC_NAMES
from embedtune.retrieval.sides import Difference, MetricValues, Side
from tests.comparisons import COST, contents, example, two_sides, with_champion

TEXTS = CutTexts(texts=9, cut=1, alike=0, unknown=0, max_length=64)
EXAMPLES = (example("where is it", "orders", 0.25, 1.0, (("lost", 0.5, False),), (("found", 0.75, True),)),)
NUMBERS = [(name, 0.5, 0.75, 0.25, 0.125, 0.375) for name in METRIC_NAMES]
TWO = two_sides(
    NUMBERS,
    Decision(False, "It fell.", "ndcg_at_10", 0.25, 0.125, True, ("It fell.",), "3"),
    base={"query_texts": TEXTS, "known_queries": 2, "mean_cosine": None},
    tuned={"index_texts": TEXTS, "seen_index": 4},
    examples=EXAMPLES,
    contents=contents(EXAMPLES),
    warnings=("Look.",),
)
BACK = Direction("image-to-text", TWO.metrics, TWO.differences, 7, 8)
ASIDE = SideTable(
    "production",
    "s3://b/held, version x",
    TWO.metrics,
    TWO.differences,
    7,
    2,
    8,
    "image",
    "text",
    3,
    {"tuned": 1},
    {"tuned": 4},
    {"tuned": 0.75},
    Probe("ndcg_at_10", 0.05, 3, ("It fell.", "And more.")),
)
CELLS = (Cell(True, True, 7, 8, TWO.metrics, TWO.differences), Cell(True, False, 0, 9, why="Nothing is relevant."))
THREE = with_champion(
    dataclasses.replace(
        TWO, directions=(BACK,), side_tables=(ASIDE, dataclasses.replace(ASIDE, probe=None)), cells=CELLS
    ),
    dict.fromkeys(METRIC_NAMES, 0.625),
)


def saved(comparison: Comparison, path: Path) -> dict[str, object]:
    comparison.save(path)
    data: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
    return data


def loaded(data: object, path: Path) -> Comparison:
    path.write_text(json.dumps(data), encoding="utf-8")
    return Comparison.load(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "comparison.json"


@pytest.mark.parametrize("comparison", [TWO, THREE], ids=["two", "three"])
def test_what_is_saved_is_read(comparison: Comparison, path: Path) -> None:
    data = saved(comparison, path)
    assert (data["format"], data["version"]) == ("embedtune-comparison", 2)
    assert Comparison.load(path) == comparison


def test_what_is_asked_of_it() -> None:
    assert THREE.side("champion").model == "support, version 3"
    assert (THREE.has("champion"), TWO.has("champion")) == (True, False)
    assert THREE.value("mrr_at_10", "champion") == 0.625
    assert THREE.difference("mrr_at_10").value == 0.25
    assert THREE.difference("mrr_at_10", "champion").value == 0.125
    for ask in (
        lambda: TWO.side("champion"),
        lambda: TWO.value("mrr", "base"),
        lambda: TWO.difference("mrr_at_10", "x"),
    ):
        with pytest.raises(KeyError):
            ask()
    assert EXAMPLES[0].of("champion") is None
    assert basis_of(TWO) == "10 queries, 20 in the index"
    assert basis_of(dataclasses.replace(TWO, pairs=5)) == "5 pairs with scores; 10 queries, 20 in the index"


def test_a_later_version_is_read_as_far_as_it_goes(path: Path) -> None:
    data = saved(THREE, path)
    data |= {"version": 3, "colour": "green"}
    later = [data["decision"], *data["sides"], *data["metrics"], *data["differences"], *data["examples"]]
    later += [data["directions"][0], data["contents"][0], data["sides"][0]["query_texts"]]
    later += [data["examples"][0]["results"][0], data["examples"][0]["results"][0]["hits"][0]]
    for part in later:
        part["colour"] = "green"
    assert loaded(data, path) == THREE


def test_what_an_earlier_file_of_this_version_lacks_is_none(path: Path) -> None:
    data = saved(THREE, path)
    del data["decision"]["min_lower_bound"]
    table = data["side_tables"][0]
    for name in ("query_kind", "index_kind", "pairs", "trained_queries", "trained_index", "trained_hits"):
        del table[name]
    del table["probe"]["left_out"], data["side_tables"][1]["probe"]
    first, second = loaded(data, path).side_tables
    assert (first.query_kind, first.index_kind, first.pairs) == ("text", "text", 0)
    assert (first.trained_queries, first.trained_index, first.trained_hits) == ({}, {}, {})
    assert (first.probe, second.probe) == (dataclasses.replace(ASIDE.probe, left_out=0), None)
    assert loaded(data, path).decision.min_lower_bound == 0.0


def older(path: Path) -> dict[str, object]:
    """The same as TWO in the form of the version before."""
    data = saved(TWO, path)
    for name in ("format", "version", "sides", "differences", "contents"):
        del data[name]
    names = ("name", "base", "tuned", "difference", "lower", "upper")
    data["metrics"] = [dict(zip(names, numbers, strict=True)) for numbers in NUMBERS]
    decision = {
        "better": True,
        "reason": "It rose.",
        "metric": "ndcg_at_10",
        "min_gain": 0.25,
        "min_lower_bound": 0.125,
    }
    hits = {
        side: [{"rank": 1, "text": text, "score": score, "relevant": side == "tuned", "id": f"id of {text}"}]
        for side, text, score in (("base", "lost", 0.5), ("tuned", "found", 0.75))
    }
    shown = {"query": "where is it", "label": "orders", "base_ndcg": 0.25, "tuned_ndcg": 1.0, "id": "id of it", **hits}
    return data | {
        "decision": decision,
        "examples": [shown],
        "base_tied_queries": 0,
        "tuned_tied_queries": 0,
        "tuned_mean_cosine": 0.2,
        "base_mean_cosine": None,
        "query_texts": None,
        "index_texts": dataclasses.asdict(TEXTS),
        "base_query_texts": dataclasses.asdict(TEXTS),
        "base_index_texts": None,
        "seen_queries": 0,
        "seen_index": 4,
        "known_queries": 2,
        "known_index": 0,
    }


def renamed(comparison: Comparison) -> Comparison:
    """What the version before did not know is not there."""
    sides = tuple(dataclasses.replace(side, model="", dimension=0) for side in comparison.sides)
    units = tuple(dataclasses.replace(each, units=10) for each in comparison.differences)
    decision = Decision(True, "It rose.", "ndcg_at_10", 0.25, 0.125, better_than_base=True)
    return dataclasses.replace(comparison, sides=sides, differences=units, decision=decision)


def test_the_version_before(path: Path) -> None:
    found = loaded(older(path), path)
    assert [(each.id, each.text) for each in found.contents] == [
        ("id of it", "where is it"), ("id of lost", "lost"), ("id of found", "found"),
    ]  # fmt: skip
    assert {each.kind for each in found.contents} == {"text"}
    expected = dataclasses.replace(renamed(TWO), examples=found.examples, contents=found.contents)
    assert found == expected
    (shown,) = found.examples
    assert (shown.id, shown.label, shown.of("base").ndcg, shown.of("tuned").ndcg) == ("id of it", "orders", 0.25, 1.0)
    assert [hit.id for side in ("base", "tuned") for hit in shown.of(side).hits] == ["id of lost", "id of found"]
    assert [hit.relevant for side in ("base", "tuned") for hit in shown.of(side).hits] == [False, True]


def test_the_version_before_knew_kinds_pairs_and_directions(path: Path) -> None:
    data = older(path)
    (first, *_) = data["metrics"]
    data["metrics"] = [{**first, "name": "spearman"}, first]
    data |= {"pairs": 12, "query_kind": "text", "index_kind": "image"}
    data["directions"] = [{"name": "image-to-text", "metrics": [first], "queries": 7, "index_documents": 8}]
    found = loaded(data, path)
    assert [(each.units, each.unit) for each in found.differences] == [(12, "pairs"), (10, "queries")]
    assert {each.kind for each in found.contents if each.id != "id of it"} == {"image"}
    (direction,) = found.directions
    assert direction.metrics == (MetricValues("ndcg_at_10", {"base": 0.5, "tuned": 0.75}),)
    assert direction.differences == (
        Difference("ndcg_at_10", "tuned", "base", 0.75, 0.5, 0.25, 0.125, 0.375, 7, "queries"),
    )


def test_embedtune_0_1(path: Path) -> None:
    data = older(path)
    known = ("metrics", "decision", "queries", "queries_without_relevant", "index_documents", "base_tied_queries")
    known += ("tuned_tied_queries", "tuned_mean_cosine", "confidence", "resamples", "seed", "examples")
    data = {name: data[name] for name in known}
    data["decision"] = {"promoted": False, "reason": "It fell.", "metric": "ndcg_at_10", "min_gain": 0.25}
    (shown,) = data["examples"]
    for each in (shown, *shown["base"], *shown["tuned"]):
        del each["id"]
    found = loaded(data, path)
    assert found.decision == Decision(False, "It fell.", "ndcg_at_10", 0.25, reasons=("It fell.",))
    assert found.contents == tuple(ShownContent(text, "text", text) for text in ("where is it", "lost", "found"))
    assert found.examples[0].results == EXAMPLES[0].results
    assert found.side("base").mean_cosine is None


def test_a_file_that_is_no_comparison(path: Path) -> None:
    with pytest.raises(InputError, match=r"comparison\.json cannot be read as a comparison"):
        Comparison.load(path)
    whole = json.dumps(saved(THREE, path))
    damaged = [whole[:-9], "[]", "{}", '"text"', whole.replace("embedtune-comparison", "embedtune-model")]
    damaged += [whole.replace(f'"{name}"', '"place"') for name in ("seed", "rank", "values", "of_side", "better")]
    damaged += [json.dumps(older(path)).replace(f'"{name}"', '"place"') for name in ("rank", "better", "base")]
    for text in damaged:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(InputError, match="Evaluate the model again"):
            Comparison.load(path)


def test_what_a_promotion_costs_is_kept(path: Path) -> None:
    for cost in (COST, dataclasses.replace(COST, agreement=None)):
        comparison = dataclasses.replace(THREE, migration=cost)
        comparison.save(path)
        assert Comparison.load(path) == comparison


def test_what_a_file_does_not_say_of_a_side_counts_as_none() -> None:
    side = Side("base", "", 0, 0, None)
    assert (side.seen_queries, side.seen_index, side.known_queries, side.known_index) == (0, 0, 0, 0)
    assert (side.query_texts, side.index_texts, side.distance) == (None, None, "cosine")
