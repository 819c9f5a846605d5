"""One suite for every kind of store: a folder and a prefix of the object store behave alike."""

import hashlib
import os

import pytest

from embedtune.errors import StorageError
from embedtune.storage import digests
from embedtune.storage import store as stores
from embedtune.storage.errors import DamagedError, MissingObjectError
from embedtune.storage.objects import prefix as objects
from embedtune.storage.objects.uploads import PART_BYTES
from embedtune.storage.opening import open_store
from embedtune.storage.store import StoredFile

NAME = "deep/größe a?#%.bin"


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def file(tmp_path):
    def make(content):
        path = tmp_path / "source.bin"
        path.write_bytes(content)
        return path

    return make


class Suite:
    @pytest.mark.parametrize(
        "size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 4 * PART_BYTES + 7], ids=lambda size: f"{size} bytes"
    )
    def test_files_of_every_size(self, place, file, tmp_path, size):
        content, told = (bytes(range(256)) * (size // 256 + 1))[:size], []
        digest = place.put_file(NAME, file(content), sha256(content), told.append)
        assert digest == sha256(content)
        assert sum(told) == size
        told.clear()
        assert place.get_file(NAME, tmp_path / "copy", digest, told.append)
        assert (tmp_path / "copy").read_bytes() == content
        assert sum(told) == size
        assert place.holds(NAME, size, digest)
        assert not place.holds(NAME, size + 1, digest)
        assert not place.holds(NAME, size, sha256(b"other"))

    @pytest.mark.parametrize("size", [0, 3, PART_BYTES + 3])
    def test_a_file_that_changed_is_not_stored(self, place, file, size):
        place.put_bytes("file", b"old")
        with pytest.raises(StorageError, match="changed while it was being stored"):
            place.put_file("file", file(bytes(size)), sha256(b"what it was"))
        assert place.get_bytes("file") == b"old"
        assert place.names() == ["file"]

    def test_a_source_that_is_gone(self, place, tmp_path):
        with pytest.raises(StorageError, match=r"gone\.bin cannot be read"):
            place.put_file("file", tmp_path / "gone.bin")
        with pytest.raises(StorageError, match=r"cannot be read: .*Is a directory"):
            place.put_file("file", tmp_path)
        assert place.names() == []

    def test_damaged_content(self, place, tmp_path):
        place.put_bytes("file", b"other")
        with pytest.raises(DamagedError, match=f"has not the SHA-256 {sha256(b'right')}"):
            place.get_file("file", tmp_path / "copy", sha256(b"right"))
        assert not (tmp_path / "copy").exists()

    @pytest.mark.parametrize(
        "beginning", [b"", b"the beg", b"another", b"the beginning and the end", b"the beginning and the end, and more"]
    )
    def test_a_file_that_was_begun(self, place, tmp_path, beginning):
        content = b"the beginning and the end"
        place.put_bytes("file", content)
        target = tmp_path / "copy"
        target.write_bytes(beginning)
        assert place.get_file("file", target, sha256(content))
        assert target.read_bytes() == content

    def test_a_small_content_that_is_not_small(self, place, tmp_path, monkeypatch):
        monkeypatch.setattr(digests, "SMALL_BYTES", 1000)
        monkeypatch.setattr(stores, "SMALL_BYTES", 1000)
        monkeypatch.setattr(objects, "SMALL_BYTES", 1000)
        place.put_bytes("file", bytes(1000))
        assert place.get_bytes("file") == bytes(1000)
        place.put_bytes("file", bytes(5_000_000))
        with pytest.raises(DamagedError, match=r"file has more than the 1000 bytes that are accepted"):
            place.get_bytes("file")

    def test_nothing_there(self, place, tmp_path):
        assert place.get_file("none", tmp_path / "copy") is False
        assert place.get_bytes("none") is None
        assert place.holds("none", 0, sha256(b"")) is False
        assert place.entries() == place.names() == place.children() == []
        place.remove(["none"])

    def test_names(self, place):
        for name in ("b/2", "b/1", "a", "b/deep/er", "bb/x", "c d/ü"):
            place.put_bytes(name, name.encode())
        assert place.names() == ["a", "b/1", "b/2", "b/deep/er", "bb/x", "c d/ü"]
        assert place.names("b/") == ["b/1", "b/2", "b/deep/er"]
        assert place.names("b") == ["b/1", "b/2", "b/deep/er", "bb/x"]
        assert place.names("z") == []
        assert place.children() == ["b", "bb", "c d"]
        (entry,) = place.entries("bb/")
        assert entry == StoredFile("bb/x", 4, entry.modified)
        assert entry.modified > 1e9

    def test_remove(self, place, file):
        content = b"x" * 1000
        place.put_file("one", file(content), sha256(content))
        place.put_bytes("deep/two", content)
        place.remove(["one", "never"])
        assert place.names() == ["deep/two"]
        place.remove(["deep/two"])
        assert place.names() == place.children() == []


class TestFolder(Suite):
    @pytest.fixture
    def place(self, tmp_path):
        return open_store(str(tmp_path / "place"))

    @pytest.mark.parametrize("name", ["../out", "/etc/out", "deep/../../out"])
    def test_names_that_lead_out(self, place, tmp_path, name):
        with pytest.raises(StorageError, match="would lie outside the folder"):
            place.put_bytes(name, b"x")
        with pytest.raises(StorageError, match="would lie outside the folder"):
            place.get_bytes(name)


class TestObjects(Suite):
    @pytest.fixture
    def place(self, store):
        yield open_store(f"{store.uri}/my place")
        assert store.unfinished_uploads() == []

    @pytest.mark.parametrize("change", [-1, 1])
    def test_a_file_that_shrinks_or_grows_meanwhile(self, place, file, change):
        source = file(bytes(PART_BYTES + 1))
        with pytest.raises(StorageError, match="changed while it was being stored"):
            place.put_file("file", source, "", lambda _: os.truncate(source, PART_BYTES + 1 + change))
        assert place.names() == []

    def test_a_bucket_that_does_not_exist(self, store, tmp_path):
        place = open_store(f"s3://{store.bucket}-none/place")
        assert place.get_bytes("file") is None
        assert place.get_file("file", tmp_path / "copy") is False
        assert place.entries() == place.names() == place.children() == []
        with pytest.raises(StorageError, match="does not exist"):
            place.put_bytes("file", b"x")


@pytest.mark.parametrize("largest", [5 << 30, 5 << 20], ids=["at once", "in parts"])
def test_a_copy_within_the_store(store, file, monkeypatch, largest):
    """What is larger than S3 copies at once, 5 GiB, it copies in parts, which take no metadata over."""
    monkeypatch.setattr("minio.api.MAX_PART_SIZE", largest)
    content = bytes(range(256)) * (12 << 12)
    place = open_store(store.uri)
    digest = place.put_file(NAME, file(content), sha256(content))
    place.copy_file(NAME, "copy of it", digest)
    assert store.client.get_object(store.bucket, "copy of it").read() == content
    assert place.holds("copy of it", len(content), digest)
    with pytest.raises(MissingObjectError):
        place.copy_file("nothing", "copy of it", digest)
    assert place.holds("copy of it", len(content), digest)
