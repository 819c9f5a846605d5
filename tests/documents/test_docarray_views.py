"""docarray's own ways to look at Documents work on what a build saves.

`summary` of every form is tested beside the codec. docarray draws a sprite sheet of tensors or of addresses that it can
read, not of blobs: `convert_blob_to_image_tensor` comes first where the address is not a local file. Showing an image
with an address, or a point cloud, needs IPython, which is no part of this project.
"""

import io
from pathlib import Path

import numpy as np
import pyarrow as pa
from docarray import Document, DocumentArray
from PIL import Image

from embedtune.documents.schema import Split, SplitColumns
from embedtune.documents.shards.writer import open_shards
from embedtune.records.layouts import LABEL_TAG, Layout, Modality
from embedtune.records.rows import RowsFormat


def image(color: tuple[int, int, int], kind: str) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (40, 40), color).save(data, kind)
    return data.getvalue()


RED, BLUE = image((255, 0, 0), "PNG"), image((0, 0, 255), "PNG")
POINTS = np.random.default_rng(0).standard_normal((2048, 3)).astype("<f4")


def saved(folder: Path, form: SplitColumns, rows: list[dict[str, object]]) -> DocumentArray:
    """Write rows to a shard and load it with docarray."""
    with open_shards(folder, form) as writer:
        writer.write(pa.Table.from_pylist(rows, form.schema))
        (shard,) = writer.finish()
    with (folder / shard.name).open("rb") as file:
        return DocumentArray.load_binary(file, protocol="protobuf-array", compress="gzip")


def images(folder: Path, *uris: str) -> DocumentArray:
    form = SplitColumns(RowsFormat(Layout.LABELLED, (Modality.IMAGE,)), Split.TRAIN)
    rows = [
        {"id": f"{number}", "image": data, "uri": uri, "label": "l"}
        for number, (data, uri) in enumerate(zip((RED, BLUE), uris, strict=True))
    ]
    return saved(folder, form, rows)


def meshes(folder: Path) -> DocumentArray:
    form = SplitColumns(RowsFormat(Layout.LABELLED, (Modality.MESH,)), Split.TRAIN)
    return saved(folder, form, [{"id": "1", "mesh": POINTS.tobytes(), "uri": "a.off", "label": "l"}])


def parents(folder: Path) -> DocumentArray:
    form = SplitColumns(RowsFormat(Layout.TEXT_IMAGE, (Modality.TEXT, Modality.IMAGE)), Split.TRAIN)
    row = {"id": "1", "first_id": "2", "first": "a red square", "second_id": "3", "second": RED, "second_uri": "x.png"}
    return saved(folder, form, [{**row, "label": "l"}])


def check_sprites(path: Path) -> None:
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == (256, 512, 3)
    assert sheet[128, 128].tolist() == [255, 0, 0]
    assert sheet[128, 384].tolist() == [0, 0, 255]


class TestSprites:
    def test_of_blobs(self, tmp_path):
        documents = images(tmp_path, "s3://bucket/red.png", "")
        for document in documents:
            document.convert_blob_to_image_tensor()
        documents.plot_image_sprites(output=str(tmp_path / "sprites.png"))
        check_sprites(tmp_path / "sprites.png")

    def test_of_local_files(self, tmp_path):
        for name, data in (("red.png", RED), ("blue.png", BLUE)):
            (tmp_path / name).write_bytes(data)
        documents = images(tmp_path, str(tmp_path / "red.png"), str(tmp_path / "blue.png"))
        documents.plot_image_sprites(output=str(tmp_path / "sprites.png"))
        check_sprites(tmp_path / "sprites.png")

    def test_of_the_images_of_pairs(self, tmp_path):
        chunks = DocumentArray(chunk for chunk in parents(tmp_path)["@c"] if chunk.modality == "image")
        chunks[0].convert_blob_to_image_tensor()
        chunks.plot_image_sprites(output=str(tmp_path / "sprites.png"))
        assert np.asarray(Image.open(tmp_path / "sprites.png"))[0, 0].tolist() == [255, 0, 0]


class TestDisplay:
    def test_of_a_text(self, tmp_path, capsys):
        form = SplitColumns(RowsFormat(Layout.PLAIN, (Modality.TEXT,)), Split.CORPUS)
        saved(tmp_path, form, [{"id": "7", "text": "some words"}])[0].display()
        assert "some words" in capsys.readouterr().out

    def test_of_an_image_without_an_address(self, tmp_path, capsys):
        images(tmp_path, "", "")[0].display()
        assert "image/png" in capsys.readouterr().out

    def test_of_a_pair(self, tmp_path, capsys):
        parents(tmp_path)[0].display()
        assert "a red square" in capsys.readouterr().out

    def test_of_an_image_with_an_address(self, tmp_path, capsys):
        (tmp_path / "red.png").write_bytes(RED)
        images(tmp_path, str(tmp_path / "red.png"), "")[0].display()
        assert "Image" in capsys.readouterr().out

    def test_the_facts_that_a_point_cloud_is_displayed_by(self, tmp_path):
        """The display itself opens a window, or draws in a notebook's browser."""
        document = meshes(tmp_path)[0]
        assert (document.content_type, document.modality) == ("tensor", "mesh")
        assert (document.tensor.shape, document.tensor.dtype) == ((2048, 3), np.float32)
        np.testing.assert_array_equal(document.tensor, POINTS)


def test_summaries(tmp_path, capsys):
    for number, make in enumerate((lambda folder: images(folder, "a.png", ""), meshes, parents)):
        folder = tmp_path / str(number)
        folder.mkdir()
        documents = make(folder)
        documents.summary()
        documents[0].summary()
    printed = capsys.readouterr().out
    assert printed.count("Documents Summary") == 3
    assert "in shape (2048, 3), dtype: float32" in printed


def test_json_and_dicts_by_protobuf(tmp_path):
    array = DocumentArray([Document(id="1", text="a text", tags={LABEL_TAG: "a label"})])
    (entry,) = array.to_list(protocol="protobuf")
    assert (entry["text"], entry["tags"]) == ("a text", {LABEL_TAG: "a label"})
    array.save_json(str(tmp_path / "array.json"), protocol="protobuf")
    assert DocumentArray.load_json(str(tmp_path / "array.json"), protocol="protobuf") == array
