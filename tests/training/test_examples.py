"""Arrow tables become texts, label numbers and positions of pairs."""

import numpy as np
import pyarrow as pa
import pytest

from embedtune.documents.shards import RELEVANCE_SCHEMA
from embedtune.training.examples import TrainingExamples


def documents(*rows: tuple[str, str, str]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [(), (), ()]
    return pa.table(
        {
            name: pa.array(values, pa.large_string())
            for name, values in zip(("id", "text", "label"), columns, strict=True)
        }
    )


def relevance(*rows: tuple[str, str]) -> pa.Table:
    queries, found = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"query_id": queries, "document_id": found, "relevance": [1.0] * len(rows)}).cast(RELEVANCE_SCHEMA)


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


@pytest.mark.parametrize("judged", [None, relevance()])
def test_nothing(judged):
    examples = TrainingExamples.from_tables(documents(), judged)
    assert (list(examples.texts), examples.labels.shape) == ([], (0,))
    assert examples.pairs is None if judged is None else examples.pairs.shape == (0, 2)
