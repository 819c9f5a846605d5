"""Two evaluation sets have equal digests exactly where means over them compare."""

import numpy as np
import pytest

from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.judgments import Judgments

QUERIES, DOCUMENTS = ["q1", "q2", "q3"], ["d1", "d2", "d3", "q1"]
PAIRS = [("q1", "d1", 1.0), ("q1", "d2", 0.5), ("q2", "d3", 1.0), ("q3", "d1", 0.0)]
LABELS = {"q1": "a", "q2": "b", "q3": "a", "d1": "a", "d2": "b", "d3": "c"}


def judged_pairs(queries=QUERIES, documents=DOCUMENTS, pairs=PAIRS) -> EvaluationSet:
    judgments = Judgments.from_pairs(queries, documents, *map(list, zip(*pairs, strict=True)))
    return EvaluationSet(queries, queries, [""] * len(queries), documents, documents, judgments)


def labelled(queries=QUERIES, documents=DOCUMENTS, labels=LABELS) -> EvaluationSet:
    of_queries, of_documents = ([labels[one] for one in ids] for ids in (queries, documents))
    judgments = Judgments.from_labels(of_queries, queries, of_documents, documents)
    return EvaluationSet(queries, queries, of_queries, documents, documents, judgments)


def test_it_is_a_sha256():
    algorithm, _, digits = judged_pairs().digest().partition(":")
    assert (algorithm, len(bytes.fromhex(digits))) == ("sha256", 32)


@pytest.mark.parametrize("make", [judged_pairs, labelled])
def test_the_order_is_not_part_of_it(make):
    assert make(queries=QUERIES[::-1], documents=DOCUMENTS[::-1]).digest() == make().digest()


def test_neither_are_the_order_of_judgments_and_what_is_judged_not_relevant():
    assert judged_pairs(pairs=PAIRS[2::-1]).digest() == judged_pairs().digest()


def test_nor_what_labels_are_called():
    renamed = {one: label.upper() for one, label in LABELS.items()}
    assert labelled(labels=renamed).digest() == labelled().digest()


@pytest.mark.parametrize(
    "other",
    [
        judged_pairs(queries=["q1", "q2", "q4"], pairs=PAIRS[:3]),
        judged_pairs(documents=[*DOCUMENTS, "d4"]),
        judged_pairs(documents=["d1", "d2", "d3", "d4"]),
        judged_pairs(pairs=PAIRS[1:]),
        judged_pairs(pairs=[*PAIRS[:3], ("q3", "d1", 1.0)]),
        judged_pairs(pairs=[("q1", "d1", 0.75), *PAIRS[1:]]),
        judged_pairs(pairs=[("q1", "d1", 0.5), ("q1", "d2", 1.0), *PAIRS[2:]]),
        labelled(),
    ],
)
def test_everything_else_is(other):
    assert other.digest() != judged_pairs().digest()


def test_queries_that_were_left_out_are_not_part_of_it():
    whole = labelled()
    assert whole.select(np.array([0, 1])).digest() == labelled(queries=QUERIES[:2]).digest() != whole.digest()
