"""Which contents are looked at for wrong labels, and what is said of those that are found."""

import numpy as np
import pytest

from embedtune.models.comparing import Encoded
from embedtune.models.contents import Contents
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.training_documents import Pool, TrainingDocuments
from embedtune.steps.label_noise import find_label_noise, labelled_contents

NAMES = "abcdef"
COUNT = 60
VECTORS = np.eye(6, dtype=np.float32)
VECTORS[3, 2] = -0.5  # what has the label d is unlike what has the label c


def column(first: int, end: int) -> tuple[list[str], list[str], Contents]:
    """Ids, labels in turn, and texts."""
    ids = [f"id {number:02}" for number in range(first, end)]
    return (
        ids,
        [NAMES[number % 6] for number in range(first, end)],
        Contents.of_texts([f"text of {each}" for each in ids]),
    )


def held_out(labelled: bool = True) -> HeldOut:
    """The first ten of sixty contents are queries, and in the index as well, as where whole labels are held out."""
    (query_ids, query_labels, queries), (ids, labels, index) = column(0, 10), column(0, 20)
    judgments = Judgments.from_labels(query_labels, query_ids, labels, ids)
    documents = EvaluationSet(query_ids, queries.texts(), query_labels, ids, index.texts(), judgments)
    return HeldOut(documents, queries, index, labels if labelled else None)


def training(wrong: int) -> TrainingDocuments:
    ids, labels, contents = column(20, COUNT)
    labels[wrong - 20] = "c" if labels[wrong - 20] != "c" else "d"
    pool = Pool(ids, labels, contents)
    return TrainingDocuments(pool, pool, None)


def encoded(alone: np.ndarray | None) -> Encoded:
    vectors = VECTORS[np.arange(20) % 6]
    return Encoded(vectors[:10], vectors, None, None, 0, 0, None, "cosine", 1.0, "CPU", alone=alone)


def test_a_wrong_label_among_the_training_documents(capsys: pytest.CaptureFixture[str]) -> None:
    documents = training(wrong=20)
    labelled = labelled_contents(held_out(), documents, 1)
    assert labelled is not None
    assert labelled.alone is not None
    assert (labelled.alone.texts(), labelled.contents) == (documents.index.contents.texts(), COUNT)
    noise = find_label_noise(labelled, encoded(VECTORS[np.arange(20, COUNT) % 6]))
    assert noise is not None
    (found,) = noise.listed
    assert (found.id, found.content, found.trained, found.label) == ("id 20", "text of id 20", True, "d")
    assert (found.doubt.suggested, found.doubt.neighbours) == ("c", 9)
    assert found.nearest == ("text of id 02", "text of id 08", "text of id 14")
    assert "the label of 1 of 60 contents seems to be wrong. label-noise.csv lists them" in capsys.readouterr().err


def test_of_very_many_contents_some_are_drawn_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("embedtune.steps.label_noise.MOST_ROWS", 50)
    documents = training(wrong=20)
    for seed in range(20):
        labelled = labelled_contents(held_out(), documents, seed)
        assert labelled is not None
        assert labelled.training is not None
        assert len(set(labelled.ids)) == 50
        vectors = VECTORS[[int(each[3:]) % 6 for each in labelled.training.ids]]
        noise = find_label_noise(labelled, encoded(vectors))
        assert noise is not None
        assert noise.found == ("id 20" in labelled.ids)
        if noise.found:
            break
    assert "of 1 of 50 contents that were drawn from 60 seems" in capsys.readouterr().err


def test_without_training_documents_what_is_held_out_is_looked_at() -> None:
    labelled = labelled_contents(held_out(), None, 1)
    assert labelled is not None
    assert (labelled.alone, labelled.contents) == (None, 20)
    noise = find_label_noise(labelled, encoded(None))
    assert noise is not None
    assert (noise.listed, noise.looked_at) == ((), 20)


def test_where_judged_pairs_say_what_is_relevant_there_is_nothing_to_look_at() -> None:
    assert labelled_contents(held_out(labelled=False), None, 1) is None
    assert find_label_noise(None, encoded(None)) is None
