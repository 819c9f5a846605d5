"""Who may read what."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import urllib3
from minio.error import S3Error

from embedtune import list_datasets, pull, push
from embedtune.datasets import delete as delete_module
from embedtune.datasets import packing
from embedtune.datasets.catalogue import locate, read_version
from embedtune.datasets.delete import delete
from embedtune.datasets.naming import dataset_uri, datasets_root, parse_reference
from embedtune.datasets.public import public_among, publish
from embedtune.datasets.pull import pull_file
from embedtune.errors import ConfigError, StorageError
from embedtune.storage import folders
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects import policies
from embedtune.storage.objects.prefix import ObjectPrefix
from embedtune.storage.opening import open_store
from tests.s3.conftest import GIVEN


def test_a_folder_cannot_be_public(tmp_path, monkeypatch, texts):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "kept"))
    with pytest.raises(ConfigError, match=r"alice/train cannot be public: .* EMBEDTUNE_DATASETS"):
        push(texts(2), "train", public=True)
    assert not (tmp_path / "kept").exists()


def forget_keys(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)


def test_public_is_one_version_only(remote, store, monkeypatch, tmp_path, texts, as_bytes):
    private, public = push(texts(5), "train"), push(texts(6), "train", public=True)
    policy = json.loads(store.client.get_bucket_policy(store.bucket))
    folder = f"arn:aws:s3:::{store.bucket}/team/datasets/_public/*"
    assert [statement["Resource"] for statement in policy["Statement"]] in ([folder], [[folder]])
    assert (private.public, public.public) == (False, True)
    assert [entry.public for entry in list_datasets()] == [True, False]
    assert push(texts(6), "train").public
    with monkeypatch.context() as nobody:
        forget_keys(nobody)
        assert as_bytes(pull(public.reference)) == as_bytes(texts(6))
        assert pull_file(public.reference, tmp_path / "a.protobuf-array.gzip").public
        with pytest.raises(StorageError, match=f"The dataset {private.reference} is private or missing. Ask alice"):
            pull(private.reference)
        # moto says of a missing one that it is missing, to everyone.
        with pytest.raises(StorageError, match=r"is private or missing|There is no dataset"):
            pull("alice/train@0123456789ab")
    delete(public.reference)
    assert not any(public.version in name for name in remote.names())
    assert not push(texts(6), "train").public


def test_public_later(remote, store, texts):
    assert not push(texts(5), "train").public
    assert push(texts(5), "train", public=True).public
    assert remote.manifest(list_datasets()[0].reference)["public"]


def test_what_cannot_be_made_public_is_there_and_private(remote, monkeypatch, texts):
    def refuse(store, bucket, prefix):
        raise StorageError(f"s3://{bucket}: access denied by the store.")

    monkeypatch.setattr(policies, "make_public", refuse)
    with pytest.raises(StorageError, match=r"alice/train@[0-9a-f]{12} is stored, but not public: s3://.* denied by"):
        push(texts(5), "train", public=True)
    assert [(entry.rows, entry.public) for entry in list_datasets()] == [(5, False)]
    assert len(pull("train")) == 5


def test_deletion_where_everything_is_public(remote, store, texts):
    pushed = push(texts(5), "train", public=True)
    everything = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{store.bucket}/*"],
    }
    policy = json.loads(store.client.get_bucket_policy(store.bucket))
    policy["Statement"].append(everything)
    store.client.set_bucket_policy(store.bucket, json.dumps(policy))
    delete(pushed.reference)
    assert remote.names() == []
    assert json.loads(store.client.get_bucket_policy(store.bucket))["Statement"] == policy["Statement"]


def test_strangers_are_refused(strict_store, monkeypatch, tmp_path, texts):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", f"{strict_store.uri}/datasets")
    pushed = push(texts(5), "train")
    # A copy that the policy does not open. (moto fails where it should refuse what is missing.)
    copy = f"_public/{pushed.reference.replace('@', '/')}/manifest.json"
    open_store(f"{strict_store.uri}/datasets").put_bytes(copy, b"{}")
    before = strict_store.names()
    forget_keys(monkeypatch)
    with pytest.raises(StorageError, match=r"is private or missing. Ask alice to push it with --public"):
        pull(pushed.reference)
    secret = "a-secret-that-must-not-show"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    private = f"The dataset {pushed.reference} is private or missing. Ask alice to push it with --public"
    for attempt, message in (
        (lambda: pull(pushed.reference), private),
        (lambda: pull_file(pushed.reference, tmp_path / "a.da"), private),
        (lambda: locate(f"dataset://{pushed.reference}"), private),
        (lambda: pull("alice/train"), "Without the right to list, a public one is found by .* alice/train@version"),
        (lambda: push(texts(6), "train"), "access denied"),
        (lambda: delete(pushed.reference), "access denied"),
        (lambda: list_datasets("alice"), "The list of the datasets of alice is private or missing"),
        (list_datasets, "The list of all datasets is private or missing. Name a user"),
    ):
        with pytest.raises(StorageError, match=message) as caught:
            attempt()
        assert secret not in str(caught.value)
    assert strict_store.names() == before
    assert list(tmp_path.iterdir()) == []


def test_one_private_version_hides_no_other(remote, proxy, texts, capsys):
    one, two, three = (push(texts(count), "train") for count in (4, 5, 6))
    proxy.denied = (f"{two.version}/manifest.json", f"{three.version}/manifest.json")
    assert [entry.version for entry in list_datasets()] == [one.version]
    assert "Left out: 2 private versions, such as: s3://" in capsys.readouterr().err
    assert len(pull("train")) == 4
    proxy.denied = ("/manifest.json",)
    with pytest.raises(StorageError, match="The dataset alice/train is private or missing"):
        pull("train")
    with pytest.raises(StorageError, match="The list of the datasets of alice is private or missing"):
        list_datasets("alice")


def test_what_made_it_public_is_never_left_behind(remote, proxy, store, texts):
    public, private = push(texts(5), "train", public=True), push(texts(6), "train")
    before, proxy.denied = remote.names(), ("?policy",)
    with pytest.raises(StorageError, match=r"is not deleted: it is readable for everyone by the policy of the bucket"):
        delete(public.reference)
    assert remote.names() == before
    delete(private.reference)
    proxy.denied = ()
    delete(public.reference)
    assert remote.names() == []


def test_the_manifest_says_public_only_of_what_is(remote, monkeypatch, texts):
    said = []

    def refuse(store, bucket, prefix):
        [manifest] = [name for name in remote.names() if name.endswith("manifest.json")]
        said.append(json.loads(remote.read(manifest))["public"])
        raise StorageError("access denied by the store.")

    with monkeypatch.context() as refused:
        refused.setattr(policies, "make_public", refuse)
        with pytest.raises(StorageError, match="is stored, but not public"):
            push(texts(5), "train", public=True)
    assert said == [False]
    [entry] = list_datasets()
    assert remote.manifest(entry.reference)["public"] is False
    push(texts(5), "train", public=True)
    assert remote.manifest(entry.reference)["public"] is True


def readable(store, endpoint):
    """Names of the objects that somebody without credentials can get, below the root of all datasets."""
    found = {name: urllib3.request("GET", f"{endpoint.url}/{store.bucket}/{name}").status for name in store.names()}
    assert set(found.values()) <= {200, 403}
    return [name.removeprefix("team/datasets/") for name, status in found.items() if status == 200]


def policy_of(store):
    return json.loads(store.client.get_bucket_policy(store.bucket))


def test_any_number_of_public_versions_needs_one_statement(remote, store, texts):
    first = push(texts(2), "train", public=True)
    policy, objects = policy_of(store), ObjectPrefix(datasets_root())
    manifest = read_version(parse_reference(first.reference))
    # A hundred statements fill a policy; moto would take half a minute for as many versions.
    versions = [parse_reference(f"alice/many@{number:012x}") for number in range(201 if GIVEN else 5)]

    def add(reference):
        for file in manifest.files:
            name = f"{manifest.folder}/{file.name}"
            objects.copy_file(f"{first.reference.replace('@', '/')}/{name}", f"{reference.folder}/{name}", file.sha256)
        open_store(dataset_uri(reference)).put_bytes("manifest.json", manifest.to_json())
        publish(reference, manifest, lambda: None)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, versions))
    assert policy_of(store) == policy
    assert public_among(versions) == set(versions)
    assert len(json.dumps(policy)) < 300


def test_a_crash_at_any_point_opens_nothing_and_is_mended(remote, proxy, store, endpoint, texts):
    push(texts(6), "other")
    # Before the statement, then with it before the copy, what the version's own manifest says of it, and its manifest.
    for puts, copied in ((2, 0), (3, 0), (3, 1), (4, 1)):
        proxy.requests.clear()
        proxy.dies_after_puts = puts
        with pytest.raises(StorageError, match="does not answer"):
            push(texts(5), "train", public=True)
        proxy.dies_after_puts = None
        there = readable(store, endpoint)
        assert all(name.startswith("_public/alice/train/") for name in there)
        assert len(there) == copied
        assert [entry.public for entry in list_datasets()] == [False, False]
        [version] = [entry.reference for entry in list_datasets() if "/train@" in entry.reference]
        assert remote.manifest(version)["public"] == (puts == 4)
        if puts == 3 and copied == 1:
            assert push(texts(5), "train", public=True).public
            assert len(readable(store, endpoint)) == 2
        delete("train")
        assert readable(store, endpoint) == []
        assert not any("/train/" in name for name in remote.names())


def test_who_may_not_see_what_lies_in_the_public_folder_does_not_open_it(remote, proxy, store, texts):
    proxy.denied = ("_public",)
    with pytest.raises(StorageError, match=r"is stored, but not public: .*denied"):
        push(texts(5), "train", public=True)
    proxy.denied = ()
    with pytest.raises(S3Error, match="NoSuchBucketPolicy"):
        policy_of(store)


def test_a_deletion_that_breaks_off_goes_on(remote, store, endpoint, texts, monkeypatch):
    kept = push(texts(6), "train", public=True)
    remove, removals = ObjectPrefix.remove, []

    def breaks_off(store, names):
        removals.append(names)
        if len(removals) > survived:
            raise StorageError("broken off")
        remove(store, names)

    # The copy's manifest, its files, the manifest and the files go one after the other.
    for survived, left in enumerate((2, 1, 0, 0)):
        removals.clear()
        pushed = push(texts(5), "train", public=True)
        monkeypatch.setattr(ObjectPrefix, "remove", breaks_off)
        with pytest.raises(StorageError, match="is not deleted: broken off"):
            delete(pushed.reference)
        monkeypatch.setattr(ObjectPrefix, "remove", remove)
        assert len([name for name in readable(store, endpoint) if pushed.version in name]) == left
        found = {entry.reference: entry.public for entry in list_datasets()}
        assert found == {kept.reference: True} | ({pushed.reference: survived == 0} if survived < 3 else {})
        assert delete(pushed.reference) == [pushed.reference]
        assert not any(pushed.version in name for name in remote.names())
    assert len(readable(store, endpoint)) == 2


def test_a_version_that_has_a_statement_of_its_own(remote, store, endpoint, monkeypatch, texts, as_bytes):
    """As embedtune made versions public at first."""
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": {"AWS": ["*"]}, "Action": ["s3:PutObject"]}
    theirs |= {"Resource": [f"arn:aws:s3:::{store.bucket}/elsewhere/*"]}
    store.client.set_bucket_policy(store.bucket, json.dumps({"Version": "2012-10-17", "Statement": [theirs]}))
    pushed, before = push(texts(5), "train"), policy_of(store)
    policies.make_public(ObjectStore.S3, store.bucket, f"team/datasets/{pushed.reference.replace('@', '/')}")
    assert [entry.public for entry in list_datasets()] == [True]
    names = readable(store, endpoint)
    assert push(texts(5), "train", public=True).public
    assert readable(store, endpoint) == names == sorted(remote.names())
    with monkeypatch.context() as nobody:
        forget_keys(nobody)
        assert as_bytes(pull(pushed.reference)) == as_bytes(texts(5))
    delete(pushed.reference)
    assert policy_of(store) == before


def test_what_somebody_has_closed_is_not_opened_for_another_version(remote, store, endpoint, texts):
    closed = push(texts(5), "train", public=True)
    store.client.delete_bucket_policy(store.bucket)
    assert [entry.public for entry in list_datasets()] == [False]
    with pytest.raises(
        StorageError, match=r"does not open s3.*/_public, and if it did, 2 files .* such as alice/train/"
    ):
        push(texts(6), "train", public=True)
    assert readable(store, endpoint) == []
    assert push(texts(5), "train").version == closed.version
    delete(closed.reference)
    assert push(texts(6), "train", public=True).public
    assert len(readable(store, endpoint)) == 2


def test_a_version_that_is_deleted_while_it_is_made_public(remote, store, endpoint, monkeypatch, texts, as_bytes):
    copy_file, put_bytes, deleted = ObjectPrefix.copy_file, ObjectPrefix.put_bytes, []

    def deleted_after_the_copy(store, name, target, sha256):
        copy_file(store, name, target, sha256)
        deleted.extend(delete("train"))

    def deleted_before_the_manifest(store, name, content):
        if b'"public": true' in content:
            deleted.extend(delete("train"))
        put_bytes(store, name, content)

    for method, replacement in (("copy_file", deleted_after_the_copy), ("put_bytes", deleted_before_the_manifest)):
        with monkeypatch.context() as rival:
            rival.setattr(ObjectPrefix, method, replacement)
            with pytest.raises(StorageError, match=r"is stored, but not public: .* was deleted meanwhile"):
                push(texts(5), "train", public=True)
        assert remote.names() == []
    assert push(texts(5), "train", public=True).reference == deleted[0] == deleted[1]
    assert as_bytes(pull("train")) == as_bytes(texts(5))
    assert len(readable(store, endpoint)) == 2


def test_copies_that_nobody_goes_on_with_are_removed(remote, store, monkeypatch, texts):
    pushed = push(texts(5), "train", public=True)
    folder = f"_public/{pushed.reference.replace('@', '/')}"
    gone = f"_public/alice/train/{'0' * 12}"
    for name in (f"{folder}/{'1' * 12}/a.gz", f"{gone}/{'1' * 12}/a.gz", f"{gone}/manifest.json"):
        remote.write(name, b"x")
    before = remote.names()
    push(texts(5), "train", public=True)
    assert remote.names() == before
    monkeypatch.setattr(folders, "ABANDONED_S", -1.0)
    push(texts(6), "train")
    assert [name for name in before if name not in remote.names()] == [
        f"{gone}/{'1' * 12}/a.gz",
        f"{gone}/manifest.json",
    ]
    push(texts(5), "train", public=True)
    assert [name for name in remote.names() if name.startswith("_public/")] == [
        f"{folder}/{remote.manifest(pushed.reference)['folder']}/documents-00000.protobuf-array.gzip",
        f"{folder}/manifest.json",
    ]


def test_a_copy_stays_where_its_version_is_cut_otherwise(remote, monkeypatch, texts):
    pushed = push(texts(5), "train", public=True)
    copied = [name for name in remote.names() if name.startswith("_public/")]
    remote.remove(remote.shard(pushed.reference))
    monkeypatch.setattr(packing, "SHARD_BYTES", 100)
    monkeypatch.setattr(folders, "ABANDONED_S", -1.0)
    assert push(texts(5), "train").public
    assert [name for name in remote.names() if name.startswith("_public/")] == copied
    assert len(remote.manifest(pushed.reference)["files"]) > 1


def test_what_is_copied_is_what_was_stored(remote, store, endpoint, monkeypatch, texts):
    pushed = push(texts(5), "train")
    reference, shard = parse_reference(pushed.reference), remote.shard(pushed.reference)
    manifest, content = read_version(reference), remote.read(shard)
    with monkeypatch.context() as broken:
        broken.setattr(ObjectPrefix, "copy_file", lambda store, _, target, __: store.put_bytes(target, content))
        with pytest.raises(StorageError, match=r"documents-00000.* is damaged"):
            publish(reference, manifest, lambda: None)
    remote.remove(f"_public/{shard}")
    remote.write(shard, bytes(len(content)))
    with pytest.raises(StorageError, match=r"documents-00000.* is damaged"):
        publish(reference, manifest, lambda: None)
    assert readable(store, endpoint) == []


def test_a_copy_that_a_rival_ends_while_its_version_is_deleted(remote, monkeypatch, texts):
    pushed, ended = push(texts(5), "train", public=True), []

    def rival_ends(version):
        if not ended:
            ended.append(version)
            remote.write(f"_public/{version.folder}/manifest.json", b"of a rival")

    monkeypatch.setattr(delete_module, "remove_statement", rival_ends)
    delete(pushed.reference)
    assert len(ended) == 1
    assert remote.names() == []
    # Of a version whose own files went in another way.
    remote.write(f"_public/{ended[0].folder}/manifest.json", b"left behind")
    assert delete("train") == [pushed.reference]
    assert remote.names() == []
