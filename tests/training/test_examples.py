"""Folders of documents become contents by position, label numbers, pairs, negatives and scores."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from embedtune.documents.schema import RELEVANCE_SCHEMA, Split, SplitColumns, content_id
from embedtune.documents.shards.tables import write_manifest
from embedtune.documents.shards.writer import open_shards
from embedtune.errors import InputError
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat
from embedtune.training.examples import TrainingSet

TEXT, IMAGE, MESH = Modality.TEXT, Modality.IMAGE, Modality.MESH
LABELLED = SplitColumns(RowsFormat(Layout.LABELLED, (TEXT,)), Split.TRAIN)
PAIRS = SplitColumns(RowsFormat(Layout.PAIRS, (TEXT, TEXT)), Split.TRAIN)
SCORED = SplitColumns(RowsFormat(Layout.SCORED, (TEXT, TEXT)), Split.TRAIN)
TEXT_IMAGE = SplitColumns(RowsFormat(Layout.TEXT_IMAGE, (TEXT, IMAGE)), Split.TRAIN)


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


def texts_of(examples: TrainingSet) -> list[str]:
    return [content["text"] for content in examples.contents]


def test_labels_are_numbered_and_texts_stay_in_order():
    table = documents(("1", "one", "b"), ("2", "two", "a"), ("3", "three", "b"))
    examples = TrainingSet.from_table(table, LABELLED, None)
    assert texts_of(examples) == ["one", "two", "three"]
    assert examples.labels.dtype == np.int64
    np.testing.assert_array_equal(examples.labels, [0, 1, 0])
    assert examples.pairs is None


def test_labels_have_one_number_across_chunks():
    parts = [documents(("1", "one", "b"), ("2", "two", "a")), documents(("3", "three", "a"), ("4", "four", "c"))]
    examples = TrainingSet.from_table(pa.concat_tables(parts), LABELLED, None)
    np.testing.assert_array_equal(examples.labels, [0, 1, 1, 2])
    assert texts_of(examples) == ["one", "two", "three", "four"]


def test_judged_ids_become_positions_with_their_gains():
    table = documents(("q", "one", "0"), ("d", "two", "0"), ("e", "three", "0"))
    judged = relevance(("q", "e"), ("q", "d"), ("d", "e"), gains=[0.5, 2.0, 1.0])
    examples = TrainingSet.from_table(table, PAIRS, judged)
    np.testing.assert_array_equal(examples.pairs, [[0, 2], [0, 1], [1, 2]])
    np.testing.assert_array_equal(examples.gains, [0.5, 2.0, 1.0])
    assert examples.negatives is None


def test_what_was_judged_not_relevant_is_a_negative():
    table = documents(("q", "one", "0"), ("d", "two", "0"), ("e", "three", "0"))
    judged = relevance(("q", "e"), ("q", "d"), ("d", "e"), gains=[0.0, 2.0, 0.25])
    examples = TrainingSet.from_table(table, PAIRS, judged)
    np.testing.assert_array_equal(examples.pairs, [[0, 1], [1, 2]])
    np.testing.assert_array_equal(examples.negatives, [[0, 2]])


@pytest.mark.parametrize("form", [TEXT_IMAGE, SplitColumns(RowsFormat(Layout.LABELLED, (IMAGE,)), Split.TRAIN)])
def test_images_stay_on_disk_until_they_are_asked_for(tmp_path, form):
    folder, scratch = tmp_path / "train", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    images = [b"\x89PNG\r\n\x1a\n" + bytes([number % 50]) * 100_000 for number in range(100)]
    with open_shards(folder, form) as writer:
        table = pa.table(
            parents(
                [f"text {number}" for number in range(100)], images, second_uri=pa.array([""] * 100).cast("large_utf8")
            )
        )
        names = {"image": "second", "uri": "second_uri"}
        columns = form.schema.names
        writer.write(table.select([names.get(name, name) for name in columns]).rename_columns(columns))
        write_manifest(folder, form.rows_format, writer.finish(), None, "")
    before = pa.total_allocated_bytes()
    examples = TrainingSet.read(folder, scratch)
    assert pa.total_allocated_bytes() - before < 1_000_000  # of 10 MB
    kept = images[:50] if form is TEXT_IMAGE else images
    assert [examples.contents.stored(len(examples.contents) - len(kept) + place) for place in range(len(kept))] == kept


@pytest.mark.parametrize(("form", "judged"), [(LABELLED, None), (PAIRS, relevance())])
def test_nothing(form, judged):
    examples = TrainingSet.from_table(documents(), form, judged)
    assert (list(examples.contents), examples.labels.shape) == ([], (0,))
    assert examples.pairs is None if judged is None else examples.pairs.shape == (0, 2)


def parents(firsts: list[str], seconds: list[object], label: str = "0", **columns: pa.Array) -> dict[str, pa.Array]:
    def ids(values: list[object]) -> pa.Array:
        coded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        return pa.array([content_id(value) for value in coded], pa.large_string())

    kind = pa.large_binary() if isinstance(seconds[0], bytes) else pa.large_string()
    return {
        "id": pa.array([f"row {number}" for number in range(len(firsts))], pa.large_string()),
        "first_id": ids(firsts),
        "first": pa.array(firsts, pa.large_string()),
        "second_id": ids(seconds),
        "second": pa.array(seconds, kind),
        "label": pa.array([label] * len(firsts), pa.large_string()),
        **columns,
    }


def test_scored_rows_are_pairs_of_contents_each_of_them_once():
    scores = pa.array([1.0, 0.5, 0.0], pa.float32())
    table = pa.table(parents(["a", "b", "a"], ["x", "x", "y"], score=scores))
    examples = TrainingSet.from_table(table, SCORED, None)
    assert texts_of(examples) == ["a", "b", "x", "y"]
    np.testing.assert_array_equal(examples.pairs, [[0, 2], [1, 2], [0, 3]])
    np.testing.assert_array_equal(examples.scores, [1.0, 0.5, 0.0])
    np.testing.assert_array_equal(examples.positives, [[0, 2], [1, 2]])
    assert examples.gains is None


def png(colour: tuple[int, int, int]) -> bytes:
    with io.BytesIO() as file:
        Image.new("RGB", (2, 2), colour).save(file, "PNG")
        return file.getvalue()


def test_a_folder_of_texts_and_images_is_read_by_position(tmp_path):
    red, blue = png((255, 0, 0)), png((0, 0, 255))
    folder, scratch = tmp_path / "train", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    uris = pa.array(["red.png", "blue.png", "red.png"], pa.large_string())
    table = pa.table(parents(["a red one", "a blue one", "another red one"], [red, blue, red], second_uri=uris))
    with open_shards(folder, TEXT_IMAGE) as writer:
        writer.write(table.select(TEXT_IMAGE.schema.names))
        write_manifest(folder, TEXT_IMAGE.rows_format, writer.finish(), None, "")
    examples = TrainingSet.read(folder, scratch)
    np.testing.assert_array_equal(examples.pairs, [[0, 3], [1, 4], [2, 3]])
    np.testing.assert_array_equal(examples.gains, [1, 1, 1])
    assert len(examples.contents) == 5
    assert examples.contents[1] == {"text": "a blue one"}
    assert examples.contents[4].getpixel((0, 0)) == (0, 0, 255)
    assert examples.contents.sizes().tolist() == [9, 10, 15, len(red), len(blue)]
    with pytest.raises(IndexError):
        examples.contents[5]


def test_points_become_arrays():
    form = SplitColumns(RowsFormat(Layout.LABELLED, (MESH,)), Split.TRAIN)
    points = np.arange(12, dtype="<f4").reshape(4, 3)
    table = pa.table(
        {
            "id": pa.array(["1"], pa.large_string()),
            "mesh": pa.array([points.tobytes()], pa.large_binary()),
            "uri": pa.array([""], pa.large_string()),
            "label": pa.array(["a"], pa.large_string()),
        }
    )
    (content,) = TrainingSet.from_table(table, form, None).contents
    assert content["points"].dtype == np.float32
    np.testing.assert_array_equal(content["points"], points)


def test_addresses_alone_cannot_be_trained_on():
    form = SplitColumns(RowsFormat(Layout.LABELLED, (IMAGE,), loaded=False), Split.TRAIN)
    table = pa.table({name: pa.array(["x"], pa.large_string()) for name in ("id", "uri", "label")})
    with pytest.raises(InputError, match=r"only the addresses of their image contents.*convert_to_blob"):
        TrainingSet.from_table(table, form, None)


def test_a_stored_image_that_is_none():
    form = SplitColumns(RowsFormat(Layout.LABELLED, (IMAGE,)), Split.TRAIN)
    text = {name: pa.array(["x"], pa.large_string()) for name in ("id", "uri", "label")}
    table = pa.table({**text, "image": pa.array([b"no image"], pa.large_binary())})
    with pytest.raises(InputError, match=r"cannot be decoded.*Run the ingest step again"):
        TrainingSet.from_table(table, form, None).contents[0]
