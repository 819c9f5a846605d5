import io
import json
import threading
from functools import partial

import pytest
import urllib3
from minio.error import S3Error

from embedtune.errors import StorageError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects import policies
from embedtune.storage.objects.policies import Policy, make_private, make_public, read_policy
from embedtune.storage.opening import open_store

OTHERS = [
    {
        "Sid": "Theirs",
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": ["arn:aws:s3:::BUCKET/elsewhere/*"],
    },
]


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(policies, "_SETTLE_S", 0.05)


def statements(store):
    found = json.loads(store.client.get_bucket_policy(store.bucket))["Statement"]
    return found if isinstance(found, list) else [found]


def is_public(store, bucket, prefix):
    return read_policy(store, bucket).opens(prefix)


def status(store, endpoint, method, path):
    """What somebody without credentials is answered."""
    return urllib3.request(
        method, f"{endpoint.url}/{store.bucket}{path}", body=b"x" if method == "PUT" else None
    ).status


def put(store, name):
    store.client.put_object(store.bucket, name, io.BytesIO(b"x"), 1)


def test_what_is_public_is_readable_and_nothing_else(store, endpoint, monkeypatch):
    for name in ("data/u/n/v1/a b.bin", "data/u/n/v1/deep/ü", "data/u/n/v10/a", "data/u/n/v1", "other"):
        put(store, name)
    assert not is_public(ObjectStore.S3, store.bucket, "data/u/n/v1")
    make_public(ObjectStore.S3, store.bucket, "data/u/n/v1")
    assert is_public(ObjectStore.S3, store.bucket, "data/u/n/v1")
    assert not is_public(ObjectStore.S3, store.bucket, "data/u/n/v10")
    assert not is_public(ObjectStore.S3, store.bucket, "data/u/n")
    for path in ("/data/u/n/v1/a%20b.bin", "/data/u/n/v1/deep/%C3%BC"):
        assert status(store, endpoint, "GET", path) == 200
    for path in ("/data/u/n/v10/a", "/data/u/n/v1", "/other"):
        assert status(store, endpoint, "GET", path) == 403
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert open_store(f"{store.uri}/data/u/n/v1").get_bytes("a b.bin") == b"x"
    with pytest.raises(StorageError, match="access denied"):
        open_store(f"{store.uri}/data/u/n/v10").get_bytes("a")


def test_listing_and_writing_stay_refused(store, endpoint, request):
    put(store, "data/v1/a")
    make_public(ObjectStore.S3, store.bucket, "data/v1")
    if request.node.callspec.params["endpoint"] == "moto":
        pytest.skip("moto lets everyone list and write; set EMBEDTUNE_TEST_S3_ENDPOINT to a store that does not")
    assert status(store, endpoint, "GET", "/?list-type=2&prefix=data/v1/") == 403
    assert status(store, endpoint, "PUT", "/data/v1/b") == 403
    assert status(store, endpoint, "DELETE", "/data/v1/a") == 403


def test_twice_and_back(store):
    make_public(ObjectStore.S3, store.bucket, "data/v1")
    before = statements(store)
    make_public(ObjectStore.S3, store.bucket, "data/v1")
    assert statements(store) == before
    make_public(ObjectStore.S3, store.bucket, "data/v2")
    assert len(statements(store)) == 2
    make_private(ObjectStore.S3, store.bucket, "data/v1")
    make_private(ObjectStore.S3, store.bucket, "data/v1")
    assert not is_public(ObjectStore.S3, store.bucket, "data/v1")
    assert is_public(ObjectStore.S3, store.bucket, "data/v2")
    make_private(ObjectStore.S3, store.bucket, "data/v2")
    with pytest.raises(S3Error) as caught:
        store.client.get_bucket_policy(store.bucket)
    assert caught.value.code == "NoSuchBucketPolicy"


def test_other_statements_are_untouched(store):
    theirs = json.loads(json.dumps(OTHERS).replace("BUCKET", store.bucket))
    store.client.set_bucket_policy(store.bucket, json.dumps({"Version": "2012-10-17", "Statement": theirs}))
    before = statements(store)
    make_public(ObjectStore.S3, store.bucket, "data/v1")
    assert [statement for statement in statements(store) if statement in before] == before
    assert len(statements(store)) == 2
    make_private(ObjectStore.S3, store.bucket, "data/v1")
    assert statements(store) == before


def test_a_wider_statement_of_others(store):
    theirs = json.loads(json.dumps(OTHERS).replace("BUCKET", store.bucket).replace("elsewhere", "data"))
    store.client.set_bucket_policy(store.bucket, json.dumps({"Version": "2012-10-17", "Statement": theirs}))
    assert is_public(ObjectStore.S3, store.bucket, "data/v1")
    make_public(ObjectStore.S3, store.bucket, "data/v1")
    assert read_policy(ObjectStore.S3, store.bucket).has("data/v1")
    make_private(ObjectStore.S3, store.bucket, "data/v1")
    assert not read_policy(ObjectStore.S3, store.bucket).has("data/v1")
    assert is_public(ObjectStore.S3, store.bucket, "data/v1")
    assert len(statements(store)) == 1


def test_two_at_once_lose_nothing(store):
    errors = []

    def change(number):
        try:
            make_public(ObjectStore.S3, store.bucket, f"data/v{number}")
        except StorageError as error:
            errors.append(error)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert is_public(ObjectStore.S3, store.bucket, "data/v0")
    assert is_public(ObjectStore.S3, store.bucket, "data/v1")


@pytest.mark.parametrize("prefix", ["", "/", "/a", "a/", "a*", "a?b", "${aws:username}"])
def test_prefixes_that_would_open_too_much(prefix):
    policy = Policy("bucket", [])
    for action in (
        partial(make_public, ObjectStore.S3, "bucket"),
        partial(make_private, ObjectStore.S3, "bucket"),
        policy.opens,
        policy.has,
    ):
        with pytest.raises(StorageError, match="cannot be made public"):
            action(prefix)


RESOURCE = "arn:aws:s3:::bucket/data/v1/*"
PLAIN = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": RESOURCE}


@pytest.mark.parametrize(
    ("changes", "ours", "opens"),
    [
        ({}, True, True),
        ({"Principal": "*"}, True, True),
        ({"Action": ["s3:GetObject"], "Resource": [RESOURCE]}, True, True),
        ({"Resource": [RESOURCE, "arn:aws:s3:::bucket/other/*"]}, False, True),
        ({"Action": ["s3:Get*"]}, False, True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::bucket*"}, False, True),
        ({"Action": "s3:GetObjectTagging"}, False, False),
        ({"Resource": "arn:aws:s3:::bucket/data/v1/one"}, False, False),
        ({"Resource": "arn:aws:s3:::bucket/data/v[1]/*"}, False, False),
        ({"Effect": "Deny"}, False, False),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, False, False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, False, False),
    ],
)
def test_statements_as_stores_write_them(changes, ours, opens):
    """SeaweedFS gives lists of one element back as plain strings."""
    statement = PLAIN | changes
    policy = Policy("bucket", [statement])
    assert policy.has("data/v1") is ours
    assert policy.opens("data/v1") is opens


def test_a_user_who_may_not(strict_store, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unknown")
    with pytest.raises(StorageError, match="access denied"):
        make_public(ObjectStore.S3, strict_store.bucket, "data/v1")


def test_a_policy_that_never_takes_the_change(store, monkeypatch):
    monkeypatch.setattr(policies.Minio, "set_bucket_policy", lambda *_: None)
    with pytest.raises(StorageError, match="does not take the change for data/v1"):
        make_public(ObjectStore.S3, store.bucket, "data/v1")
