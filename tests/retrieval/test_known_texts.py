"""Queries that the base model was trained on are found by their own text, or by what answers them."""

import numpy as np
import pytest

from embedtune.errors import InputError
from embedtune.models.contents import Contents
from embedtune.models.digests import Digests
from embedtune.models.trained_texts import trained_digests
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.known_texts import Known, check_any_new, find_known, known_warning


def pairs() -> EvaluationSet:
    queries, documents = ["q0", "q1", "q2", "q3"], ["d0", "d1", "d2"]
    judged = [("q0", "d0", 1.0), ("q1", "d1", 1.0), ("q2", "d1", 2.0), ("q3", "d2", 1.0), ("q3", "d0", 0.0)]
    judgments = Judgments.from_pairs(queries, documents, *zip(*judged, strict=True))
    return EvaluationSet(
        queries,
        [f"Query {name}" for name in queries],
        [""] * 4,
        documents,
        [f"text {one}" for one in documents],
        judgments,
    )


def known_of(data: EvaluationSet, trained: Digests | None, whole_groups: bool) -> Known:
    contents = (Contents.of_texts(texts) for texts in (data.query_texts, data.index_texts))
    return find_known(data, *contents, trained, whole_groups)


@pytest.mark.parametrize(
    ("trained", "whole_groups", "kept", "index"),
    [
        (["something else"], True, [0, 1, 2, 3], 0),
        (["QUERY  q0"], True, [1, 2, 3], 0),
        (["text d1"], True, [0, 3], 1),
        (["text d1"], False, [0, 1, 2, 3], 1),
        (["text d0", "query q3"], True, [1, 2], 1),
        (["text d0", "text d1", "text d2", "query q3"], False, [0, 1, 2], 3),
    ],
)
def test_pairs(trained: list[str], whole_groups: bool, kept: list[int], index: int) -> None:
    known = known_of(pairs(), np.sort(trained_digests(trained)), whole_groups)
    assert (np.flatnonzero(known.new).tolist(), known.queries, known.index) == (kept, 4 - len(kept), index)
    check_any_new(known)


def test_labels() -> None:
    judgments = Judgments.from_labels(["a", "b", "c"], ["1", "2", "3"], ["a", "a", "b"], ["1", "4", "2"])
    data = EvaluationSet(["1", "2", "3"], ["x", "y", "z"], ["a", "b", "c"], ["1", "4", "2"], ["x", "w", "y"], judgments)
    trained = trained_digests(["w"])
    assert known_of(data, trained, whole_groups=True).new.tolist() == [False, True, True]
    assert known_of(data, trained, whole_groups=False).new.all()


def test_nothing_is_left() -> None:
    trained = trained_digests(["query q0", "query q1", "query q2", "query q3"])
    with pytest.raises(InputError, match=r"trained on all 4 held-out queries .* Keep the split .*train_seed"):
        check_any_new(known_of(pairs(), trained, whole_groups=True))


def test_a_model_that_does_not_say_what_it_was_trained_on() -> None:
    known = known_of(pairs(), None, whole_groups=True)
    assert (known.new.tolist(), known.queries, known.index) == ([True] * 4, 0, 0)


def test_what_is_said() -> None:
    known = Known(np.array([True, True, False, True]), 2)
    said = "the comparison, for all models"
    assert known_warning(known, "Backbone 'out/model'", 1000, said) == (
        "Backbone 'out/model' was itself trained on 1 of the 4 held-out queries or what answers them, and on 2 of the "
        "1,000 index documents: these queries are left out of the comparison, for all models."
    )
    assert known_warning(Known(np.ones(4, np.bool_), 0), "Backbone 'out/model'", 1000, said) == ""
    assert known_warning(Known(np.ones(4, np.bool_), 1), "It", 1000, said).startswith("It was itself trained on 0 of")
