"""Who may read what."""

import json

import pytest

from embedtune import list_datasets, pull, push
from embedtune.datasets.catalogue import locate
from embedtune.datasets.delete import delete
from embedtune.datasets.pull import pull_file
from embedtune.errors import ConfigError, StorageError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects import policies


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
    folder = f"arn:aws:s3:::{store.bucket}/team/datasets/alice/train/{public.version}/*"
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
    assert not policies.is_public(ObjectStore.S3, store.bucket, f"team/datasets/alice/train/{public.version}")
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
    assert len(json.loads(store.client.get_bucket_policy(store.bucket))["Statement"]) == 1


def test_strangers_are_refused(strict_store, monkeypatch, tmp_path, texts):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", f"{strict_store.uri}/datasets")
    pushed, before = push(texts(5), "train"), strict_store.names()
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
    assert not policies.is_public(ObjectStore.S3, store.bucket, f"team/datasets/alice/train/{public.version}")


def test_the_manifest_says_public_only_of_what_is(remote, monkeypatch, texts):
    said = []

    def refuse(store, bucket, prefix):
        said.append(remote.manifest(f"alice/train@{prefix.rpartition('/')[2]}")["public"])
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
