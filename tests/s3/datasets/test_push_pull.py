"""Datasets by name, in a folder and on an object store."""

from pathlib import Path

import numpy as np
import pytest
from docarray import Document, DocumentArray

from embedtune import list_datasets, pull, push
from embedtune.datasets import packing
from embedtune.datasets.catalogue import locate
from embedtune.datasets.delete import delete
from embedtune.datasets.pull import pull_file
from embedtune.errors import StorageError
from embedtune.storage.opening import open_store


def every_kind():
    whole = Document(id="a", text="ä\n", tags={"finetuner_label": "x", "deep": {"list": [1.0, None, True]}}, weight=2.0)
    whole.embedding = np.arange(3, dtype=np.float32)
    blob = Document(id="b", blob=b"\x00\xff", mime_type="image/png", uri="s3://b/c.png", modality="image")
    mesh = Document(id="c", tensor=np.arange(6, dtype=np.float32).reshape(2, 3), modality="mesh")
    pair = Document(id="d", chunks=[Document(id="e", text="one"), Document(id="f", text="two")])
    query = Document(id="g", text="q", matches=[Document(id="h", text="m", tags={"finetuner": {"label": -1.0}})])
    return DocumentArray([whole, blob, mesh, pair, query])


def test_documents_come_back_as_they_were(place, as_bytes):
    array = every_kind()
    pushed = push(array, "things")
    assert as_bytes(pull("things")) == as_bytes(array)
    for reference in ("alice/things", pushed.reference, f"things@{pushed.version}", f"dataset://{pushed.reference}"):
        assert as_bytes(pull(reference)) == as_bytes(array)


def test_what_is_stored(place, texts):
    pushed = push(texts(10), "train")
    manifest = place.manifest(pushed.reference)
    folder = f"alice/train/{pushed.version}"
    shard = f"{folder}/{manifest['folder']}/documents-00000.protobuf-array.gzip"
    assert place.names() == sorted([f"{folder}/manifest.json", shard])
    assert DocumentArray.load_binary(place.read(shard), protocol="protobuf-array", compress="gzip") == texts(10)
    assert manifest | {"folder": "", "files": []} == {
        "format": "embedtune.dataset",
        "version": 1,
        "rows": 10,
        "content": manifest["content"],
        "created": pushed.created,
        "pushed": pushed.created,
        "public": False,
        "layout": "labelled",
        "schema": {"fields": ["id", "tags", "text"], "tags": ["finetuner_label"], "modalities": ["text"]},
        "counts": {"chunks": 0, "matches": 0, "labels": 4},
        "folder": "",
        "files": [],
    }
    assert manifest["content"].startswith(pushed.version)
    assert pushed.size == len(place.read(shard)) == manifest["files"][0]["size"]
    assert (pushed.user, pushed.name, pushed.rows, pushed.layout, pushed.public) == (
        "alice",
        "train",
        10,
        "labelled",
        False,
    )


FORMS = [("protobuf-array", "gzip"), ("protobuf-array", None), ("protobuf-array", "bz2"), ("protobuf", None)]


@pytest.mark.parametrize(("protocol", "compress"), FORMS)
def test_one_content_is_one_version_in_every_form(place, tmp_path, protocol, compress, texts):
    live = push(texts(20), "train")
    stored = {name: open_store(place.uri).entries(name)[0].modified for name in place.names() if "gzip" in name}
    texts(20).save_binary(str(tmp_path / "any.da"), protocol=protocol, compress=compress)
    again = push(tmp_path / "any.da", "train")
    assert again.reference == live.reference
    assert again.created == live.created < again.pushed
    assert {name: open_store(place.uri).entries(name)[0].modified for name in stored} == stored
    assert [entry.version for entry in list_datasets()] == [live.version]


def test_the_size_of_shards_does_not_matter(place, monkeypatch, texts, as_bytes):
    whole = push(texts(200), "whole")
    monkeypatch.setattr(packing, "SHARD_BYTES", 1000)
    parts = push(texts(200), "parts")
    assert parts.version == whole.version
    files = place.manifest(parts.reference)["files"]
    assert len(files) > 5
    assert sum(file["rows"] for file in files) == 200
    assert as_bytes(pull("parts")) == as_bytes(texts(200))
    # Other shards of a content that is there are not stored beside the first ones.
    again = push(texts(200), "whole")
    assert len(place.manifest(again.reference)["files"]) == 1
    assert len(place.names()) == len(files) + 1 + 2


def test_the_last_push_is_the_latest(place, texts):
    first, second = push(texts(5), "train"), push(texts(6), "train")
    assert len(pull("train")) == 6
    push(texts(5), "train")
    assert len(pull("train")) == 5
    assert len(pull(second.reference)) == 6
    assert [entry.reference for entry in list_datasets("alice")] == [first.reference, second.reference]


def test_users_and_names_are_apart(place, texts):
    push(texts(5), "train")
    push(texts(6), "train", user="bob")
    push(texts(7), "evaluation")
    found = [(entry.user, entry.name, entry.rows) for entry in list_datasets()]
    assert found == [("alice", "evaluation", 7), ("alice", "train", 5), ("bob", "train", 6)]
    assert [entry.rows for entry in list_datasets("bob")] == [6]
    assert list_datasets("carol") == []
    assert len(pull("bob/train")) == 6


def test_what_is_not_complete_is_not_there(place, texts):
    gone, there = push(texts(5), "train"), push(texts(4), "train")
    place.remove(f"alice/train/{gone.version}/manifest.json")
    place.write("alice/train/notes.txt", b"by hand")
    assert [entry.version for entry in list_datasets()] == [there.version]
    assert len(pull("train")) == 4
    with pytest.raises(StorageError, match=f"There is no dataset alice/train@{gone.version} in .*embedtune datasets"):
        pull(gone.reference)
    with pytest.raises(StorageError, match=r"There is no dataset alice/never in"):
        pull("never")
    # The same content pushed again is whole.
    push(texts(5), "train")
    assert len(pull(gone.reference)) == 5


def test_one_file(place, tmp_path, monkeypatch, texts, as_bytes):
    monkeypatch.setattr(packing, "SHARD_BYTES", 500)
    push(texts(100), "train")
    output = tmp_path / "deep" / "train.protobuf-array.gzip"
    assert pull_file("train", output).rows == 100
    assert as_bytes(DocumentArray.load_binary(str(output))) == as_bytes(texts(100))
    pull_file("alice/train", output)
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    with pytest.raises(StorageError, match=r"is a folder"):
        pull_file("train", tmp_path)
    with pytest.raises(StorageError, match=r"cannot be written"):
        pull_file("train", output / "below" / "x")


def test_deletion(place, texts):
    first, second, other = push(texts(5), "train"), push(texts(6), "train"), push(texts(6), "other")
    assert delete(first.reference) == [first.reference]
    assert [entry.reference for entry in list_datasets()] == [other.reference, second.reference]
    assert not any(first.version in name for name in place.names())
    with pytest.raises(StorageError, match=f"There is no dataset {first.reference} to delete"):
        delete(first.reference)
    third = push(texts(7), "train")
    assert delete("train") == sorted([second.reference, third.reference])
    assert all(name.startswith("alice/other/") for name in place.names())
    delete("other")
    assert place.names() == []


def test_a_deletion_goes_on(place, texts):
    pushed = push(texts(5), "train")
    place.remove(f"alice/train/{pushed.version}/manifest.json")
    assert delete("train") == [pushed.reference]
    assert place.names() == []


def test_no_store_at_all(monkeypatch, tmp_path, texts):
    monkeypatch.delenv("EMBEDTUNE_DATASETS", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    push(texts(3), "train")
    assert (tmp_path / "embedtune" / "datasets" / "alice" / "train").is_dir()
    assert Path(locate("train").uri).is_dir()
