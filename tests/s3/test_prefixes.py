import io
import os
import socket
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedtune.errors import StorageError
from embedtune.storage.access import AccessRules, ForbiddenError
from embedtune.storage.content_reader import ContentReader, resolve_content
from embedtune.storage.errors import UnreachableError
from embedtune.storage.opening import list_files, local_copy, resolve_source
from embedtune.storage.ownership import OUTPUT_MARKER

CSVS = {f"part-{number}.csv": f"text {number},label\n".encode() * 1000 for number in range(8)}


def put(store, key, content):
    store.client.put_object(store.bucket, key, io.BytesIO(content), len(content))


@pytest.fixture
def prefix(store):
    for name, content in CSVS.items():
        put(store, f"rows/v1/{name}", content)
    put(store, "rows/v10/part-0.csv", b"another set")
    return f"{store.uri}/rows/v1"


@pytest.mark.parametrize("ending", ["", "/", "/*.csv", "/part-[0-9].csv", "/part-?.csv"])
def test_eight_files(store, prefix, ending):
    source = resolve_source(prefix + ending)
    assert source.is_folder
    assert source.version.startswith("sha256:")
    assert [file.name for file in source.files] == list(CSVS)
    assert [file.uri for file in source.files] == [f"{prefix}/{name}" for name in CSVS]
    assert [file.version for file in source.files] == [resolve_source(file.uri).version for file in source.files]
    assert [file.size for file in source.files] == [len(content) for content in CSVS.values()]
    with local_copy(prefix + ending, source.version) as local:
        assert local.files == tuple(local.root / name for name in CSVS)
        assert [path.read_bytes() for path in local.files] == list(CSVS.values())
        assert local.origins == tuple(f"{prefix}/{name}" for name in CSVS)
    assert not local.root.exists()


def test_patterns_match_within_one_part(store, prefix):
    put(store, "rows/v1/deep/part-9.csv", b"1")
    assert len(resolve_source(f"{prefix}/*.csv").files) == 8
    assert [file.name for file in resolve_source(f"{store.uri}/rows/*/part-0.csv").files] == [
        "v1/part-0.csv",
        "v10/part-0.csv",
    ]
    with local_copy(f"{store.uri}/rows/v1*/*/*.csv", "") as local:
        assert local.files == (local.root / "v1" / "deep" / "part-9.csv",)


def test_what_does_not_count(store, prefix):
    for key in (
        "rows/v1/",
        "rows/v1/_SUCCESS",
        "rows/v1/.hidden",
        "rows/v1/_temporary/0/part-1.csv",
        "rows/v1_$folder$",
    ):
        put(store, key, b"")
    assert [file.name for file in resolve_source(prefix).files] == list(CSVS)


def test_outputs_of_runs_are_no_data(store, prefix, capsys):
    before = resolve_source(prefix).version
    put(store, f"rows/v1/new/{OUTPUT_MARKER}", b"")
    for key in ("rows/v1/new/b.csv", "rows/v1/old/runs/request.json", "rows/v1/old/scores/b.csv"):
        put(store, key, b"a,b\n")
    assert resolve_source(prefix).version == before
    assert capsys.readouterr().err == f"{prefix}: not read, because a run of embedtune wrote it: new, old\n"
    assert [file.name for file in resolve_source(f"{store.uri}/rows/v1/new/").files] == ["b.csv"]
    put(store, "rows/v1/more/b.csv", b"a,b\n")
    assert [file.name for file in resolve_source(f"{store.uri}/rows/v1/*/b.csv").files] == ["more/b.csv"]


def test_a_whole_bucket(store):
    put(store, "a.csv", b"1")
    put(store, "b/c.csv", b"2")
    assert [file.uri for file in resolve_source(f"{store.uri}/").files] == [
        f"{store.uri}/a.csv",
        f"{store.uri}/b/c.csv",
    ]
    with pytest.raises(StorageError, match="for all of it"):
        resolve_source(store.uri)


def test_odd_keys(store):
    keys = ["a b?#%20ü.csv", "a1.csv", "a[1].csv", "x*.csv"]
    for key in keys:
        put(store, f"odd/{key}", key.encode())
    source = resolve_source(f"{store.uri}/odd/")
    assert [file.name for file in source.files] == keys
    assert [resolve_source(file.uri).version for file in source.files] == [file.version for file in source.files]
    with local_copy(f"{store.uri}/odd/", source.version) as local:
        assert [path.read_bytes().decode() for path in local.files] == keys


def test_nothing_there(store, prefix):
    for uri, message in [
        (f"{prefix}/none-*.csv", "no file is there"),
        (f"{prefix}0000/", "no file is there"),
        (f"{prefix}0000", "does not exist"),
        (f"s3://{store.bucket}-none/x/", "does not exist"),
        (f"s3://{store.bucket}-none/x*", "does not exist"),
    ]:
        with pytest.raises(StorageError, match=message):
            resolve_source(uri)


@pytest.mark.parametrize("change", ["added", "removed", "replaced"])
def test_a_prefix_that_changed_between_resolving_and_copying(store, prefix, change):
    version = resolve_source(prefix).version
    if change == "added":
        put(store, "rows/v1/part-9.csv", b"1")
    elif change == "removed":
        store.client.remove_object(store.bucket, "rows/v1/part-3.csv")
    else:
        put(store, "rows/v1/part-3.csv", b"1")
    with pytest.raises(StorageError, match=r"changed: version sha256:\w+ was asked for"), local_copy(prefix, version):
        pass


def test_an_object_that_changed_between_listing_and_download(store, prefix, monkeypatch):
    def list_then_change(location):
        listing = list_files(location)
        put(store, "rows/v1/part-3.csv", b"1")
        return listing

    monkeypatch.setattr("embedtune.storage.opening.list_files", list_then_change)
    with pytest.raises(StorageError, match=r"part-3\.csv changed since its version was taken"), local_copy(prefix, ""):
        pass


def test_keys_that_are_no_paths(store):
    put(store, "clash/a", b"1")
    put(store, "clash/a/b", b"2")
    put(store, "clash2/a\\b", b"2")
    for name in ("clash", "clash2"):
        with pytest.raises(StorageError, match="cannot be a file in a folder"):
            resolve_source(f"{store.uri}/{name}/")


def test_an_archive(store):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        opened.writestr("scifact/corpus.jsonl", b"{}\n")
        opened.writestr("scifact/qrels/test.tsv", b"1\n")
    put(store, "scifact.zip", file.getvalue())
    uri = f"{store.uri}/scifact.zip"
    with local_copy(uri, resolve_source(uri).version) as local:
        assert [path.relative_to(local.root).as_posix() for path in local.files] == ["corpus.jsonl", "qrels/test.tsv"]


class TestContents:
    @pytest.fixture
    def reader(self, store):
        return ContentReader(AccessRules.from_environment(f"{store.uri}/set/rows.csv"))

    def test_below_the_prefix_of_the_csv(self, store, reader):
        put(store, "set/images/a b ü%20.png", b"picture")
        put(store, "set/empty.png", b"")
        put(store, "other/b.png", b"secret")
        origin = f"{store.uri}/set/rows.csv"
        uri = resolve_content("images/a b ü%20.png", origin)
        assert reader.read(uri, 7) == b"picture"
        assert reader.read(resolve_content("empty.png", origin), 7) == b""
        with pytest.raises(StorageError, match="larger than the 6 bytes"):
            reader.read(uri, 6)
        with pytest.raises(StorageError, match="does not exist"):
            reader.read(resolve_content("none.png", origin), 7)
        for cell in ("../other/b.png", f"{store.uri}/other/b.png", f"{store.uri}/settle.png"):
            with pytest.raises(ForbiddenError):
                reader.read(resolve_content(cell, origin), 7)

    def test_many_threads(self, store, reader):
        for number in range(20):
            put(store, f"set/{number}.png", str(number).encode())
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda n: reader.read(f"{store.uri}/set/{n}.png", 7), list(range(20)) * 3))
        assert found == [str(number).encode() for number in range(20)] * 3

    def test_a_store_that_is_gone_is_asked_once(self, reader, store, monkeypatch):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
            with pytest.raises(UnreachableError):
                reader.read(f"{store.uri}/set/a.png", 7)
            start = time.monotonic()
            for _ in range(1000):
                with pytest.raises(UnreachableError, match="was not asked again"):
                    reader.read(f"{store.uri}/set/a.png", 7)
        assert time.monotonic() - start < 10

    def test_keys_are_not_in_errors(self, strict_store, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrongwrongwrong")
        reader = ContentReader(AccessRules.from_environment(f"{strict_store.uri}/set/rows.csv"))
        with pytest.raises(StorageError, match="access denied") as caught:
            reader.read(f"{strict_store.uri}/set/a.png", 7)
        assert "wrongwrong" not in str(caught.value)
        assert os.environ["AWS_ACCESS_KEY_ID"] not in str(caught.value)
