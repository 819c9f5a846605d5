import subprocess
import sys

import pytest

import embedtune
from embedtune.datasets import naming
from embedtune.datasets.naming import (
    Reference,
    dataset_uri,
    datasets_root,
    object_prefix,
    own_user,
    parse_reference,
    root_uri,
)
from embedtune.errors import ConfigError, StorageError

VERSION = "0123456789ab"


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDTUNE_USER", "alice")
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path))


@pytest.mark.parametrize("start", ["", "dataset://"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train", Reference("alice", "train")),
        (f"train@{VERSION}", Reference("alice", "train", VERSION)),
        ("bob/train.v2_x-y", Reference("bob", "train.v2_x-y")),
        (f"bob/1@{VERSION}", Reference("bob", "1", VERSION)),
    ],
)
def test_references(start, text, expected):
    assert parse_reference(start + text) == expected
    assert str(expected).endswith(text)
    assert parse_reference(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "../a",
        "a/..",
        "a/b/c",
        "a b",
        "a/.b",
        "s3://bucket/a",
        "a\n",
        "ü",
        "a" * 65,
        "a/b..c",
        "~/a",
    ],
)
def test_what_is_no_reference(text):
    with pytest.raises(ConfigError, match=r"accepted are|has no user before"):
        parse_reference(text)


@pytest.mark.parametrize("version", ["", "latest", "0123456789a", "0123456789AB", "../../manifest", f"{VERSION}@"])
def test_what_is_no_version(version):
    with pytest.raises(ConfigError, match="is not a version, which has 12 of 0-9 and a-f"):
        parse_reference(f"bob/train@{version}")


def test_users(monkeypatch):
    assert own_user("bob") == "bob"
    assert own_user() == "alice"
    monkeypatch.delenv("EMBEDTUNE_USER")
    monkeypatch.setattr(naming.getpass, "getuser", lambda: "carol")
    assert own_user() == "carol"
    monkeypatch.setattr(naming.getpass, "getuser", lambda: "DOMAIN\\carol")
    with pytest.raises(ConfigError, match=r"The login name 'DOMAIN\\\\carol' is none of .* Set EMBEDTUNE_USER"):
        own_user()
    monkeypatch.setenv("EMBEDTUNE_USER", "a/b")
    with pytest.raises(ConfigError, match=r"'a/b' cannot be the name of a user \(EMBEDTUNE_USER\)"):
        own_user()
    with pytest.raises(ConfigError, match=r"'\.\.' cannot be the name of a user"):
        own_user("..")


@pytest.mark.parametrize("error", [KeyError("uid not found: 1000"), OSError("No username set in the environment")])
def test_a_user_without_a_name(monkeypatch, error):
    def nobody():
        raise error

    monkeypatch.delenv("EMBEDTUNE_USER")
    monkeypatch.setattr(naming.getpass, "getuser", nobody)
    with pytest.raises(ConfigError, match=r"there is no login name. Set EMBEDTUNE_USER"):
        parse_reference("train")
    assert parse_reference("bob/train").user == "bob"


def test_where_datasets_are(monkeypatch, tmp_path):
    reference = Reference("alice", "train", VERSION)
    assert dataset_uri(reference) == f"{tmp_path}/alice/train/{VERSION}"
    assert object_prefix(reference.folder) is None
    monkeypatch.setenv("EMBEDTUNE_DATASETS", "s3://bucket/private-artifacts/team/datasets/")
    assert root_uri(reference.folder, "x") == f"s3://bucket/private-artifacts/team/datasets/alice/train/{VERSION}/x"
    assert object_prefix(reference.folder) == ("s3", "bucket", f"private-artifacts/team/datasets/alice/train/{VERSION}")
    monkeypatch.setenv("EMBEDTUNE_DATASETS", "minio://bucket")
    assert dataset_uri(reference) == f"minio://bucket/alice/train/{VERSION}"
    assert object_prefix(reference.folder) == ("minio", "bucket", f"alice/train/{VERSION}")
    monkeypatch.setenv("EMBEDTUNE_DATASETS", "relative")
    monkeypatch.chdir(tmp_path)
    assert datasets_root().path == tmp_path / "relative"
    monkeypatch.setenv("EMBEDTUNE_DATASETS", "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert datasets_root().path == tmp_path / ".local" / "share" / "embedtune" / "datasets"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert datasets_root().path == tmp_path / "data" / "embedtune" / "datasets"


@pytest.mark.parametrize("root", ["https://host/datasets", "dataset://alice/x"])
def test_what_is_no_place(monkeypatch, root):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", root)
    with pytest.raises(ConfigError, match=r"EMBEDTUNE_DATASETS=.* is no place for datasets. Give s3://"):
        datasets_root()


@pytest.mark.parametrize("key", ["a*", "team/?", "a[b]", "${aws:username}"])
def test_a_pattern_is_no_place(monkeypatch, key):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", f"s3://bucket/{key}")
    with pytest.raises(ConfigError, match=r"EMBEDTUNE_DATASETS=.* holds one of"):
        datasets_root()


def test_a_place_with_a_password(monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", "s3://key:topsecret@bucket/datasets")
    with pytest.raises(StorageError) as caught:
        datasets_root()
    assert "topsecret" not in str(caught.value)


def test_the_package_names_them_and_imports_nothing():
    code = (
        "import sys, embedtune\n"
        "assert not {'docarray', 'minio', 'numpy', 'typing', 'pathlib', 'embedtune.datasets'} & set(sys.modules)\n"
        "from embedtune import list_datasets, pull, push\n"
        "assert (push.__name__, pull.__name__, list_datasets.__name__) == ('push', 'pull', 'list_datasets')\n"
    )
    # Without site-packages' own start-up files, which import more than the interpreter itself.
    path = f"import sys; sys.path[:0] = {sys.path!r}\n"
    subprocess.run([sys.executable, "-S", "-c", path + code], check=True)
    with pytest.raises(AttributeError, match="module 'embedtune' has no attribute 'nothing'"):
        embedtune.nothing  # noqa: B018
