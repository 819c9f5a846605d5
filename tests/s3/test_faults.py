"""What goes wrong between us and the store: nothing half-visible, nothing lost, a clear error."""

import json
import os
import resource
import signal
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext

import pytest

from embedtune.errors import StorageError
from embedtune.progress import silent
from embedtune.storage import folders
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import UnreachableError
from embedtune.storage.folders import MANIFEST_NAME, delete_folder, download_folder, upload_folder
from embedtune.storage.objects import client, uploads
from embedtune.storage.opening import open_store
from embedtune.storage.web import http

PART = uploads.PART_BYTES
SECRET = "topsecrettopsecret"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(client, "_RETRIES", 2)
    monkeypatch.setattr(http, "_FIRST_PAUSE_S", 0.01)


@pytest.fixture
def make(tmp_path):
    def make(name, content, large=0):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(4):
            (folder / f"{number}.bin").write_bytes(content + bytes([number]))
        if large:
            (folder / "large.bin").write_bytes((content * large)[:large])
        return folder

    return make


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def unfinished_names(tmp_path):
    return [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


class TestTheStoreFails:
    def test_now_and_then(self, store, proxy, make, tmp_path):
        proxy.failures = [("PUT", 503, "SlowDown"), ("POST", 500, "InternalError"), ("GET", 503, "SlowDown")] * 2
        proxy.lose_answers = [("PUT", "partNumber=2"), ("POST", "uploadId="), ("GET", MANIFEST_NAME)]
        folder = make("folder", b"content", 3 * PART)
        upload_folder(folder, f"{store.uri}/run")
        assert download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(folder)
        assert proxy.failures == proxy.lose_answers == []
        assert store.unfinished_uploads() == []

    def test_for_good(self, store, proxy, make, tmp_path):
        old = make("old", b"old")
        upload_folder(old, f"{store.uri}/run")
        proxy.failures = [("PUT", 503, "SlowDown")] * 100
        with pytest.raises(UnreachableError, match=r"is out of order \(SlowDown\)\. Start again later"):
            upload_folder(make("new", b"new", PART), f"{store.uri}/run")
        assert store.unfinished_uploads() == []
        assert download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(old)

    def test_it_dies_in_the_middle_of_an_upload(self, store, proxy, make, tmp_path, monkeypatch):
        old, new = make("old", b"old"), make("new", b"new", 4 * PART)
        upload_folder(old, f"{store.uri}/run")
        proxy.requests.clear()
        proxy.dies_after_puts = 6
        with pytest.raises(UnreachableError, match="does not answer"):
            upload_folder(new, f"{store.uri}/run")
        proxy.dies_after_puts = None
        assert download_folder(f"{store.uri}/run", tmp_path / "old copy")
        assert contents(tmp_path / "old copy") == contents(old)
        proxy.requests.clear()
        monkeypatch.setattr(uploads, "ABANDONED_S", -1.0)
        upload_folder(new, f"{store.uri}/run")
        assert not any(path.endswith("0.bin") for path in proxy.puts())
        assert download_folder(f"{store.uri}/run", tmp_path / "new copy")
        assert contents(tmp_path / "new copy") == contents(new)
        assert store.unfinished_uploads() == []
        assert len(store.names()) == 6

    def test_it_fails_after_it_began_to_answer(self, store, proxy, make):
        proxy.failures = [("POST uploadId=", 200, "InternalError")]
        source = make("folder", b"x", PART + 1) / "large.bin"
        with pytest.raises(UnreachableError, match=r"large\.bin: the object store failed to put the parts together"):
            open_store(store.uri).put_file("large.bin", source)
        assert store.names() == []

    @pytest.mark.parametrize("known", [True, False])
    def test_the_answer_that_an_upload_is_complete_is_lost(self, store, proxy, make, known):
        proxy.lose_answers = [("POST", "uploadId=")]
        proxy.failures = [("LOST uploadId=", 404, "NoSuchUpload")]
        source = make("folder", b"x", PART + 1) / "large.bin"
        sha256 = file_sha256(source, silent) if known else ""
        with nullcontext() if known else pytest.raises(StorageError, match="NoSuchUpload"):
            open_store(store.uri).put_file("large.bin", source, sha256)
        assert store.names() == ["large.bin"]

    def test_it_is_slow(self, store, proxy, make, monkeypatch):
        proxy.delay_s = 0.1
        upload_folder(make("folder", b"slow"), f"{store.uri}/run")
        monkeypatch.setattr(http, "_READ_TIMEOUT_S", 0.05)
        with pytest.raises(UnreachableError, match=r"does not answer.*timed out"):
            open_store(store.uri).get_bytes("file")

    def test_what_answers_is_no_store_and_repeats_the_request(self, store, monkeypatch, faulty_page):
        monkeypatch.setenv("AWS_ENDPOINT_URL", faulty_page)
        monkeypatch.setenv("AWS_SESSION_TOKEN", SECRET)
        with pytest.raises(StorageError, match=r"does not answer like an object store \(status 418\)") as caught:
            open_store(store.uri).get_bytes("file")
        assert SECRET not in "".join(traceback.format_exception(caught.value))


class TestDownloads:
    def test_go_on_within_a_file(self, store, proxy, make, tmp_path):
        folder = make("folder", b"0123456789", 5 << 20)
        upload_folder(folder, f"{store.uri}/run")
        proxy.requests.clear()
        proxy.break_answers_after = [10_000, (2 << 20) + 5, 1 << 20, (1 << 20) + 1]
        assert download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(folder)
        asked = [spec for _, path, spec in proxy.requests if path.endswith("large.bin")]
        starts = [10_000, (2 << 20) + 10_005, (3 << 20) + 10_005, (4 << 20) + 10_006]
        assert asked == [None, *(f"bytes={start}-" for start in starts)]

    def test_small_contents_are_asked_for_again(self, store, proxy):
        place = open_store(store.uri)
        place.put_bytes("file", b"0123456789")
        proxy.break_answers_after = [3, 0, 9]
        assert place.get_bytes("file") == b"0123456789"
        proxy.break_answers_after = [3] * 100
        with pytest.raises(UnreachableError, match="does not answer"):
            place.get_bytes("file")

    def test_go_on_in_the_next_process(self, store, proxy, make, tmp_path):
        folder = make("folder", b"0123456789", 5 << 20)
        upload_folder(folder, f"{store.uri}/run")
        proxy.break_answers_after = [3 << 20, *[10_000] * 50]
        with pytest.raises(UnreachableError, match="does not answer"):
            download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert not (tmp_path / "copy").exists()
        assert len(unfinished_names(tmp_path)) == 1
        proxy.break_answers_after.clear()
        proxy.requests.clear()
        assert download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(folder)
        assert unfinished_names(tmp_path) == []
        assert [spec for _, path, spec in proxy.requests if path.endswith("large.bin")] == [
            f"bytes={(3 << 20) + 30_000}-"
        ]

    def test_a_full_disk(self, store, make, tmp_path):
        upload_folder(make("folder", b"x", 3 << 20), f"{store.uri}/run")
        with (
            pytest.raises(StorageError, match=r"large\.bin cannot be stored in .*Free some space there"),
            largest_file(1 << 20),
        ):
            download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]

    def test_two_at_once_to_one_place(self, store, make, tmp_path):
        folder = make("folder", b"x", 3 << 20)
        upload_folder(folder, f"{store.uri}/run")
        with ThreadPoolExecutor(2) as pool:
            outcomes = [pool.submit(download_folder, f"{store.uri}/run", tmp_path / "copy") for _ in range(2)]
        assert any(outcome.exception() is None and outcome.result() for outcome in outcomes)
        assert contents(tmp_path / "copy") == contents(folder)
        assert unfinished_names(tmp_path) == []


@contextmanager
def largest_file(size):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_upload_takes_its_parts_back(store, make, error):
    source = make("folder", b"x", 5 * PART) / "large.bin"
    told, is_interrupted = [], threading.Event()

    def interrupt(signal_number, _):
        is_interrupted.set()
        signal.default_int_handler(signal_number, _)

    def advance(count):
        told.append(count)
        if error is ValueError:
            raise error
        os.kill(os.getpid(), signal.SIGINT)
        is_interrupted.wait(10)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        with pytest.raises(error):
            open_store(store.uri).put_file("large.bin", source, "", advance)
    finally:
        signal.signal(signal.SIGINT, before)
    assert store.unfinished_uploads() == store.names() == []
    assert PART <= sum(told) < 5 * PART


class TestCredentials:
    @pytest.mark.parametrize("code", ["ExpiredToken", "TokenRefreshRequired"])
    def test_expired(self, store, proxy, make, code, monkeypatch):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        proxy.failures = [("PUT", 400, code)] * 20
        with pytest.raises(StorageError, match=f"the credentials for .* have expired .{code}.*Get new ones") as caught:
            upload_folder(make("folder", b"x"), f"{store.uri}/run")
        assert SECRET not in "".join(traceback.format_exception(caught.value))

    @pytest.mark.parametrize("case", ["unknown key", "wrong secret", "no keys"])
    def test_refused_everywhere_and_never_shown(self, strict_store, make, tmp_path, monkeypatch, case):
        folder, uri = make("folder", b"x"), f"{strict_store.uri}/run"
        upload_folder(folder, uri)
        names, secret = strict_store.names(), os.environ["AWS_SECRET_ACCESS_KEY"]
        if case == "no keys":
            monkeypatch.delenv("AWS_ACCESS_KEY_ID")
            monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
        else:
            name = {"unknown key": "AWS_ACCESS_KEY_ID", "wrong secret": "AWS_SECRET_ACCESS_KEY"}[case]
            monkeypatch.setenv(name, SECRET)
        place = open_store(uri)
        reads = [
            lambda: download_folder(uri, tmp_path / "copy"),
            lambda: place.get_bytes(MANIFEST_NAME),
            lambda: place.holds(MANIFEST_NAME, 1, ""),
        ]
        others = [
            place.names,
            place.children,
            lambda: upload_folder(folder, uri),
            lambda: delete_folder(uri),
            lambda: place.put_file("file", folder / "0.bin"),
            lambda: place.put_bytes("file", b"x"),
        ]
        # moto fails with status 500 where somebody lists or writes without credentials.
        for action in reads if case == "no keys" else reads + others:
            with pytest.raises(StorageError, match=r"access denied by .* read from AWS_ACCESS_KEY_ID and") as caught:
                action()
            text = "".join(traceback.format_exception(caught.value))
            assert SECRET not in text
            assert secret not in text
        assert strict_store.names() == names


@contextmanager
def stopped_after_files(monkeypatch):
    """Let an upload store its files, and stop it before its manifest."""

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("embedtune.storage.objects.prefix.ObjectPrefix.put_bytes", stop)
        with pytest.raises(KeyboardInterrupt):
            yield


class TestTwoPushersOfOneName:
    def test_the_last_one_wins_whole(self, store, make, tmp_path):
        sources = [make(f"folder {number}", f"content {number}".encode() * 100, 1000) for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda source: upload_folder(source, f"{store.uri}/run"), sources * 2))
        assert download_folder(f"{store.uri}/run", tmp_path / "copy")
        assert contents(tmp_path / "copy") in [contents(source) for source in sources]
        assert store.unfinished_uploads() == []

    def test_one_takes_nothing_from_another_that_still_writes(self, store, make, monkeypatch, tmp_path):
        uri, slow, fast = f"{store.uri}/run", make("slow", b"slow"), make("fast", b"fast")
        upload_folder(make("first", b"first"), uri)
        with stopped_after_files(monkeypatch):
            upload_folder(slow, uri)
        before = store.names()
        upload_folder(fast, uri)
        digest = json.loads(store.client.get_object(store.bucket, f"run/{MANIFEST_NAME}").read())["digest"]
        others = [name for name in store.names() if digest not in name]
        # The first folder went, the slow one's files and the manifest stay.
        assert len(others) == 5
        assert set(others) < set(before)
        upload_folder(slow, uri)
        assert download_folder(uri, tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(slow)

    def test_what_another_takes_away_meanwhile_is_stored_again(self, make, monkeypatch, tmp_path):
        uri, folder = str(tmp_path / "place"), make("folder", b"x")
        tidy = folders._tidy

        def tidy_and_lose(store, *rest):
            tidy(store, *rest)
            store.remove([name for name in store.names() if name.endswith("/1.bin")])

        monkeypatch.setattr(folders, "_tidy", tidy_and_lose)
        upload_folder(folder, uri)
        assert download_folder(uri, tmp_path / "copy")
        assert contents(tmp_path / "copy") == contents(folder)


def test_only_stores_keep_folders():
    with pytest.raises(StorageError, match="object store or a disk"):
        open_store("https://example.com/folder")
