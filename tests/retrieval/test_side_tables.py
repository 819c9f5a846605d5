"""Further data beside the comparison that decides: the same metrics, and what the models were trained on."""

import dataclasses
import math

import numpy as np
import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.contents import Contents
from embedtune.models.trained_texts import trained_digests
from embedtune.records.layouts import Modality
from embedtune.retrieval.comparison import Probe
from embedtune.retrieval.evaluation_set import EvaluationSet, ScoredPairs, Vectors
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.measuring import Contestant
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.side_tables import FurtherData, measure

QUERIES, INDEX = ["red", "green", "nothing"], ["Red wine", "green tea", "blue sky", "grey cat"]
PAIRS = [("q0", "d0", 1.0), ("q1", "d1", 1.0), ("q1", "d2", 1.0)]


def further(pairs: list[tuple[str, str, float]] = PAIRS, kind: Modality = Modality.TEXT) -> FurtherData:
    ids = [f"q{row}" for row in range(len(QUERIES))], [f"d{row}" for row in range(len(INDEX))]
    judgments = Judgments.from_pairs(*ids, *map(list, zip(*pairs, strict=True)))
    documents = EvaluationSet(ids[0], QUERIES, [""] * len(QUERIES), ids[1], INDEX, judgments, kind)
    return FurtherData("side", "somewhere", HeldOut(documents, Contents.of_texts(QUERIES), Contents.of_texts(INDEX)))


def pointing(at: list[int]) -> Vectors:
    """Vectors of which each query is nearest to one document and equally near to the others."""
    return Vectors(np.eye(len(INDEX), dtype=np.float32)[at], np.eye(len(INDEX), dtype=np.float32))


# q1 finds d0 first, then its two documents; q2 has nothing to find.
SIDES = [
    Contestant("base", "b", pointing([0, 0, 0])),
    Contestant("tuned", "t", pointing([0, 1, 0])),
    Contestant("champion", "c", pointing([3, 1, 0])),
]
DISCOUNTS = [1 / math.log2(rank + 1) for rank in range(1, 5)]
BEHIND = (DISCOUNTS[1] + DISCOUNTS[2]) / (DISCOUNTS[0] + DISCOUNTS[1])
"""nDCG of two relevant documents in ranks 2 and 3."""


def test_all_sides_are_measured_over_all_queries_with_something_to_find() -> None:
    table = measure(further(), SIDES, dict.fromkeys(("base", "tuned", "champion")), seed=1)
    assert (table.name, table.source) == ("side", "somewhere")
    assert (table.queries, table.queries_without_relevant, table.index_documents, table.pairs) == (2, 1, 4, 0)
    values = {each.name: each.values for each in table.metrics}
    # Of q0 the champion finds d3 first, then d0; of q1 the tuned model and the champion find d1, d0, d2.
    second = (DISCOUNTS[0] + DISCOUNTS[2]) / (DISCOUNTS[0] + DISCOUNTS[1])
    assert values["ndcg_at_10"] == pytest.approx(
        {"base": (1 + BEHIND) / 2, "tuned": (1 + second) / 2, "champion": (DISCOUNTS[1] + second) / 2}
    )
    found = {(each.metric, each.against): each for each in table.differences}
    assert found["ndcg_at_10", "base"].value == pytest.approx((second - BEHIND) / 2)
    assert found["ndcg_at_10", "champion"].value == pytest.approx((1 - DISCOUNTS[1]) / 2)
    assert (found["ndcg_at_10", "base"].units, found["ndcg_at_10", "base"].unit) == (2, "queries")


def test_what_a_side_was_trained_on_is_counted_and_stays() -> None:
    trained = {
        "base": None,
        "tuned": trained_digests(["RED", "Green tea", "blue sky"]),
        "champion": trained_digests([]),
    }
    table = measure(further(), SIDES, trained, seed=1)
    assert table.trained_queries == {"tuned": 1, "champion": 0}
    assert table.trained_index == {"tuned": 2, "champion": 0}
    assert table.queries == 2


def test_of_a_probe_what_was_just_learned_by_heart_is_left_out_for_all_sides() -> None:
    trained = {"base": trained_digests(["GREEN"]), "tuned": trained_digests(["red", "green"]), "champion": None}
    table = measure(further(), SIDES, trained, seed=1, probe=Probe("recall_at_1", 0.1))
    assert table.probe is not None
    assert (table.queries, table.queries_without_relevant, table.probe.left_out) == (1, 1, 1)
    assert (table.trained_queries, table.trained_index) == ({"base": 1, "tuned": 1}, {"base": 0, "tuned": 0})
    values = {each.name: each.values for each in table.metrics}
    assert values["mrr_at_10"] == {"base": 0.5, "tuned": 1.0, "champion": 1.0}
    assert [each.units for each in table.differences if each.metric == "mrr_at_10"] == [1, 1]
    plain = measure(further(), SIDES, trained, seed=1)
    assert (plain.probe, plain.queries, plain.trained_queries) == (None, 2, {"base": 1, "tuned": 2})


def test_a_probe_that_was_learned_by_heart_as_a_whole_cannot_be_measured() -> None:
    trained = {"base": None, "tuned": trained_digests(QUERIES), "champion": None}
    table = measure(further(), SIDES, trained, seed=1, probe=Probe("ndcg_at_10", 1.0))
    assert table.probe is not None
    assert table.probe.reasons[0].startswith(
        "Probe side could not be measured: the tuned model was trained on all 2 of"
    )
    assert (table.queries, table.differences) == (0, ())


def test_where_nobody_knows_what_was_trained_on_nothing_is_left_out() -> None:
    table = measure(further(), SIDES, dict.fromkeys(("base", "tuned", "champion")), seed=1, probe=Probe("mrr_at_10", 0))
    assert table.probe is not None
    assert (table.probe.left_out, table.queries) == (0, 2)
    assert [reason[:19] for reason in table.probe.reasons] == ["Probe side: only 2 "]


def test_the_correlation_decides_of_a_probe_with_scores() -> None:
    data = further()
    scored = ScoredPairs(np.array([0, 1, 1, 1]), np.array([0, 1, 2, 0]), np.array([1.0, 1.0, 0.5, 0.0]))
    documents = dataclasses.replace(data.data.documents, scored=scored)
    data = dataclasses.replace(data, data=dataclasses.replace(data.data, documents=documents))
    trained = {"base": None, "tuned": trained_digests(["red"]), "champion": None}
    table = measure(data, SIDES, trained, seed=1, probe=Probe("ndcg_at_10", 0.1))
    assert table.probe is not None
    assert (table.probe.metric, table.pairs, table.probe.left_out) == ("spearman", 3, 1)


def test_the_probe_is_one_of_the_evaluations() -> None:
    options = EvalOptions.from_json('{"evaluations": ["general=/data", "b=/b"], "probe": "general", "probe_drop": 0}')
    assert (options.probe, options.probe_drop) == ("general", 0.0)
    assert EvalOptions().probe_drop == 0.05
    EvalOptions(evaluations=("a=/a",), probe="a", probe_drop=1.0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"probe": "generel"},
            r"probe is 'generel'; accepted: the name of one of the evaluations \(general, other\), or '' for none; "
            "perhaps 'general' is meant",
        ),
        ({"probe": "xyz"}, r"probe is 'xyz'; accepted: .* or '' for none\.$"),
        ({"probe": "general", "evaluations": ()}, r"the name of one of the evaluations \(there are none\)"),
        ({"probe": "general", "probe_drop": -0.01}, "probe_drop is -0.01; accepted: 0 to 1"),
        ({"probe": "general", "probe_drop": 1.01}, "probe_drop is 1.01; accepted: 0 to 1"),
        ({"probe": "general", "probe_drop": math.nan}, "probe_drop is nan; accepted: 0 to 1"),
        ({"probe_drop": 0.1}, "probe_drop is 0.1; accepted: a drop beside probe, the name of the evaluation"),
    ],
)
def test_a_probe_that_is_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvalOptions(**{"evaluations": ("general=/data", "other=/b"), **fields})


def test_it_has_to_fit_what_the_models_are_compared_on() -> None:
    texts = further().data.documents
    further().check_fits(texts)
    further().check_fits(dataclasses.replace(texts, index_kind=Modality.IMAGE))
    with pytest.raises(
        InputError, match=r"'side' \(somewhere\) holds contents of the kind image and text, but .* on text"
    ):
        further(kind=Modality.IMAGE).check_fits(texts)
    with pytest.raises(InputError, match="none of its 3 queries has a relevant document among the 4"):
        further([("q0", "d0", 0.0)]).check_fits(texts)


def test_they_are_named_in_the_options() -> None:
    options = EvalOptions.from_json('{"evaluations": ["production=s3://bucket/a=b", "beir-2=/data/held"]}')
    assert options.addresses == {"production": "s3://bucket/a=b", "beir-2": "/data/held"}
    assert EvalOptions().addresses == {}


@pytest.mark.parametrize(
    "entry", ["/data/held", "=/data", "a=", "-a=/data", "a b=/data", f"{'a' * 41}=/data", "a/b=/data"]
)
def test_what_has_no_name_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match=r"evaluations is .*; accepted: NAME=ADDRESS, with a name of at most 40"):
        EvalOptions(evaluations=(entry,))


def test_names_as_long_as_they_may_be() -> None:
    assert list(EvalOptions(evaluations=(f"{'a' * 40}=/data",)).addresses) == ["a" * 40]


def test_a_name_that_is_there_twice() -> None:
    with pytest.raises(ConfigError, match="accepted: each name once; a is there twice"):
        EvalOptions(evaluations=("a=/one", "b=/two", "a=/three"))


@pytest.mark.parametrize("entry", ["a=s3://me:secret@host/bucket", "s3://me:secret@host/bucket"])
def test_no_password_is_repeated(entry: str) -> None:
    with pytest.raises(StorageError, match="carries a user name or password") as caught:
        EvalOptions(evaluations=(entry,))
    assert "secret" not in str(caught.value)
