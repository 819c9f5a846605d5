"""What goes wrong under way: nothing half-visible, nothing lost, a clear error."""

import json
import threading

import pytest
from docarray import DocumentArray

from embedtune import list_datasets, pull, push
from embedtune.datasets import delete as delete_module
from embedtune.datasets import packing
from embedtune.datasets import push as push_module
from embedtune.datasets.catalogue import locate
from embedtune.datasets.delete import delete
from embedtune.datasets.pull import pull_file, pull_files
from embedtune.errors import InputError, StorageError
from embedtune.storage import folders
from embedtune.storage.opening import open_store


def test_a_lost_or_damaged_shard_is_told_and_pushed_again(place, tmp_path, texts):
    pushed = push(texts(50), "train")
    shard = place.shard(pushed.reference)
    content = place.read(shard)
    place.write(shard, content[:-20])
    output = tmp_path / "train.protobuf-array.gzip"
    for pull_it in (lambda: pull("train"), lambda: pull_file("train", output)):
        with pytest.raises(StorageError, match=r"is damaged: its content has not the SHA-256"):
            pull_it()
    place.remove(shard)
    with pytest.raises(StorageError, match=r"has lost documents-00000"):
        pull_file("train", output)
    assert list(tmp_path.glob("*train*")) == []
    assert list(tmp_path.glob(".*")) == []
    push(texts(50), "train")
    assert place.read(shard) == content
    assert len(pull("train")) == 50


def test_damage_that_leaves_the_size_is_mended_by_a_push(place, texts):
    pushed = push(texts(50), "train")
    shard = place.shard(pushed.reference)
    content = place.read(shard)
    place.write(shard, content[:100] + bytes([content[100] ^ 1]) + content[101:])
    with pytest.raises(StorageError, match=r"is damaged"):
        pull("train")
    assert push(texts(50), "train").created == pushed.created
    assert place.read(shard) == content


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "format 'embedtune.dataset' version 2; .* reads 'embedtune.dataset' version 1"),
        ({"content": "f" * 64}, "is of the version ffffffffffff"),
        ({"rows": 6}, "6 rows are not those of its files"),
    ],
)
def test_a_manifest_that_cannot_be_trusted(place, capsys, change, message, texts):
    other, pushed = push(texts(4), "train"), push(texts(5), "train")
    name = f"alice/train/{pushed.version}/manifest.json"
    place.write(name, json.dumps(place.manifest(pushed.reference) | change).encode())
    for use in (lambda: pull(pushed.reference), lambda: locate(pushed.reference), lambda: push(texts(5), "train")):
        with pytest.raises(StorageError, match=message):
            use()
    # The other ones are not hidden by it, and it can be removed.
    assert [entry.version for entry in list_datasets()] == [other.version]
    assert "Left out: " in capsys.readouterr().err
    assert len(pull("train")) == 4
    assert delete(pushed.reference) == [pushed.reference]
    assert len(push(texts(5), "train").version) == 12


@pytest.mark.parametrize("content", [b"[" * 200_000, b" " * (16 << 20) + b"{}"], ids=["deep", "long"])
def test_a_manifest_that_is_none_hides_no_other(place, content, texts, capsys):
    other, pushed = push(texts(4), "train"), push(texts(5), "train")
    place.write(f"alice/train/{pushed.version}/manifest.json", content)
    assert [entry.version for entry in list_datasets()] == [other.version]
    assert f"Left out: {place.uri}/alice/train/{pushed.version}/manifest.json " in capsys.readouterr().err
    assert len(pull("train")) == 4
    assert delete(pushed.reference) == [pushed.reference]


def test_a_file_that_is_longer_than_its_manifest_says(place, tmp_path, texts):
    pushed = push(texts(5), "train")
    size = place.manifest(pushed.reference)["files"][0]["size"]
    place.write(place.shard(pushed.reference), bytes(20 << 20))
    target = tmp_path / "pulled" / "documents-00000.protobuf-array.gzip"
    target.parent.mkdir()
    for beginning in (None, b"x" * (size - 1)):
        target.unlink(missing_ok=True)
        if beginning is not None:
            target.write_bytes(beginning)
        with pytest.raises(StorageError, match=rf"has more than the {size} bytes that its manifest says\. Push it"):
            pull_files("train", target.parent)
        assert target.stat().st_size <= 2 << 20


def test_a_shard_that_holds_pickles_is_refused(place, tmp_path, texts):
    pushed = push(texts(5), "train")
    content = b"\x80\x04cos\nsystem\n(S'touch " + str(tmp_path / "owned").encode() + b"'\ntR."
    manifest = place.manifest(pushed.reference)
    place.write(place.shard(pushed.reference), content)
    manifest["files"][0] |= {"size": len(content), "sha256": packing.hashlib.sha256(content).hexdigest()}
    place.write(f"alice/train/{pushed.version}/manifest.json", json.dumps(manifest).encode())
    with pytest.raises(InputError, match=r"holds pickles, which are never loaded"):
        pull("train")
    assert not (tmp_path / "owned").exists()


def test_what_nobody_goes_on_with_is_removed(place, monkeypatch, texts):
    orphan, pushed = push(texts(5), "train"), push(texts(6), "train")
    place.remove(f"alice/train/{orphan.version}/manifest.json")
    stray = f"alice/train/{pushed.version}/0123456789ab/documents-00000.protobuf-array.gzip"
    place.write(stray, b"of another pusher")
    place.write("alice/train/notes.txt", b"by hand")
    push(texts(6), "train")
    assert stray in place.names()
    monkeypatch.setattr(folders, "ABANDONED_S", -1.0)
    push(texts(6), "train")
    assert place.names() == sorted(
        ["alice/train/notes.txt", f"alice/train/{pushed.version}/manifest.json", place.shard(pushed.reference)]
    )


def test_many_pushers_at_once(place, texts, as_bytes):
    failed = []

    def run(number):
        try:
            push(texts(20 + number % 3), "train")
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must say so
            failed.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(entry.rows for entry in list_datasets()) == [20, 21, 22]
    for entry in list_datasets():
        assert as_bytes(pull(entry.reference)) == as_bytes(texts(entry.rows))


def test_a_pusher_whose_version_is_deleted_meanwhile_stores_it_again(place, monkeypatch, texts):
    pushed = push(texts(5), "train")
    is_whole = push_module._is_whole
    looked = []

    def deleted_after_the_look(store, manifest):
        looked.append(is_whole(store, manifest))
        delete(pushed.reference)
        return looked[-1]

    monkeypatch.setattr(push_module, "_is_whole", deleted_after_the_look)
    push(texts(5), "train")
    assert looked == [True]
    assert len(pull(pushed.reference)) == 5


def test_a_push_that_ends_between_the_look_and_the_removal(place, monkeypatch, texts):
    pushed = push(texts(5), "train")

    class PushedInto:
        """A store on which another push of the same content ends just before files go."""

        def __init__(self, store):
            self.store = store

        def __getattr__(self, name):
            return getattr(self.store, name)

        def remove(self, names):
            if not any(name.endswith("manifest.json") for name in names) and len(pushes) < wanted:
                pushes.append(push(texts(5), "train"))
            self.store.remove(names)

    monkeypatch.setattr(delete_module, "open_store", lambda uri: PushedInto(open_store(uri)))
    pushes, wanted = [], 1
    delete(pushed.reference)
    assert len(pushes) == 1
    assert place.names() == []
    assert list_datasets() == []
    push(texts(5), "train")
    pushes, wanted = [], 100
    with pytest.raises(StorageError, match=r"is not deleted: somebody pushes it again and again"):
        delete(pushed.reference)


def test_an_interrupted_push_shows_nothing_and_goes_on(place, monkeypatch, noise, as_bytes):
    monkeypatch.setattr(packing, "SHARD_BYTES", 20_000)
    array, transfer_all = noise(8, 19_000), folders.transfer_all

    def interrupted(work, items, advance):
        transfer_all(work, items[:5], advance)
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "transfer_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        push(array, "noise")
    assert list_datasets() == []
    assert len(place.names()) == 5
    stored = {entry.name: entry.modified for entry in open_store(place.uri).entries()}
    monkeypatch.setattr(folders, "transfer_all", transfer_all)
    push(array, "noise")
    after = {entry.name: entry.modified for entry in open_store(place.uri).entries()}
    assert {name: after[name] for name in stored} == stored
    assert as_bytes(pull("noise")) == as_bytes(array)


def test_a_store_that_dies_under_way(remote, proxy, monkeypatch, noise, as_bytes):
    monkeypatch.setattr(packing, "SHARD_BYTES", 20_000)
    array = noise(8, 19_000)
    proxy.dies_after_puts = 4
    with pytest.raises(StorageError, match=r"does not answer"):
        push(array, "noise")
    proxy.dies_after_puts = None
    assert list_datasets() == []
    there, before = len(remote.names()), len(proxy.puts())
    assert 0 < there <= 4
    pushed = push(array, "noise")
    assert pushed.rows == 8
    assert len(proxy.puts()) - before == 8 - there + 1
    assert as_bytes(pull("noise")) == as_bytes(array)


def test_a_store_that_is_busy(remote, proxy, texts):
    proxy.failures += [("PUT", 503, "SlowDown"), ("GET", 503, "SlowDown"), ("GET", 500, "InternalError")]
    push(texts(5), "train")
    assert len(pull("train")) == 5
    assert proxy.failures == []


def test_a_pull_that_breaks_off_goes_on(remote, proxy, tmp_path, monkeypatch, noise, as_bytes):
    monkeypatch.setattr(packing, "SHARD_BYTES", 600_000)
    array = noise(3, 500_000)
    pushed = push(array, "noise")
    proxy.break_answers_after += [100_000] * 3
    output = tmp_path / "noise.protobuf-array.gzip"
    pull_file("noise", output)
    assert proxy.break_answers_after == []
    output.unlink()
    proxy.failures += [("GET", 503, "SlowDown")] * 20
    proxy.requests.clear()
    with pytest.raises(StorageError, match=r"out of order"):
        pull_file(pushed.reference, output)
    proxy.failures.clear()
    assert not output.exists()
    pull_file(pushed.reference, output)
    assert as_bytes(DocumentArray.load_binary(str(output))) == as_bytes(array)
    assert [path.name for path in tmp_path.iterdir()] == [output.name]


def test_an_interrupted_pull_fetches_the_rest_only(remote, proxy, tmp_path, monkeypatch, noise, as_bytes):
    monkeypatch.setattr(packing, "SHARD_BYTES", 20_000)
    array, transfer_all = noise(4, 19_000), folders.transfer_all
    push(array, "noise")
    output = tmp_path / "noise.protobuf-array.gzip"

    def interrupted(work, items, advance):
        transfer_all(work, items[:3], advance)
        raise KeyboardInterrupt

    monkeypatch.setattr(folders, "transfer_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pull_file("noise", output)
    assert not output.exists()
    monkeypatch.setattr(folders, "transfer_all", transfer_all)
    proxy.requests.clear()
    pull_file("noise", output)
    fetched = [path for method, path, _ in proxy.requests if method == "GET" and "documents-" in path]
    assert len(fetched) == 1
    assert "documents-00003" in fetched[0]
    assert as_bytes(DocumentArray.load_binary(str(output))) == as_bytes(array)


def test_a_full_disk(remote, tmp_path, monkeypatch, noise):
    push(noise(2, 3_000_000), "noise")
    import resource
    import signal

    output = tmp_path / "noise.protobuf-array.gzip"
    limits, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(StorageError, match=r"Free some space there"):
            pull_file("noise", output)
        with pytest.raises(StorageError, match=r"set TMPDIR"):
            push(noise(2, 3_000_000, seed=1), "noise")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert list(tmp_path.iterdir()) == []
    assert len(list_datasets()) == 1
