"""Images and meshes to vectors, and search with and among them."""

import dataclasses
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from docarray import Document, DocumentArray
from PIL import Image

from embedtune.media.points import read_mesh
from embedtune.models.card import CARD_FILE, TRAINING_FILE, ModelCard
from embedtune.models.loading import load_model
from embedtune.models.options import ModelOptions
from embedtune.models.saving import save_model
from embedtune.models.tailoring import tailor
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from tests.tiny_data import coloured_squares, named_colours, solids, write_rows

CARD = ModelCard("tiny", "sha256:00", 32, 64, "text-image", 1, "sha256:11", {}, (), 1.0, 1.0, {}, 0.0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Four folders of twelve images."""
    return coloured_squares(tmp_path_factory.mktemp("photos") / "photos")


@pytest.fixture(scope="module")
def colours(tmp_path_factory) -> Path:
    """A CSV of 40 texts with images, the last of them twice."""
    path = named_colours(tmp_path_factory.mktemp("colours"))
    with path.open("a", encoding="utf-8") as file:
        file.write("another name,39.png\n")
    return path


@pytest.fixture(scope="module")
def shapes(tmp_path_factory) -> Path:
    """Three folders of twelve meshes."""
    return solids(tmp_path_factory.mktemp("shapes") / "shapes")


def images_of(*paths: Path) -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in paths]


def encoded(embedtune, model: Path, source: Path, target: Path, *more: object) -> np.ndarray:
    done = embedtune("encode", "--model", model, "--input", source, "--output", target / "v.npy", *more)
    assert done.code == 0, done.err
    return np.load(target / "v.npy")


def found(done) -> list[str]:
    assert done.code == 0, done.err
    return [line.split("  ", 1)[1] for line in done.out.splitlines()]


class TestFolders:
    """All files of a folder, in the order of their paths."""

    def test_each_image_has_the_vector_that_the_model_gives(self, embedtune, photos, tiny_models, tmp_path):
        paths = sorted(photos.rglob("*.png"))
        expected = load_model(str(tiny_models("vit")), 0).encode(images_of(*paths))
        vectors = encoded(embedtune, tiny_models("vit"), photos, tmp_path)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)

    def test_no_folder_of_a_class_is_needed_and_equal_files_stay_two(self, embedtune, photos, tiny_models, tmp_path):
        flat = tmp_path / "flat"
        flat.mkdir()
        for name in ("b.png", "a.PNG"):
            shutil.copy(photos / "red" / "0.png", flat / name)
        (flat / "notes.txt").write_text("mine")
        (flat / "c.jpg").write_bytes(b"no image")
        words = ("encode", "--model", tiny_models("vit"), "--input", flat, "--output", tmp_path / "v.npy")
        done = embedtune(*words)
        assert (
            done.out
            == f"2 vectors of 32 components in {tmp_path / 'v.npy'}, what each is of in {tmp_path / 'v.names.csv'}\n"
        )
        assert (tmp_path / "v.names.csv").read_bytes() == b"vector,name\r\n0,a.PNG\r\n1,b.png\r\n"
        assert f"{flat}: 2 images, 1 set aside (first: " in done.err
        assert "text: " not in done.err
        assert "1 other files not read" in done.err
        vectors = np.load(tmp_path / "v.npy")
        np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
        done = embedtune("search", flat / "b.png", "--model", tiny_models("vit"), "--index", flat)
        assert found(done) == ["a.PNG"]

    def test_images_and_meshes_together_are_refused(self, embedtune, photos, shapes, tiny_models, tmp_path):
        both = shutil.copytree(photos, tmp_path / "both")
        shutil.copy(shapes / "cube" / "0.off", both)
        done = embedtune("search", "x.png", "--model", tiny_models("vit"), "--index", both)
        assert done.err == f"Error: {both} holds images and meshes. Give a folder or pattern with one of them.\n"

    @pytest.mark.parametrize("in_archive", [False, True])
    def test_an_image_is_found_first_by_itself(self, embedtune, photos, tiny_models, tmp_path, in_archive):
        index = Path(shutil.make_archive(str(tmp_path / "photos"), "zip", photos)) if in_archive else photos
        words = ("--model", tiny_models("dinov2"), "--index", index, "--limit", 3)
        done = embedtune("search", photos / "blue" / "7.png", *words)
        assert done.out.startswith("1.000  blue/7.png\n")
        assert len(found(done)) == 3


class TestColumns:
    """A column of a CSV with the paths of images, every row or none."""

    @pytest.fixture
    def table(self, photos, tmp_path) -> Path:
        root = shutil.copytree(photos, tmp_path / "data" / "photos").parent
        rows = [("id", "file"), *((str(n), f"photos/red/{n % 3}.png") for n in range(6))]
        return write_rows(root / "table.csv", rows)

    def test_each_row_has_a_vector(self, embedtune, table, photos, tiny_models, tmp_path):
        expected = load_model(str(tiny_models("vit")), 0).encode(
            images_of(*(photos / "red" / f"{n}.png" for n in "012"))
        )
        vectors = encoded(embedtune, tiny_models("vit"), table, tmp_path, "--column", "file")
        np.testing.assert_allclose(vectors, np.concatenate([expected, expected]), atol=1e-5)
        words = ("--model", tiny_models("vit"), "--index", table, "--column", 2, "--vectors", tmp_path / "v.npy")
        done = embedtune("search", photos / "red" / "1.png", *words)
        assert found(done)[0] == "photos/red/1.png"
        assert len(found(done)) == 3
        assert "6 images of 'file' (2 of 2 columns)" in done.err

    @pytest.mark.parametrize("cell", ["photos/none.png", "../outside.png"])
    def test_a_row_that_cannot_be_used_stops_it(self, embedtune, table, photos, tiny_models, tmp_path, cell):
        shutil.copy(photos / "red" / "0.png", tmp_path / "outside.png")
        with table.open("a", encoding="utf-8") as file:
            file.write(f"9,{cell}\n")
        words = ("--model", tiny_models("vit"), "--input", table, "--column", "file", "--output", tmp_path / "v.npy")
        done = embedtune("encode", *words)
        assert done.code == 1
        assert f"{table}: 1 of 7 images cannot be used. First ones: row 7: " in done.err
        assert "text: " not in done.err
        assert not (tmp_path / "v.npy").exists()

    def test_a_model_of_texts_reads_the_values_as_texts_and_says_so(self, embedtune, table, tiny_model, tmp_path):
        done = embedtune("search", "photos/red/1.png", "--model", tiny_model, "--index", table, "--column", "file")
        assert found(done)[0] == "photos/red/1.png"
        assert "Values such as 'photos/red/0.png' are taken as texts, not as what they name." in done.err

    def test_addresses_without_endings_are_images_to_a_model_of_images(self, embedtune, table, tiny_models, tmp_path):
        shutil.copy(table.parent / "photos" / "red" / "0.png", table.parent / "bare")
        rows = [("file",), ("file:///none/x",), ("photos/red/0.png",)]
        write_rows(table, rows)
        words = ("--model", tiny_models("vit"), "--input", table, "--output", tmp_path / "v.npy")
        assert "1 of 2 images cannot be used" in embedtune("encode", *words).err

    def test_texts_for_a_model_of_images_are_refused(self, embedtune, table, tiny_models, tmp_path):
        write_rows(table, [("title",), ("a red house",), ("a blue one",)])
        words = ("--model", tiny_models("vit"), "--input", table, "--output", tmp_path / "v.npy")
        assert "The model reads images, but there are texts. Use a model" in embedtune("encode", *words).err


class TestTextsWithImages:
    """Texts search images, and images too; the documents are the images."""

    @pytest.fixture(scope="class")
    def clip(self, tiny_models) -> Path:
        return tiny_models("clip")

    def test_the_images_of_the_rows_are_the_documents_each_once(self, embedtune, colours, clip, tmp_path):
        vectors = encoded(embedtune, clip, colours, tmp_path, "--csv-options", '{"task": "text-to-image"}')
        paths = [colours.parent / f"{number}.png" for number in range(40)]
        np.testing.assert_allclose(vectors, load_model(str(clip), 0).encode(images_of(*paths)), atol=1e-5)

    def test_texts_find_images_and_images_themselves(self, embedtune, trained, colours):
        text = embedtune("search", "colour 7", "--model", trained, "--index", colours, "--limit", 99)
        assert sorted(found(text)) == sorted(f"{number}.png" for number in range(40))
        image = embedtune(
            *("search", colours.parent / "7.png", "--model", trained, "--index", colours),
            *("--select-model", "clip-vision", "--limit", 1),
        )
        assert image.out == "1.000  7.png\n"
        assert "colours.csv: 40 documents, 0 set aside; layout text-image" in image.err

    def test_a_text_that_is_the_path_of_an_image_is_a_text(self, embedtune, clip, colours):
        path = colours.parent / "7.png"
        write_rows(colours.parent / "paths.csv", [("text",), ("a text",), (f"see {path}",)])
        words = ("--model", clip, "--index", colours.parent / "paths.csv", "--column", "text", "--limit", 1)
        assert embedtune("search", f"see {path}", *words).out == f"1.000  see {path}\n"
        model = load_model(str(clip), 0)
        text, image = model.encode([{"text": str(path)}]), model.encode(images_of(path))
        assert np.abs(text - image).max() > 1e-3

    def test_the_texts_are_encoded_where_they_are_asked_for(self, embedtune, trained, colours, tmp_path):
        texts = [f"colour {number} <script>alert(1)</script>" for number in range(40)]
        expected = load_model(str(trained), 0).encode([{"text": text} for text in (*texts, "another name")])
        for more in (("--select-model", "clip-text"), ("--column", "text")):
            vectors = encoded(embedtune, trained, colours, tmp_path, *more)
            np.testing.assert_allclose(vectors, expected, atol=1e-5)

    def test_a_tower_reads_its_part_of_the_data(self, embedtune, trained, colours, tmp_path):
        for name in ("clip-text", "clip-vision"):
            folder = tmp_path / name
            save_model(tailor(load_model(str(trained), 0), ModelOptions(select_model=name), 0), folder)
            for card in (CARD_FILE, TRAINING_FILE):
                shutil.copy(trained / card, folder)
            tower = encoded(embedtune, folder, colours, tmp_path, "--overwrite")
            whole = encoded(embedtune, trained, colours, tmp_path, "--overwrite", "--select-model", name)
            np.testing.assert_allclose(tower, whole, rtol=0, atol=1e-6)
            assert len(tower) == {"clip-text": 41, "clip-vision": 40}[name]

    @pytest.fixture(scope="class")
    def trained(self, clip, colours, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("trained")
        options = '{"task": "text-to-image"}'
        report = ingest_csv(IngestCSVConfig(str(colours), csv_options=options), folder / "rows", folder / "bad.csv")
        save_model(load_model(str(clip), 0), folder / "model")
        dataclasses.replace(CARD, reading=report).save(folder / "model")
        return folder / "model"

    def test_data_of_another_kind_than_asked_for_are_refused(self, embedtune, clip, photos, tmp_path):
        words = ("--model", clip, "--input", photos, "--output", tmp_path / "v.npy", "--select-model", "clip-text")
        done = embedtune("encode", *words)
        assert done.err == (
            f"Error: {photos} holds images, but texts are to be encoded. Give such data, or a model that reads images: "
            "`embedtune models` lists some for each kind.\n"
        )


def test_a_model_of_texts_does_not_take_a_folder_of_images(embedtune, tiny_model, photos):
    done = embedtune("search", "red", "--model", tiny_model, "--index", photos)
    assert (done.code, done.out) == (1, "")
    assert "holds images, but texts are to be encoded" in done.err


def test_documents_of_a_saved_array(embedtune, photos, tiny_models, tmp_path):
    documents = DocumentArray()
    for number in (0, 1, 1):
        sink = io.BytesIO()
        Image.open(photos / "red" / f"{number}.png").save(sink, "PNG")
        documents.append(Document(blob=sink.getvalue(), mime_type="image/png", tags={"finetuner_label": "red"}))
    path = tmp_path / "red.protobuf-array.gzip"
    documents.save_binary(str(path), "protobuf-array", "gzip")
    vectors = encoded(embedtune, tiny_models("vit"), path, tmp_path)
    expected = load_model(str(tiny_models("vit")), 0).encode(images_of(*(photos / "red" / f"{n}.png" for n in "01")))
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    done = embedtune("search", photos / "red" / "1.png", "--model", tiny_models("vit"), "--index", path)
    assert found(done)[0] == "image 2"


class TestMeshes:
    """Clouds of points are drawn from meshes as the data's are."""

    def test_vectors_are_those_of_the_points(self, embedtune, shapes, tiny_models, tmp_path):
        options = ("--csv-options", '{"point_cloud_size": 50, "seed": 3}')
        vectors = encoded(embedtune, tiny_models("pointnet"), shapes, tmp_path, *options)
        paths = sorted(shapes.rglob("*.off"))
        clouds = [{"points": read_mesh(path.read_bytes(), ".off", 50, 3)} for path in paths]
        expected = load_model(str(tiny_models("pointnet")), 0).encode(clouds)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)

    def test_a_mesh_is_found_first_by_itself(self, embedtune, shapes, tiny_models):
        words = ("--model", tiny_models("pointnet"), "--index", shapes, "--csv-options", '{"point_cloud_size": 50}')
        done = embedtune("search", shapes / "rod" / "4.off", *words)
        assert done.out.startswith("1.000  rod/4.off\n")


class TestQueries:
    """A query that cannot be used is refused before anything is encoded."""

    def test_file_that_is_not_there(self, embedtune, photos, tiny_models):
        done = embedtune("search", "a red house", "--model", tiny_models("vit"), "--index", photos)
        assert (done.code, done.out) == (1, "")
        assert "The query is to be the file of one image, not a text. a red house does not exist." in done.err

    def test_folder(self, embedtune, photos, tiny_models):
        done = embedtune("search", photos, "--model", tiny_models("vit"), "--index", photos)
        assert done.err.endswith(f"Error: The query {photos} is a folder. Give the file of one image.\n")

    def test_file_of_another_kind(self, embedtune, photos, shapes, tiny_models):
        query = shapes / "rod" / "0.off"
        done = embedtune("search", query, "--model", tiny_models("vit"), "--index", photos)
        assert f"Error: The query {query} cannot be used: " in done.err
        assert "Give the file of one image." in done.err
