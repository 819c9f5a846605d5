"""Arrow tables become texts, label numbers and positions of pairs."""

import numpy as np
import pyarrow as pa
import pytest

from embedtune.documents.forms import RELEVANCE_SCHEMA
from embedtune.documents.writing import write_manifest
from embedtune.errors import InputError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.training.examples import TrainingExamples, check_trainable


def documents(*rows: tuple[str, str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return pa.table(
        {
            name: pa.array(values, pa.large_string())
            for name, values in zip(("id", "text", "label"), columns, strict=True)
        }
    )


def relevance(*rows: tuple[str, str], gains: list[float] | None = None) -> pa.Table:
    queries, found = zip(*rows, strict=True) if rows else ((), ())
    judged = [1.0] * len(rows) if gains is None else gains
    return pa.table({"query_id": queries, "document_id": found, "relevance": judged}).cast(RELEVANCE_SCHEMA)


def test_labels_are_numbered_and_texts_stay_in_order():
    table = documents(("1", "one", "b"), ("2", "two", "a"), ("3", "three", "b"))
    examples = TrainingExamples.from_tables(table, None)
    assert examples.texts == ["one", "two", "three"]
    assert examples.labels.dtype == np.int64
    np.testing.assert_array_equal(examples.labels, [0, 1, 0])
    assert examples.pairs is None


def test_labels_have_one_number_across_chunks():
    parts = [documents(("1", "one", "b"), ("2", "two", "a")), documents(("3", "three", "a"), ("4", "four", "c"))]
    examples = TrainingExamples.from_tables(pa.concat_tables(parts), None)
    np.testing.assert_array_equal(examples.labels, [0, 1, 1, 2])


def test_judged_ids_become_positions():
    table = documents(("q", "one", "0"), ("d", "two", "0"), ("e", "three", "0"))
    examples = TrainingExamples.from_tables(table, relevance(("q", "e"), ("q", "d"), ("d", "e")))
    assert examples.pairs is not None
    np.testing.assert_array_equal(examples.pairs, [[0, 2], [0, 1], [1, 2]])


def test_what_was_judged_not_relevant_makes_no_pair():
    table = documents(("q", "one", "0"), ("d", "two", "0"), ("e", "three", "0"))
    judged = relevance(("q", "e"), ("q", "d"), ("d", "e"), gains=[0.0, 2.0, 0.25])
    examples = TrainingExamples.from_tables(table, judged)
    assert examples.pairs is not None
    np.testing.assert_array_equal(examples.pairs, [[0, 1], [1, 2]])


TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH


@pytest.mark.parametrize(
    ("layout", "modalities"),
    [
        (Layout.LABELLED, (TEXT,)),
        (Layout.PAIRS, (TEXT, TEXT)),
        (Layout.MATCHES, (TEXT, TEXT)),
        (Layout.BEIR, (TEXT, TEXT)),
    ],
)
def test_layouts_that_can_be_trained_on(tmp_path, layout, modalities):
    judged = None if layout is Layout.LABELLED else relevance()
    write_manifest(tmp_path, RowsFormat(layout, modalities), (), judged, "")
    check_trainable(tmp_path)
    assert list(TrainingExamples.read(tmp_path).texts) == []


@pytest.mark.parametrize(
    ("layout", "modalities", "found"),
    [
        (Layout.SCORED, (TEXT, TEXT), "layout 'scored', which"),
        (Layout.TEXT_IMAGE, (TEXT, IMAGE), "layout 'text-image' with contents of modality image, which"),
        (Layout.PLAIN, (TEXT,), "layout 'plain', which"),
        (Layout.LABELLED, (IMAGE,), "layout 'labelled' with contents of modality image, which"),
        (Layout.PAIRS, (MESH, MESH), "layout 'pairs' with contents of modality mesh, which"),
    ],
)
def test_others_are_refused_with_what_can_be_done(tmp_path, layout, modalities, found):
    write_manifest(tmp_path, RowsFormat(layout, modalities), (), None, "")
    with pytest.raises(InputError, match=f"{found}.*labelled, pairs, matches, beir.*embedtune push") as raised:
        TrainingExamples.read(tmp_path)
    assert "docarray" in str(raised.value)


@pytest.mark.parametrize("judged", [None, relevance()])
def test_nothing(judged):
    examples = TrainingExamples.from_tables(documents(), judged)
    assert (list(examples.texts), examples.labels.shape) == ([], (0,))
    assert examples.pairs is None if judged is None else examples.pairs.shape == (0, 2)
