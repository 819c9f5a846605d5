"""What can be pushed, and what becomes of it in the pipeline."""

import gzip
import json

import pytest
from docarray import Document, DocumentArray

from embedtune import pull, push
from embedtune.datasets import packing
from embedtune.datasets.catalogue import locate
from embedtune.datasets.naming import Reference
from embedtune.datasets.pull import pull_file
from embedtune.documents.build import build_documents
from embedtune.documents.schema import BuildOptions, Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.summary import READING_FILE, SPLIT_FILE
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.catalogue import POINT_MODEL
from embedtune.records.rows import read_rows
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters

BAD = [
    (DocumentArray(), InputError, "holds no Documents"),
    (DocumentArray([Document(tags={"a": object()})]), InputError, r"The Document 0 \(.*\) cannot be written"),
    ([Document(text="a")], ConfigError, "A list cannot be pushed"),
    ("missing.da", StorageError, "missing.da does not exist"),
]


@pytest.mark.parametrize(("documents", "error", "message"), BAD)
def test_what_cannot_be_pushed(place, documents, error, message):
    with pytest.raises(error, match=message):
        push(documents, "train")
    assert place.names() == []


def test_files_that_cannot_be_pushed(place, tmp_path, texts):
    (tmp_path / "a.csv").write_text("text,label\n")
    (tmp_path / "a.da").write_bytes(b"\x80\x04]\x94.")
    saved = texts(100)
    saved.save_binary(str(tmp_path / "cut.protobuf-array.gzip"))
    cut = (tmp_path / "cut.protobuf-array.gzip").read_bytes()[:-30]
    (tmp_path / "cut.protobuf-array.gzip").write_bytes(cut)
    for name, message in (
        ("a.csv", "not one row of data below it"),
        ("a.da", "holds pickles"),
        ("cut.protobuf-array.gzip", "is damaged or cut off"),
    ):
        with pytest.raises(InputError, match=message):
            push(tmp_path / name, "train")
    assert place.names() == []


@pytest.mark.parametrize("name", ["", "a/b", "..", ".a", "a..b", "a b", "ä", "a@b", "a" * 65, "-x", "a.", "x\n"])
def test_names(place, name, texts):
    with pytest.raises(ConfigError, match=r"cannot be the name of a dataset: accepted are 1 to 64"):
        push(texts(2), name)
    with pytest.raises(ConfigError, match=r"cannot be the name of a user|cannot be the name of a dataset") as caught:
        push(texts(2), "train" if name else name, user=name)
    assert name == "" or "name of a user" in str(caught.value)


def write_csv(path, layout):
    path.write_text(
        "query,document\n" + "".join(f"query {n % 40},document {n}\n" for n in range(80))
        if layout == "pairs"
        else "text,label\n" + "".join(f"text {n},label {n % 8}\n" for n in range(80))
    )
    return str(path)


def built(tmp_path, layout):
    rows, bad = tmp_path / "rows.parquet", tmp_path / "bad.csv"
    ingest_csv(IngestCSVConfig(write_csv(tmp_path / "a.csv", layout), layout=layout), rows, bad)
    train, evaluation = tmp_path / "train", tmp_path / "evaluation"
    build_documents(rows, train, evaluation, tmp_path / "bad2.csv", BuildOptions())
    return train, evaluation


@pytest.mark.parametrize("layout", ["labelled", "pairs"])
def test_folders_of_documents_stay_what_they_are(place, tmp_path, capsys, layout):
    train, evaluation = built(tmp_path, layout)
    pushed = push(train, "train")
    assert pushed.layout == layout
    assert pushed.rows == len(BuiltFolder.open(train).table(Split.TRAIN))
    names = {file["name"] for file in place.manifest(pushed.reference)["files"]}
    assert names == {path.name for path in train.iterdir() if path.name[0] != "."} - {READING_FILE, SPLIT_FILE}
    assert push(evaluation, "evaluation").rows == len(BuiltFolder.open(evaluation).table(Split.QUERY)) + len(
        BuiltFolder.open(evaluation).table(Split.INDEX)
    )
    assert pull("train")[:, "id"] == BuiltFolder.open(train).table(Split.TRAIN).column("id").to_pylist()
    pulled = tmp_path / "pulled.protobuf-array.gzip"
    pull_file("train", pulled)
    assert len(DocumentArray.load_binary(str(pulled))) == pushed.rows
    assert f"As --data-uri, dataset://{pushed.reference} has it." in capsys.readouterr().err
    again = push(f"{train}/", "train")
    assert again.reference == pushed.reference
    # Read by the pipeline's steps, it gives the rows of the same texts.
    version = resolve_data(RunParameters("dataset://alice/train", model_backbone=POINT_MODEL)).data_version
    report = ingest_csv(
        IngestCSVConfig(f"dataset://{pushed.reference}"), tmp_path / "again.parquet", tmp_path / "bad3.csv"
    )
    assert (
        version == resolve_data(RunParameters(f"dataset://{pushed.reference}", model_backbone=POINT_MODEL)).data_version
    )
    assert report.layout == layout
    _, rows = read_rows(tmp_path / "again.parquet")
    if layout == "pairs":
        assert len(rows) == len(BuiltFolder.open(train).relevance())
    else:
        assert sorted(rows.column("content").to_pylist()) == sorted(
            BuiltFolder.open(train).table(Split.TRAIN).column("text").to_pylist()
        )


def test_shards_in_other_places_are_gathered(place, tmp_path, as_bytes):
    train, _ = built(tmp_path, "labelled")
    straight = push(train, "straight")
    manifest = json.loads((train / "manifest.json").read_text())
    (tmp_path / "merged").mkdir()
    for shard in manifest["shards"]:
        shard["uri"] = str(train / shard["name"])
    (tmp_path / "merged" / "manifest.json").write_text(json.dumps(manifest))
    assert push(tmp_path / "merged", "merged").version == straight.version
    assert as_bytes(pull("merged")) == as_bytes(pull("straight"))
    shard = train / manifest["shards"][0]["name"]
    content = shard.read_bytes()
    for changed in (content[:-1] + b"x", gzip.compress(gzip.decompress(content), 1)):
        shard.write_bytes(changed)
        with pytest.raises(StorageError, match=r"its SHA-256 is not the manifest's"):
            push(tmp_path / "merged", "merged")


def test_arrays_in_a_folder_are_one(place, tmp_path, texts):
    for number in range(3):
        texts(10, 10 * number).save_binary(str(tmp_path / f"part-{number}.protobuf-array.gzip"))
    (tmp_path / "README.md").write_text("about")
    assert push(tmp_path, "parts").version == push(texts(30), "whole").version


def test_a_pushed_array_is_data_of_the_pipeline(place, tmp_path, monkeypatch, texts):
    monkeypatch.setattr(packing, "SHARD_BYTES", 500)
    pushed = push(texts(60), "train")
    found = locate("train")
    assert found.reference == Reference("alice", "train", pushed.version)
    assert locate(f"dataset://{pushed.reference}") == found
    report = ingest_csv(IngestCSVConfig("dataset://alice/train"), tmp_path / "rows.parquet", tmp_path / "bad.csv")
    assert (report.rows, report.bad_rows, report.layout) == (60, 0, "labelled")


def test_a_folder_with_both_sides_of_a_build_is_refused(place, tmp_path):
    """Training and evaluation in one array would be divided anew, and what was held out trained on."""
    for side in ("train", "evaluation"):
        (tmp_path / "built" / side).mkdir(parents=True)
        (tmp_path / "built" / side / "manifest.json").write_text("{}")
        (tmp_path / "built" / side / f"{side}-00000.protobuf-array.gzip").write_bytes(b"")
    with pytest.raises(InputError, match=r"holds folders of documents \(evaluation, train\). Push one of them"):
        push(f"{tmp_path}/built/", "both")
