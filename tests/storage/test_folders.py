import json

import pytest

from embedtune.errors import StorageError
from embedtune.storage import folders
from embedtune.storage.folders import MANIFEST_NAME, delete_folder, download_folder, upload_folder


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    (folder / "optimizer state").mkdir(parents=True)
    (folder / "model.bin").write_bytes(b"\0\1" * 100)
    (folder / "empty").write_bytes(b"")
    (folder / "optimizer state" / "größe #1?.pt").write_bytes(b"x")
    return folder


@pytest.fixture
def uri(tmp_path):
    return (tmp_path / "store" / "run").as_uri()


@pytest.fixture
def stored(tmp_path):
    return tmp_path / "store" / "run"


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def content_folders(stored):
    return [path for path in stored.iterdir() if path.name != MANIFEST_NAME]


def test_nothing_is_there(uri, tmp_path):
    assert download_folder(uri, tmp_path / "copy") is False
    assert not (tmp_path / "copy").exists()
    delete_folder(uri)


def test_round_trip(checkpoint, uri, tmp_path):
    upload_folder(checkpoint, uri)
    assert download_folder(uri, tmp_path / "deep" / "copy") is True
    assert contents(tmp_path / "deep" / "copy") == contents(checkpoint)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy"]


def test_the_newer_folder_replaces_the_older(checkpoint, uri, stored, tmp_path):
    upload_folder(checkpoint, uri)
    (checkpoint / "model.bin").write_bytes(b"new")
    (checkpoint / "empty").unlink()
    upload_folder(checkpoint, uri)
    upload_folder(checkpoint, uri)
    assert download_folder(uri, tmp_path / "copy")
    assert contents(tmp_path / "copy") == contents(checkpoint)
    assert len(content_folders(stored)) == 1


def test_the_same_folder_again_is_left_where_it_is(checkpoint, uri, stored, monkeypatch):
    def times():
        return {path: path.stat().st_mtime_ns for path in content_folders(stored)[0].rglob("*")}

    upload_folder(checkpoint, uri)
    before = times()
    monkeypatch.setattr(folders, "ABANDONED_S", -1.0)
    upload_folder(checkpoint, uri)
    assert times() == before


def test_an_interrupted_upload_leaves_the_older_folder(checkpoint, uri, stored, tmp_path):
    upload_folder(checkpoint, uri)
    before = contents(checkpoint)
    (checkpoint / "model.bin").write_bytes(b"new")
    upload_folder(checkpoint, str(tmp_path / "elsewhere"))
    digest = json.loads((tmp_path / "elsewhere" / MANIFEST_NAME).read_bytes())["digest"]
    obstacle = stored / digest / "optimizer state"
    obstacle.parent.mkdir()
    obstacle.write_text("a file where a folder should be")
    with pytest.raises(StorageError, match="cannot be written"):
        upload_folder(checkpoint, uri)
    assert len(content_folders(stored)) == 2
    assert download_folder(uri, tmp_path / "copy")
    assert contents(tmp_path / "copy") == before
    obstacle.unlink()
    upload_folder(checkpoint, uri)
    assert [path.name for path in content_folders(stored)] == [digest]


def test_incomplete_folders_are_not_there(checkpoint, uri, stored, tmp_path):
    upload_folder(checkpoint, uri)
    (content,) = content_folders(stored)
    original = (content / "model.bin").read_bytes()
    for damaged in [original[:-1], original[:-1] + b"?"]:
        (content / "model.bin").write_bytes(damaged)
        assert download_folder(uri, tmp_path / "copy") is False
    (content / "model.bin").unlink()
    assert download_folder(uri, tmp_path / "copy") is False
    (content / "model.bin").write_bytes(original)
    assert download_folder(uri, tmp_path / "copy") is True
    (stored / MANIFEST_NAME).unlink()
    assert download_folder(uri, tmp_path / "second") is False


def test_delete_leaves_what_it_did_not_store(checkpoint, uri, stored, tmp_path):
    upload_folder(checkpoint, uri)
    (stored / "neighbour").mkdir()
    (stored / "neighbour" / "file").write_text("mine")
    delete_folder(uri)
    assert download_folder(uri, tmp_path / "copy") is False
    assert contents(stored) == {"neighbour/file": b"mine"}
    (stored / "neighbour" / "file").unlink()
    (stored / "neighbour").rmdir()
    upload_folder(checkpoint, uri)
    delete_folder(uri)
    assert not stored.exists()


def test_what_cannot_be_stored(tmp_path, uri):
    (tmp_path / "nothing").mkdir()
    for folder in (tmp_path / "nothing", tmp_path / "none"):
        with pytest.raises(StorageError, match="holds no files"):
            upload_folder(folder, uri)
    with pytest.raises(StorageError, match="object store or a disk"):
        upload_folder(tmp_path, "https://example.com/folder")


def test_an_existing_folder_is_not_overwritten(checkpoint, uri, tmp_path):
    upload_folder(checkpoint, uri)
    (tmp_path / "empty").mkdir()
    assert download_folder(uri, tmp_path / "empty")
    with pytest.raises(StorageError, match="not an empty folder"):
        download_folder(uri, checkpoint)


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"digest": "../x", "files": []}', "the digest '../x', which is none"),
        ('{"digest": "%s", "files": [{"name": "../x", "size": 1, "sha256": ""}]}', "outside the folder"),
        ('{"digest": "%s", "files": [{"name": "/x", "size": 1, "sha256": ""}]}', "outside the folder"),
        ('{"digest": "%s", "files": [], "mode": 1}', "the key 'mode' is not known"),
    ],
)
def test_hostile_manifests(uri, stored, tmp_path, manifest, message):
    stored.mkdir(parents=True)
    (stored / MANIFEST_NAME).write_text(manifest.replace("%s", "0" * 64))
    with pytest.raises(StorageError, match=message):
        download_folder(uri, tmp_path / "copy")


@pytest.mark.parametrize("depth", [900, 992, 200_000])
def test_a_manifest_that_is_nested_deeply_is_damaged(tmp_path, depth):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "manifest.json").write_bytes(b'{"digest":' + b"[" * depth + b"]" * depth + b"}")
    with pytest.raises(StorageError, match="is damaged"):
        download_folder(str(tmp_path / "kept"), tmp_path / "copy")
