"""Further data beside the comparison that decides: the same metrics, and what the models were trained on."""

import dataclasses
import math

import numpy as np
import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.contents import Contents
from embedtune.models.trained_texts import trained_digests
from embedtune.records.layouts import Modality
from embedtune.retrieval.evaluation_set import EvaluationSet, Vectors
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
