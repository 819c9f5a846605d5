from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.locations import Location, ObjectStore, Scheme, parse_location


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("data/rows.csv", "data/rows.csv"),
        ("/data/a b.csv", "/data/a b.csv"),
        ("file:///data/a%20b.csv", "/data/a b.csv"),
        ("file://localhost/data/x", "/data/x"),
        ("odd:name.csv", "odd:name.csv"),
    ],
)
def test_local_files(uri, path):
    assert parse_location(uri) == Location(Scheme.FILE, uri, path=Path(path))


@pytest.mark.parametrize(
    ("uri", "store", "bucket", "key"),
    [
        ("s3://data/a/b.csv", ObjectStore.S3, "data", "a/b.csv"),
        ("minio://my-data/a b?#%20ü@x.csv", ObjectStore.MINIO, "my-data", "a b?#%20ü@x.csv"),
        ("S3://data/folder/", ObjectStore.S3, "data", "folder"),
        ("s3://data", ObjectStore.S3, "data", ""),
    ],
)
def test_objects_keep_their_store_and_their_key_as_it_is(uri, store, bucket, key):
    assert parse_location(uri) == Location(Scheme.S3, uri, bucket=bucket, key=key, store=store)


def test_web_addresses():
    uri = "https://example.com:8443/a.csv"
    assert parse_location(uri) == Location(Scheme.HTTP, uri)


@pytest.mark.parametrize("name", ["train", "user/train", "user/train@20260102T030405Z-1a2b", "my_train.v2-x"])
def test_data_sets(name):
    uri = f"dataset://{name}"
    assert parse_location(uri) == Location(Scheme.DATASET, uri, dataset=name)


@pytest.mark.parametrize(
    ("uri", "start"),
    [
        ("data/part-*.csv", 1),
        ("/data/*/rows.csv", 2),
        ("s3://data/a/b/part-[0-9].csv", 2),
        ("s3://data/part-?.csv", 0),
        ("data/rows.csv", None),
        ("s3://data", None),
        ("https://example.com/*.csv", None),
        ("dataset://user/name", None),
    ],
)
def test_patterns(uri, start):
    assert parse_location(uri).pattern_start == start


def test_a_slash_at_the_end_means_a_folder():
    folders = ["data/", "s3://b00/x/", "s3://b00/", "s3://b00", "s3://b00/x", "https://example.com/x/"]
    assert [parse_location(uri).is_folder for uri in folders] == [True, True, True, False, False, False]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("s3://data/a/b c.csv", "b_c.csv"),
        ("https://example.com/x/%2e%2e", "source"),
        ("https://example.com/", "source"),
        ("s3://data/" + "n" * 300 + ".csv", "n" * 76 + ".csv"),
    ],
)
def test_names_are_safe(uri, name):
    assert parse_location(uri).name == name


@pytest.mark.parametrize(
    ("uri", "title"),
    [
        ("data/my orders (1).csv", "my orders (1).csv"),
        ("/data/orders/", "orders"),
        ("data/part-*.csv", "part-*.csv"),
        ("file:///data/my%20orders.csv", "my orders.csv"),
        ("s3://bucket/folder/orders.csv", "orders.csv"),
        ("minio://bucket", "bucket"),
        ("https://data.example.org/a%20b.csv", "a b.csv"),
        ("https://data.example.org", "data"),
        ("dataset://ada/tickets@v2", "ada/tickets@v2"),
    ],
)
def test_what_a_person_calls_it(uri, title):
    assert parse_location(uri).title == title


def test_a_folder_that_is_named_by_dots_has_its_own_name(tmp_path, monkeypatch):
    (tmp_path / "orders").mkdir()
    monkeypatch.chdir(tmp_path / "orders")
    assert (parse_location(".").title, parse_location("..").title) == ("orders", tmp_path.name)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "is empty"),
        ("a\0b", "NUL"),
        ("file:///a%00b", "NUL"),
        ("ftp://host/file", "unknown scheme 'ftp'. Accepted: a path, file:///path"),
        ("file://host/path", "three slashes"),
        ("file://", "three slashes"),
        ("s3://ab/key", "'ab' is not the name of a bucket"),
        ("s3://Data/key", "'Data' is not the name of a bucket"),
        ("s3:///key", "'' is not the name of a bucket"),
        ("s3://data/a//b", "empty part"),
        ("s3://data/../b", "'..'"),
        ("http:///path", "no valid host"),
        ("http://host:99999/", "no valid host and port"),
        ("dataset://", "is not the name of a data set"),
        ("dataset://a/b/c", "Write dataset://user/name or dataset://user/name@version"),
        ("dataset://../name", "is not the name of a data set"),
        ("dataset://user/name@", "is not the name of a data set"),
        ("dataset://user/na me", "is not the name of a data set"),
    ],
)
def test_what_is_not_accepted(uri, message):
    with pytest.raises(StorageError) as caught:
        parse_location(uri)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "s3://AKIA:topsecret@data/key",
        "https://user:topsecret@example.com/file",
        "ftp://user:topsecret@example.com/file",
        "https://topsecret@example.com",
        "https://example.com/file?X-Amz-Signature=topsecret",
        "https://example.com/file?a=1&sig=topsecret",
        "https://example.com/file?topsecret",
        "https://example.com/file#topsecret",
    ],
)
def test_credentials_are_refused_and_not_repeated(uri):
    with pytest.raises(StorageError) as caught:
        parse_location(uri)
    assert "topsecret" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
