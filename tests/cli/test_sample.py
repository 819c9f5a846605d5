"""`embedtune sample`, as the command line runs it, against a real web server."""

import contextlib
import csv
import io
import os
import runpy
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import typer
from docarray import DocumentArray
from PIL import Image

from embedtune.cli.app import run_app
from embedtune.cli.sample import app

PUBLIC = runpy.run_path(str(Path(__file__).parents[1] / "samples" / "public_files.py"))


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_CACHE", str(tmp_path / "cache"))
    with PUBLIC["serve"](PUBLIC["files_at_hand"]()) as server:
        yield server


@pytest.fixture
def sample(tmp_path):
    root = typer.Typer(pretty_exceptions_enable=False)
    root.callback()(lambda: None)
    root.add_typer(app, name="sample")

    def run(*words):
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {"COLUMNS": "100"}),
            mock.patch.object(sys, "argv", ["embedtune", "sample", *map(str, words)]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as end,
        ):
            run_app(root)
        return end.value.code or 0, out.getvalue(), err.getvalue()

    return run


@pytest.fixture
def place(server, tmp_path):
    """The options that name the server and the checksums of its files."""
    sums = PUBLIC["write_checksums"](tmp_path / "sums", server.files)
    return "--base-url", server.url, "--checksums", sums


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_fashion_mnist_as_csv_with_images(sample, place, server, tmp_path):
    from embedtune.samples.fashion_mnist import FASHION_MNIST_CLASSES, read_fashion_mnist
    from embedtune.samples.fetch import Mirror

    part = read_fashion_mnist(True, Mirror(server.url, tmp_path / "sums"))
    count = len(part.labels)
    output = tmp_path / "new" / "fashion"
    code, out, err = sample("fashion-mnist", "--output", output, "--part", "test", *place)
    assert (code, out) == (0, f"{count} images, their labels in {output}/fashion-mnist-test.csv\n"), err
    header, *rows = rows_of(output / "fashion-mnist-test.csv")
    assert header == ["content", "label"]
    assert [label for _, label in rows] == [FASHION_MNIST_CLASSES[label] for label in part.labels]
    for number, (path, _) in enumerate(rows):
        with Image.open(output / path) as image:
            assert (image.format, image.mode) == ("PNG", "L")
            assert np.array_equal(np.asarray(image), part.images[number])
    assert {path.name for path in output.iterdir()} == {"fashion-mnist-test.csv", "images"}


def test_fashion_mnist_as_labelled_documents(sample, place, tmp_path):
    words = ("fashion-mnist", "--format", "documents", "--num-total", 12, *place)
    assert sample(*words, "--output", tmp_path / "a")[:2] == (
        0,
        f"12 Documents in {tmp_path}/a/fashion-mnist-train.protobuf-array.gzip\n",
    )
    assert sample(*words, "--output", tmp_path / "b")[0] == 0
    name = "fashion-mnist-train.protobuf-array.gzip"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    documents = DocumentArray.load_binary(str(tmp_path / "a" / name))
    assert len(documents) == 12
    assert {(document.modality, document.mime_type) for document in documents} == {("image", "image/png")}
    assert all(document.tags["finetuner_label"] for document in documents)
    with Image.open(io.BytesIO(documents[0].blob)) as image:
        assert image.size == (28, 28)


def test_fashion_mnist_documents_with_matches(sample, place, tmp_path):
    options = ("--format", "documents", "--num-pos", 1, "--num-neg", 2, "--num-total", 3, "--seed", 4)
    code, _, err = sample("fashion-mnist", *options, *place, "--output", tmp_path / "out")
    assert code == 0, err
    (path,) = (tmp_path / "out").iterdir()
    for document in DocumentArray.load_binary(str(path)):
        assert [match.tags["finetuner"]["label"] for match in document.matches] == [1, -1, -1]
        assert all(match.blob.startswith(b"\x89PNG") for match in document.matches)


@pytest.mark.parametrize(("part", "name"), [("all", "covid-qa.csv"), ("train", "covid-qa-train.csv")])
def test_covid_qa_as_csv(part, name, sample, place, server, tmp_path):
    code, out, err = sample("covid-qa", "--part", part, "--output", tmp_path / "qa", *place)
    source = list(csv.reader(io.StringIO(server.files["dataset.csv"].decode("utf-8-sig"), newline="")))
    expected = source if part == "all" else [source[0], *source[2::2]]
    assert code == 0, err
    assert out == f"{len(expected) - 1} questions in {tmp_path}/qa/{name}\n"
    assert rows_of(tmp_path / "qa" / name) == expected


def test_covid_qa_as_documents_without_checksums(sample, server, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_COVID_QA_URL", server.url)
    code, out, err = sample("covid-qa", "--format", "documents", "--num-neg", 3, "--output", tmp_path / "qa")
    assert code == 0, err
    path = tmp_path / "qa" / "covid-qa.protobuf-array.gzip"
    documents = DocumentArray.load_binary(str(path))
    assert out == f"{len(documents)} Documents in {path}\n"
    assert {len(document.matches) for document in documents} == {4}


def test_meshes(sample, tmp_path):
    code, out, _ = sample("meshes", "--num-train", 2, "--num-test", 1, "--output", tmp_path / "meshes")
    assert (code, out) == (0, f"18 meshes of 6 classes in {tmp_path}/meshes\n")
    assert (tmp_path / "meshes" / "torus" / "test" / "torus_0003.off").read_text().startswith("OFF\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("fashion-mnist", "--num-pos", 1), "--num-pos and --num-neg need --format documents"),
        (("covid-qa", "--num-neg", 1), "--num-pos and --num-neg need --format documents"),
        (("fashion-mnist", "--num-total", 10**6), "--num-total is 1000000"),
        (("covid-qa", "--num-total", 10**6), "--num-total is 1000000"),
        (("covid-qa", "--num-total", 10**6, "--format", "documents"), "--num-total is 1000000"),
    ],
)
def test_what_cannot_be_done_is_one_message_and_leaves_nothing(words, message, sample, place, tmp_path):
    code, out, err = sample(*words, *place, "--output", tmp_path / "out")
    assert (code, out) == (1, "")
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_other_files_than_the_published_need_checksums(sample, server, tmp_path):
    code, _, err = sample("fashion-mnist", "--base-url", server.url, "--output", tmp_path / "out")
    assert code == 1
    assert "give the checksums of its files" in err


@pytest.mark.parametrize("command", ["fashion-mnist", "covid-qa", "meshes"])
def test_a_folder_with_something_in_it_is_left_alone_and_nothing_fetched(command, sample, place, server, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    options = () if command == "meshes" else place
    code, _, err = sample(command, "--output", tmp_path / "out", *options)
    assert code == 1
    assert "exists and is not an empty folder" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    assert server.requests == []


def test_the_command_line_imports_neither_docarray_nor_pillow():
    import subprocess

    code = (
        "import sys, embedtune.cli.sample; print(sorted({'docarray', 'PIL', 'trimesh', 'urllib3'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_present_folder_is_not_replaced(sample, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    code, _, err = sample("meshes", "--output", ".")
    assert (code, err) == (1, "Error: . is the present folder. Give the path of a new one, such as sample.\n")
