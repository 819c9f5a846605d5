import io
import json
import subprocess
import sys
import time

import pytest

from embedtune.errors import StorageError
from embedtune.storage import folders
from embedtune.storage.folders import MANIFEST_NAME, delete_folder, download_folder, upload_folder


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "checkpoint"
    (folder / "state").mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(range(256)) * 24 * 1024)
    (folder / "empty").write_bytes(b"")
    (folder / "state" / "größe #1?.pt").write_bytes(b"x")
    return folder


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest_at(store, prefix):
    return json.loads(store.client.get_object(store.bucket, f"{prefix}/{MANIFEST_NAME}").read())["digest"]


@pytest.mark.parametrize("prefix", ["runs/a b/ü", ""])
def test_round_trip_and_replacement(store, checkpoint, tmp_path, prefix):
    uri = f"{store.uri}/{prefix}"
    assert download_folder(uri, tmp_path / "none") is False
    upload_folder(checkpoint, uri)
    assert download_folder(uri, tmp_path / "one") is True
    assert contents(tmp_path / "one") == contents(checkpoint)
    (checkpoint / "model.bin").write_bytes(b"new")
    upload_folder(checkpoint, uri)
    upload_folder(checkpoint, uri)
    assert download_folder(uri, tmp_path / "two") is True
    assert contents(tmp_path / "two") == contents(checkpoint)
    assert len(store.names()) == 4
    delete_folder(uri)
    assert store.names() == []
    assert download_folder(uri, tmp_path / "three") is False


def test_neighbours_are_left_alone(store, checkpoint):
    for name in ("run/notes.txt", "run/step-2/manifest.json", "run2/file"):
        store.client.put_object(store.bucket, name, io.BytesIO(b"x"), 1)
    upload_folder(checkpoint, f"{store.uri}/run")
    upload_folder(checkpoint, f"{store.uri}/run")
    delete_folder(f"{store.uri}/run")
    assert store.names() == ["run/notes.txt", "run/step-2/manifest.json", "run2/file"]


def test_incomplete_folders_are_not_there(store, checkpoint, tmp_path):
    upload_folder(checkpoint, f"{store.uri}/run")
    name = f"run/{digest_at(store, 'run')}/state/größe #1?.pt"
    store.client.put_object(store.bucket, name, io.BytesIO(b"y"), 1)
    assert download_folder(f"{store.uri}/run", tmp_path / "copy") is False
    store.client.remove_object(store.bucket, name)
    assert download_folder(f"{store.uri}/run", tmp_path / "copy") is False
    upload_folder(checkpoint, f"{store.uri}/run")
    assert download_folder(f"{store.uri}/run", tmp_path / "copy") is True


def test_a_killed_upload_leaves_the_older_folder(store, checkpoint, tmp_path, monkeypatch):
    uri = f"{store.uri}/run"
    upload_folder(checkpoint, uri)
    old = store.names()
    larger = tmp_path / "larger"
    larger.mkdir()
    for i in range(2000):
        (larger / f"{i}.bin").write_bytes(b"x")
    code = (
        "import sys; from pathlib import Path; from embedtune.storage.folders import upload_folder;"
        "upload_folder(Path(sys.argv[1]), sys.argv[2])"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(larger), uri])
    deadline = time.monotonic() + 30
    while len(store.names()) < len(old) + 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -9
    assert len(store.names()) >= len(old) + 3
    assert download_folder(uri, tmp_path / "copy") is True
    assert contents(tmp_path / "copy") == contents(checkpoint)
    # Somebody could still be writing what lies there, for a day.
    upload_folder(checkpoint, uri)
    assert len(store.names()) > len(old)
    monkeypatch.setattr(folders, "ABANDONED_S", -1.0)
    upload_folder(checkpoint, uri)
    assert store.names() == old


def test_a_bucket_that_does_not_exist(store, checkpoint, tmp_path):
    uri = f"s3://{store.bucket}-none/run"
    assert download_folder(uri, tmp_path / "copy") is False
    with pytest.raises(StorageError, match="does not exist"):
        upload_folder(checkpoint, uri)


def test_refused(strict_store, checkpoint, tmp_path, monkeypatch):
    upload_folder(checkpoint, f"{strict_store.uri}/run")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    for action in (
        lambda: upload_folder(checkpoint, f"{strict_store.uri}/run"),
        lambda: download_folder(f"{strict_store.uri}/run", tmp_path / "copy"),
        lambda: delete_folder(f"{strict_store.uri}/run"),
    ):
        with pytest.raises(StorageError, match="access denied"):
            action()


def test_a_store_that_is_gone(store, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(StorageError, match="does not answer"):
        download_folder(f"{store.uri}/run", tmp_path / "copy")
    with pytest.raises(StorageError, match="does not answer"):
        upload_folder(checkpoint, f"{store.uri}/run")
    assert time.monotonic() - start < 20
