import hashlib
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.samples.fetch import Mirror, PublicSource, fetch_file
from embedtune.storage.web import files

CONTENT = random.Random(0).randbytes(5 << 20)
FILE = hashlib.sha256(CONTENT).hexdigest()
UNKNOWN = ""
CHUNK = 1 << 20
PUBLISHED = Mirror()


@pytest.fixture
def server(public, cache):
    with public.serve({"big.bin": CONTENT}) as server:
        yield server


@pytest.fixture
def source(server):
    return PublicSource("sample", server.url, "EMBEDTUNE_SAMPLE_URL", 8 << 20, "Ask for help.")


def fetch(source, sha256=FILE, mirror=PUBLISHED):
    return fetch_file(source, "big.bin", sha256, mirror)


def left_in(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


@pytest.mark.parametrize("file", [FILE, UNKNOWN])
def test_a_file_is_fetched_once(file, source, server, cache):
    path = fetch(source, file)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(cache / "samples" / "sample")
    assert fetch(source, file) == path
    assert server.requests == [("/files/big.bin", None)]
    assert left_in(cache) == ["big.bin"]


def test_one_copy_serves_for_all_places_with_the_same_checksum(source, server):
    path = fetch(source)
    assert fetch(source, mirror=Mirror("http://127.0.0.1:9/unreachable")) == path


def test_a_damaged_copy_in_the_cache_is_fetched_again(source):
    path = fetch(source)
    path.write_bytes(CONTENT[:-1])
    assert fetch(source).read_bytes() == CONTENT


def test_another_content_is_refused_and_not_kept(source, server, cache):
    server.files["big.bin"] = CONTENT[:-1] + b"?"
    with pytest.raises(StorageError, match=r"has the sha256 [0-9a-f]{64}, expected is .* Ask for help\."):
        fetch(source)
    assert left_in(cache) == []


def test_a_file_cut_short_on_the_server_is_refused(source, server, cache):
    server.files["big.bin"] = CONTENT[:-1000]
    with pytest.raises(StorageError, match="damaged, or another file"):
        fetch(source)
    assert left_in(cache) == []


@pytest.mark.parametrize("accepted", [True, False])
def test_a_file_without_a_checksum_is_kept_if_its_content_is_accepted(accepted, source, cache):
    def check(path):
        assert path.read_bytes() == CONTENT
        if not accepted:
            raise InputError("no such columns")

    if accepted:
        fetch_file(source, "big.bin", UNKNOWN, Mirror(), check)
    else:
        with pytest.raises(InputError, match="no such columns"):
            fetch_file(source, "big.bin", UNKNOWN, Mirror(), check)
    assert left_in(cache) == (["big.bin"] if accepted else [])


def test_broken_connections_are_taken_up_where_they_stopped(source, server):
    server.break_after = [CHUNK + 1000, 0, CHUNK]
    assert fetch(source).read_bytes() == CONTENT
    ranges = [wanted for _, wanted in server.requests]
    assert ranges[0] is None
    assert ranges[-1] is not None
    assert int(ranges[-1].strip("bytes=-")) >= 2 * CHUNK


def test_a_server_without_ranges_that_breaks_off(source, server, cache):
    server.honours_ranges, server.break_after = False, [CHUNK + 1, CHUNK + 1, CHUNK + 1, CHUNK + 1]
    with pytest.raises(StorageError, match="does not go on from there"):
        fetch(source)


@pytest.mark.parametrize(
    ("statuses", "message"),
    [
        ([404], r"/files/big\.bin: the server answers 404"),
        ([302], "redirects, which is not followed"),
        ([503] * 9, "503"),
    ],
)
def test_refusals_name_the_address_and_what_to_do(statuses, message, source, server, cache, monkeypatch):
    server.statuses = statuses
    with pytest.raises(StorageError, match=f"{message}.* Ask for help"):
        fetch(source)
    assert [path for path in cache.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_passing_server_errors_are_waited_for(source, server):
    server.statuses = [503, 500]
    assert fetch(source).read_bytes() == CONTENT


def test_a_server_that_is_gone(source):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    start = time.monotonic()
    with pytest.raises(StorageError, match=r"does not answer: .*refused") as caught:
        fetch(source, mirror=Mirror(f"http://127.0.0.1:{port}"))
    assert time.monotonic() - start < 5
    assert "Max retries" not in str(caught.value)


@pytest.mark.parametrize("names_length", [True, False])
def test_more_than_the_limit_is_refused(names_length, server, source, cache):
    server.names_length = names_length
    small = PublicSource("sample", server.url, "EMBEDTUNE_SAMPLE_URL", 1 << 20, "")
    with pytest.raises(StorageError, match="more than the 1048576 bytes that are accepted"):
        fetch(small)
    assert not (cache / "big.bin").exists()
    assert fetch(source).read_bytes() == CONTENT


def test_a_server_that_drips_is_given_up(server, source, monkeypatch):
    monkeypatch.setattr(files, "DOWNLOAD_LIMIT_S", 0.5)
    server.pause_s = 0.05
    start = time.monotonic()
    with pytest.raises(StorageError, match="did not come"):
        fetch(source)
    assert time.monotonic() - start < 3


def test_the_bytes_are_those_stored_whatever_the_server_calls_them(source, server):
    server.headers = {"Content-Encoding": "gzip"}
    assert fetch(source).read_bytes() == CONTENT


def test_many_at_a_time(source, cache):
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: fetch(source), range(8)))
    assert len(paths) == 1
    assert paths.pop().read_bytes() == CONTENT
    assert left_in(cache) == ["big.bin"]


def test_a_cache_that_cannot_be_written(source, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EMBEDTUNE_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"cannot be written: Not a directory. Name .* in the variable EMBEDTUNE"):
        fetch(source)


def test_the_base_url_of_the_caller_then_the_environment_then_the_published_one(public, source, monkeypatch):
    other = CONTENT[:1000]
    with public.serve({"big.bin": other}) as first, public.serve({"big.bin": other}) as second:
        monkeypatch.setenv("EMBEDTUNE_SAMPLE_URL", first.url.rstrip("/"))
        assert fetch(source, UNKNOWN).read_bytes() == other
        assert fetch(source, UNKNOWN, Mirror(second.url)).read_bytes() == other
        assert (len(first.requests), len(second.requests)) == (1, 1)
    monkeypatch.setenv("EMBEDTUNE_SAMPLE_URL", "")
    assert fetch(source, UNKNOWN).read_bytes() == CONTENT


def test_another_base_url_does_not_switch_the_check_off(public, source, tmp_path):
    other = {"big.bin": CONTENT[:1000]}
    with public.serve(other) as server:
        with pytest.raises(StorageError, match="--checksums"):
            fetch(source, mirror=Mirror(server.url))
        mirror = Mirror(server.url, public.write_checksums(tmp_path / "sums", other))
        assert fetch(source, mirror=mirror).read_bytes() == CONTENT[:1000]
    assert fetch(source).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "form", ["{sum}  big.bin", "{SUM} *big.bin", "{sum}  ./mirror/big.bin", "x\n\n{sum}  big.bin\n"]
)
def test_checksums_as_sha256sum_writes_them(form, source, tmp_path):
    text = form.format(sum=FILE, SUM=FILE.upper())
    (tmp_path / "sums").write_text(text)
    assert fetch(source, UNKNOWN, Mirror(checksums=tmp_path / "sums")).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has no line"),
        (b"d41d8cd98f00b204e9800998ecf8427e  big.bin", "has no line"),
        (FILE.encode() + b"  other.bin", "has no line"),
        (b"\xff\xfe\x00", "cannot be read: they are no text in UTF-8. Write"),
        (None, "cannot be read: No such file or directory. Write"),
    ],
)
def test_checksums_that_cannot_be_used(content, message, source, server, tmp_path):
    if content is not None:
        (tmp_path / "sums").write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        fetch(source, mirror=Mirror(checksums=tmp_path / "sums"))
    assert server.requests == []


@pytest.mark.parametrize(
    "url", ["ftp://host/", "/folder", "http://", "https://host/?key=1", "https://host/#part", "file:///etc/", "x"]
)
def test_base_urls_that_are_refused(url, source):
    with pytest.raises(ConfigError, match="EMBEDTUNE_SAMPLE_URL"):
        fetch(source, mirror=Mirror(url))


def test_a_password_in_the_base_url_is_refused_and_not_shown(source):
    with pytest.raises(ConfigError, match="holds a user or password") as caught:
        fetch(source, mirror=Mirror("https://me:secret@host/files/"))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://me:secret@host/d/?x=1",
        "ftp://me:secret@host/d/",
        "https://me:secret@/d/",
        "me:secret@host/d/",
        "https://[me:secret@host",
        "https://host/d/?signature=secret",
        "https://host/d/#secret",
    ],
)
def test_no_more_than_the_host_of_a_refused_base_url_is_shown(source, url):
    with pytest.raises(ConfigError, match=r"The base URL (at host )?(is no address|holds a user)") as caught:
        fetch(source, mirror=Mirror(url))
    assert "secret" not in str(caught.value)


def test_the_cache_folder(source, tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_CACHE", str(tmp_path / "a"))
    assert fetch(source).is_relative_to(tmp_path / "a" / "samples")
    monkeypatch.setenv("EMBEDTUNE_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert fetch(source).is_relative_to(tmp_path / "b" / "embedtune")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert fetch(source).is_relative_to(tmp_path / "c" / ".cache" / "embedtune")
