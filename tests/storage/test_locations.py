from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.locations import Location, Scheme, parse_location


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
    ("uri", "bucket", "key"),
    [
        ("s3://data/a/b.csv", "data", "a/b.csv"),
        ("minio://my-data/a b?#%20ü@x.csv", "my-data", "a b?#%20ü@x.csv"),
        ("S3://data/folder/", "data", "folder"),
        ("s3://data", "data", ""),
    ],
)
def test_objects_keep_their_key_as_it_is(uri, bucket, key):
    assert parse_location(uri) == Location(Scheme.S3, uri, bucket=bucket, key=key)


def test_web_addresses():
    uri = "https://example.com:8443/a.csv"
    assert parse_location(uri) == Location(Scheme.HTTP, uri)


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
    ("uri", "message"),
    [
        ("", "is empty"),
        ("a\0b", "NUL"),
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
