import io
import os

import pytest

from embedtune.errors import StorageError
from embedtune.storage.locations import parse_location
from embedtune.storage.objects.prefix import fetch_object, stat_object
from embedtune.storage.opening import local_copy, resolve_source

SIX_MIB = bytes(range(256)) * 24 * 1024


def put(store, key, content):
    store.client.put_object(store.bucket, key, io.BytesIO(content), len(content))


@pytest.mark.parametrize("content", [b"", b"a,b\n", SIX_MIB], ids=["empty", "small", "in parts"])
@pytest.mark.parametrize("key", ["rows.csv", "deep/a b?#%20ü.csv"])
def test_version_and_copy(store, key, content):
    put(store, key, content)
    for scheme in ("s3", "minio"):
        uri = f"{scheme}://{store.bucket}/{key}"
        version = resolve_source(uri).version
        assert version.startswith("etag:")
        assert version.endswith(f"-{len(content)}")
        with local_copy(uri, version) as source:
            [path] = source.files
            assert source.origins == (uri,)
            assert path.read_bytes() == content
            assert path.suffix == ".csv"
        assert not path.parent.exists()


def test_no_version_means_what_is_there(store):
    put(store, "rows.csv", b"one")
    with local_copy(f"{store.uri}/rows.csv", "") as source:
        assert source.files[0].read_bytes() == b"one"


def test_the_version_changes_with_the_content(store):
    put(store, "rows.csv", b"one")
    version = resolve_source(f"{store.uri}/rows.csv").version
    put(store, "rows.csv", b"one")
    assert resolve_source(f"{store.uri}/rows.csv").version == version
    put(store, "rows.csv", b"two")
    assert resolve_source(f"{store.uri}/rows.csv").version != version


def test_an_object_replaced_since_its_version_was_taken(store):
    put(store, "rows.csv", b"one")
    version = resolve_source(f"{store.uri}/rows.csv").version
    put(store, "rows.csv", b"two")
    with pytest.raises(StorageError, match="changed: version etag:"), local_copy(f"{store.uri}/rows.csv", version):
        pass


def test_an_object_replaced_between_the_look_and_the_download(store, tmp_path):
    put(store, "rows.csv", b"one")
    location = parse_location(f"{store.uri}/rows.csv")
    etag, size = stat_object(location)
    put(store, "rows.csv", b"two")
    with pytest.raises(StorageError, match="changed since its version was taken"):
        fetch_object(location, etag, size, tmp_path / "copy", lambda _: None)


def test_missing_object_and_bucket(store):
    for uri in (f"{store.uri}/none.csv", f"s3://{store.bucket}-none/none.csv"):
        with pytest.raises(StorageError, match=r"does not exist at .*Check bucket and key"):
            resolve_source(uri)
        with pytest.raises(StorageError, match="does not exist"), local_copy(uri, ""):
            pass


@pytest.mark.parametrize("case", ["unknown key", "wrong secret", "no keys"])
def test_refused(strict_store, monkeypatch, case):
    put(strict_store, "rows.csv", b"one")
    uri = f"{strict_store.uri}/rows.csv"
    assert resolve_source(uri).version.endswith("-3")
    secret = os.environ["AWS_SECRET_ACCESS_KEY"]
    if case == "no keys":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    else:
        name = {"unknown key": "AWS_ACCESS_KEY_ID", "wrong secret": "AWS_SECRET_ACCESS_KEY"}[case]
        monkeypatch.setenv(name, "wrongwrongwrong")
    with pytest.raises(StorageError, match=r"access denied by .* read from AWS_ACCESS_KEY_ID and") as caught:
        resolve_source(uri)
    assert secret not in str(caught.value)
    assert "wrongwrong" not in str(caught.value)
