import base64
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.access import AccessRules, ForbiddenError
from embedtune.storage.content_reader import ContentReader, resolve_content
from embedtune.storage.errors import UnreachableError


@pytest.fixture
def reader(tmp_path):
    return ContentReader(AccessRules((tmp_path,), (), ()))


@pytest.mark.parametrize(
    ("cell", "origin", "address"),
    [
        ("images/a.png", "data/rows.csv", "data/images/a.png"),
        ("a b%20#?.png", "/data/rows.csv", "/data/a b%20#?.png"),
        ("../a.png", "/data/x/rows.csv", "/data/x/../a.png"),
        ("a.png", "file:///data/my%20set/rows.csv", "/data/my set/a.png"),
        ("a.png", "data/folder/", "data/folder/a.png"),
        ("/pictures/a.png", "data/rows.csv", "/pictures/a.png"),
        ("/pictures/a.png", "s3://data/rows.csv", "/pictures/a.png"),
        ("a.png", "s3://data/x/rows.csv", "s3://data/x/a.png"),
        ("a b#?%20ü.png", "minio://data/x/rows.csv", "minio://data/x/a b#?%20ü.png"),
        ("./i/../a.png", "s3://data/x/", "s3://data/x/a.png"),
        ("../a.png", "s3://data/x/rows.csv", "s3://data/a.png"),
        ("a.png", "s3://data/rows.csv", "s3://data/a.png"),
        ("a b.png", "https://example.com/x/rows.csv", "https://example.com/x/a%20b.png"),
        ("a%20b.png?w=1", "https://example.com/x/rows.csv", "https://example.com/x/a%20b.png?w=1"),
        ("../a.png", "https://example.com/x/rows.csv", "https://example.com/a.png"),
        ("s3://other/a.png", "https://example.com/x/rows.csv", "s3://other/a.png"),
        ("HTTPS://example.com/a.png", "s3://data/rows.csv", "HTTPS://example.com/a.png"),
        ("data:image/png;base64,AAAA", "s3://data/rows.csv", "data:image/png;base64,AAAA"),
    ],
)
def test_addresses_of_contents(cell, origin, address):
    assert resolve_content(cell, origin) == address


def test_a_local_folder_needs_no_slash(tmp_path):
    assert resolve_content("a.png", str(tmp_path)) == str(tmp_path / "a.png")


def test_dots_cannot_lead_out_of_a_bucket(reader):
    address = resolve_content("../../other/a.png", "s3://data/x/rows.csv")
    with pytest.raises(StorageError, match=r"'\.\.'"):
        reader.read(address, 10)


class TestFiles:
    def test_content(self, tmp_path, reader):
        path = tmp_path / "a b.png"
        path.write_bytes(b"12345")
        assert reader.read(str(path), 5) == b"12345"
        assert reader.read(path.as_uri(), 5) == b"12345"
        with pytest.raises(StorageError, match=r"a b\.png is larger than the 4 bytes"):
            reader.read(str(path), 4)

    def test_what_cannot_be_read(self, tmp_path, reader):
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "f").mkdir()
        (tmp_path / "circle").symlink_to(tmp_path / "circle")
        for name, message in [("none", "does not exist"), ("pipe", "is not a file"), ("f", "is not a file")]:
            with pytest.raises(StorageError, match=message):
                reader.read(str(tmp_path / name), 5)
        with pytest.raises(StorageError, match="cannot be read"):
            reader.read(str(tmp_path / ("n" * 300)), 5)
        with pytest.raises(StorageError, match="cannot be read"):
            reader.read(str(tmp_path / "circle"), 5)

    def test_outside(self, tmp_path, reader):
        (tmp_path / "link").symlink_to("/etc/passwd")
        for address in ("/etc/passwd", f"{tmp_path}/link", "/dev/zero", "https://example.com/a", "s3://data/a"):
            with pytest.raises(ForbiddenError):
                reader.read(address, 1000)

    def test_a_special_file_of_the_system(self):
        reader = ContentReader(AccessRules((Path("/proc"),), (), ()))
        with pytest.raises(StorageError, match="special file"):
            reader.read("/proc/self/maps", 10)


class TestDataAddresses:
    @pytest.mark.parametrize(
        ("uri", "content"),
        [
            ("data:image/png;base64," + base64.b64encode(b"\x89PNG").decode(), b"\x89PNG"),
            ("DATA:;BASE64,AAAA", b"\0\0\0"),
            ("data:,a%20b", b"a b"),
            ("data:image/png;base64,iVBO%0A", None),
            ("data:image/png;base64,!!!!", None),
            ("data:image/png;base64", None),
        ],
    )
    def test_content(self, reader, uri, content):
        if content is None:
            with pytest.raises(StorageError, match="data:image/png"):
                reader.read(uri, 10)
        else:
            assert reader.read(uri, len(content)) == content
            with pytest.raises(StorageError, match=f"larger than the {len(content) - 1} bytes"):
                reader.read(uri, len(content) - 1)

    def test_a_huge_one_is_refused_before_it_is_decoded_and_not_repeated(self, reader):
        with pytest.raises(StorageError, match="larger than") as caught:
            reader.read("data:image/png;base64," + "A" * 50_000_000, 1000)
        assert len(str(caught.value)) < 200


@pytest.mark.parametrize("uri", ["ftp://example.com/a", "", "https://user:topsecret@example.com/a", "dataset://a/b"])
def test_addresses_of_other_kinds(reader, uri):
    with pytest.raises(StorageError) as caught:
        reader.read(uri, 10)
    assert "topsecret" not in str(caught.value)


def test_links_are_followed_before_the_check_also_in_a_folder_that_was_read_from_before(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(folder.name.encode())
    (inside / "linked.png").symlink_to(inside / "a.png")
    (inside / "secret.png").symlink_to(outside / "a.png")
    (inside / "file").symlink_to(outside / "a.png")
    (inside / "folder").symlink_to(outside)
    reader = ContentReader(AccessRules((inside,), (), ()))
    for name in ("a.png", "linked.png", "./a.png", "../inside/a.png"):
        assert reader.read(resolve_content(name, f"{inside}/rows.csv"), 100) == b"inside"
    for name in (
        "secret.png",
        "file",
        "folder/a.png",
        "../outside/a.png",
        "folder/../inside/a.png/../../outside/a.png",
    ):
        with pytest.raises(ForbiddenError):
            reader.read(resolve_content(name, f"{inside}/rows.csv"), 100)


class TestStoresThatDoNotAnswer:
    @pytest.fixture
    def reader(self, monkeypatch):
        with socket.create_server(("127.0.0.1", 0)) as server:
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
            stop = threading.Event()
            thread = threading.Thread(target=accept, args=(server, stop))
            thread.start()
            yield ContentReader(AccessRules((), ("data",), ()), timeout_s=0.6)
            stop.set()
            thread.join()

    def test_they_hold_no_content_longer_than_its_time(self, reader):
        start = time.monotonic()
        with pytest.raises(
            UnreachableError, match=r"s3://data/a\.png: the object store at .* does not answer: .*timed out"
        ):
            reader.read("s3://data/a.png", 7)
        assert 0.5 < time.monotonic() - start < 4
        with pytest.raises(UnreachableError, match="was not asked again"):
            reader.read("s3://data/b.png", 7)


def accept(server: socket.socket, stop: threading.Event) -> None:
    """Take connections, and never answer."""
    server.settimeout(0.05)
    taken = []
    while not stop.is_set():
        with suppress(TimeoutError):
            taken.append(server.accept()[0])
    for connection in taken:
        connection.close()


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        (r"My Pics\red\a b.png", r", but a file does whose name has '/' instead of '\'."),
        ("My%20Pics/red/a%20b.png", ", but a file does whose name has the signs that %20 and the like stand for."),
        ("my pics/red/a b.PNG", ", but a file does whose name has other upper and lower case."),
        ("My Pics/red/a  b.png", ", but a file does whose name has another Unicode form or other white space."),
        ("My Pics/re\u0301d/c.png", ", but a file does whose name has another Unicode form or other white space."),
        (
            "my pics\\red/a b.png",
            ", but a file does whose name has '/' instead of '\\' and other upper and lower case.",
        ),
        ("My Pics/red/b.png", "."),
        (r"..\outside.png", "."),
        ("../Outside.png", None),
        ("nowhere/a.png", "."),
    ],
)  # fmt: skip
def test_a_missing_file_that_is_only_spelt_otherwise(tmp_path, asked, hint):
    for name in ("in/My Pics/red/a b.png", "in/My Pics/r\u00e9d/c.png", "outside.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    reader = ContentReader(AccessRules((tmp_path / "in",), (), ()))
    with pytest.raises(StorageError) as caught:
        reader.read(f"{tmp_path}/in/{asked}", 10)
    if hint is None:
        assert isinstance(caught.value, ForbiddenError)
    else:
        assert str(caught.value) == f"{tmp_path}/in/{asked} does not exist{hint}"
