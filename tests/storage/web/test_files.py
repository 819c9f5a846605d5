import socket
import time

import pytest

from embedtune.errors import StorageError
from embedtune.storage.access import ForbiddenError
from embedtune.storage.digests import CHUNK_BYTES
from embedtune.storage.locations import parse_location
from embedtune.storage.opening import local_copy, resolve_source
from embedtune.storage.web import files as web


@pytest.fixture
def uri(faulty_server, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", f"example.com, {faulty_server.host}")
    return f"http://{faulty_server.host}/data/rows.csv"


def test_version_and_copy(uri, faulty_server):
    version = resolve_source(uri).version
    assert version == 'etag:"v1"-256000'
    with local_copy(uri, version) as source:
        [path] = source.files
        assert source.origins == (uri,)
        assert path == source.root / "rows.csv"
        assert path.read_bytes() == faulty_server.content
    assert not path.parent.exists()


@pytest.mark.parametrize("allowed", ["", "example.com", "127.0.0.1"])
def test_other_hosts_are_refused(uri, faulty_server, monkeypatch, allowed):
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", allowed)
    with pytest.raises(StorageError, match=f"Add {faulty_server.host} to the variable EMBEDTUNE_ALLOWED_HOSTS"):
        resolve_source(uri)
    with pytest.raises(StorageError, match="is not allowed"), local_copy(uri, ""):
        pass
    assert faulty_server.ranges == []


def test_a_redirect_to_a_host_that_is_not_allowed(uri, faulty_server):
    faulty_server.failures, faulty_server.location = [302], "http://169.254.169.254/latest"
    with pytest.raises(ForbiddenError, match=r"169\.254\.169\.254 is not allowed"):
        resolve_source(uri)


def test_a_redirect_on_the_way_to_the_file(uri, faulty_server):
    faulty_server.failures, faulty_server.location = [307, 308, 303], "/elsewhere?signature=topsecret"
    assert resolve_source(uri).version == 'etag:"v1"-256000'
    faulty_server.failures = [302]
    with local_copy(uri, "") as source:
        assert source.files[0].name == "rows.csv"
        assert source.files[0].read_bytes() == faulty_server.content


def test_a_refusal_names_address_and_status(uri, faulty_server):
    faulty_server.failures = [404]
    with pytest.raises(StorageError, match=r"rows\.csv: the server answers 404 Not Found"):
        resolve_source(uri)


def test_what_the_client_says_holds_neither_retries_nor_the_path(uri, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", host)
    with pytest.raises(StorageError) as caught:
        resolve_source(f"http://{host}/data/rows.csv")
    assert "Connection refused" in str(caught.value)
    assert str(caught.value).count("rows.csv") == 1
    assert "Max retries" not in str(caught.value)


def test_a_weak_etag_is_compared_here_and_not_by_the_server(uri, faulty_server):
    faulty_server.etag = 'W/"v1"'
    version = resolve_source(uri).version
    assert version == 'etag:W/"v1"-256000'
    faulty_server.content *= 8
    faulty_server.break_after = [CHUNK_BYTES + 1000]
    with local_copy(uri, 'etag:W/"v1"-2048000') as source:
        assert source.files[0].read_bytes() == faulty_server.content
    assert faulty_server.ranges == [None, f"bytes={CHUNK_BYTES + 1000}-"]
    faulty_server.etag = 'W/"v2"'
    with pytest.raises(StorageError, match="changed"), local_copy(uri, version):
        pass


def test_a_server_cannot_ask_for_a_long_wait(uri, faulty_server):
    faulty_server.failures, faulty_server.retry_after = [503, 503], "86400"
    start = time.monotonic()
    assert resolve_source(uri).version == 'etag:"v1"-256000'
    assert time.monotonic() - start < 10


def test_a_file_without_etag_or_too_large(uri, faulty_server, monkeypatch):
    monkeypatch.setattr(web, "SIZE_LIMIT", 1000)
    with pytest.raises(StorageError, match="has 256000 bytes; 1000 are accepted"):
        resolve_source(uri)
    faulty_server.etag = None
    with pytest.raises(StorageError, match="names no ETag"):
        resolve_source(uri)


def test_a_changed_file(uri, faulty_server):
    version = resolve_source(uri).version
    faulty_server.etag = '"v2"'
    with pytest.raises(StorageError, match="changed"), local_copy(uri, version):
        pass


def test_broken_connections_are_taken_up_where_they_stopped(uri, faulty_server):
    faulty_server.content *= 16
    faulty_server.break_after = [CHUNK_BYTES + 1000, 0, CHUNK_BYTES]
    with local_copy(uri, 'etag:"v1"-4096000') as source:
        assert source.files[0].read_bytes() == faulty_server.content
    once, twice = f"bytes={CHUNK_BYTES + 1000}-", f"bytes={2 * CHUNK_BYTES + 1000}-"
    assert faulty_server.ranges == [None, once, once, twice]


def test_a_server_that_ignores_ranges_cannot_spoil_the_file(uri, faulty_server):
    faulty_server.content *= 16
    faulty_server.break_after, faulty_server.honours_ranges = [CHUNK_BYTES], False
    with pytest.raises(StorageError, match="changed"), local_copy(uri, ""):
        pass


def test_a_server_that_sends_more_than_it_named(uri, faulty_server, tmp_path):
    with pytest.raises(StorageError, match="sends more than the 5000 bytes that it named"):
        web.fetch_page(parse_location(uri), '"v1"', 5000, tmp_path / "copy", lambda _: None)
    assert (tmp_path / "copy").stat().st_size <= CHUNK_BYTES


def test_a_connection_that_keeps_breaking(uri, faulty_server):
    faulty_server.break_after = [10] * 20
    with pytest.raises(StorageError, match=r"could not be read to its end"), local_copy(uri, ""):
        pass


def test_passing_server_errors_are_waited_for(uri, faulty_server):
    faulty_server.failures = [503, 500]
    assert resolve_source(uri).version == 'etag:"v1"-256000'
    faulty_server.failures = [503] * 4
    with pytest.raises(StorageError, match="503"):
        resolve_source(uri)


def test_a_server_that_is_gone(monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("EMBEDTUNE_ALLOWED_HOSTS", host)
        start = time.monotonic()
        with pytest.raises(StorageError, match="does not answer"):
            resolve_source(f"http://{host}/x")
    assert time.monotonic() - start < 5
