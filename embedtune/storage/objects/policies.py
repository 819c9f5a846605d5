"""What everyone may read, without credentials. Imports minio, so import this module where it is used.

A bucket's policy is one JSON document that is replaced as a whole, and stores have no way to replace it only if nobody
else has. So every change is read back after a moment, and made again if somebody else's write has undone it.
"""

import json
import time
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from minio import Minio
from minio.error import S3Error

from embedtune.errors import StorageError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.client import store_client, store_errors

_ATTEMPTS = 5
_SETTLE_S = 0.2


@dataclass(frozen=True)
class Policy:
    """What a bucket's policy says."""

    bucket: str
    statements: list[Any]

    def opens(self, prefix: str) -> bool:
        """Tell whether it lets everyone read all objects below a prefix; the prefix is as for `make_public`."""
        resource = _resource(self.bucket, prefix)
        return any(_opens(statement, resource) for statement in self.statements)

    def has(self, prefix: str) -> bool:
        """Tell whether the statement that `make_public` adds for this very prefix is there."""
        resource = _resource(self.bucket, prefix)
        return any(_is_ours(statement, resource) for statement in self.statements)


def read_policy(store: ObjectStore, bucket: str) -> Policy:
    """Return what a bucket's policy says; StorageError if it is none."""
    with store_errors(f"{store}://{bucket}"):
        return Policy(bucket, _as_list(_read(store_client(store), bucket).get("Statement")))


def make_public(store: ObjectStore, bucket: str, prefix: str) -> None:
    """Let everyone read the objects below a prefix, and nothing else: not list them, nor write.

    The bucket's other statements stay as they are. Doing it again changes nothing.

    Args:
        store: Whose store has it.
        bucket: Bucket that is there.
        prefix: Key without slashes around it; the objects `<prefix>/...` become readable.

    Raises:
        StorageError: the prefix is empty or would be a pattern, access is denied, the store does not answer, or others
            change the policy again and again.
    """
    _change(store, bucket, prefix, is_public=True)


def make_private(store: ObjectStore, bucket: str, prefix: str) -> None:
    """Take back what `make_public` did; nothing happens where it did nothing, and other statements stay as they are."""
    _change(store, bucket, prefix, is_public=False)


def _change(store: ObjectStore, bucket: str, prefix: str, is_public: bool) -> None:
    client, resource = store_client(store), _resource(bucket, prefix)
    for _ in range(_ATTEMPTS):
        with store_errors(f"{store}://{bucket}"):
            policy = _read(client, bucket)
            before = _as_list(policy.get("Statement"))
            after = [statement for statement in before if not _is_ours(statement, resource)]
            if is_public == (len(after) < len(before)):
                return
            if is_public:
                after = [*before, _statement(resource)]
            if after:
                client.set_bucket_policy(bucket, json.dumps(policy | {"Statement": after}, ensure_ascii=False))
            else:
                client.delete_bucket_policy(bucket)
        # One who read the policy before it was set writes within milliseconds.
        time.sleep(_SETTLE_S)
    raise StorageError(
        f"The policy of the bucket {bucket} does not take the change for {prefix}: something else keeps changing it, "
        "or the store has no policies. Start again."
    )


def _read(client: Minio, bucket: str) -> dict[str, Any]:
    try:
        text = client.get_bucket_policy(bucket)
    except S3Error as error:
        if error.code != "NoSuchBucketPolicy":
            raise
        return {"Version": "2012-10-17", "Statement": []}
    try:
        policy = json.loads(text)
    except ValueError:
        policy = None
    if not isinstance(policy, dict):
        raise StorageError(
            f"The policy of the bucket {bucket} is no JSON object, so it is left alone. Correct it first."
        )
    return policy


def _resource(bucket: str, prefix: str) -> str:
    if not prefix.strip("/") or prefix != prefix.strip("/") or any(mark in prefix for mark in "*?$"):
        raise StorageError(
            f"The prefix {prefix!r} cannot be made public: it is empty, begins or ends with '/', or holds one of '*?$' "
            "which would open more than it says. Give the full key of one folder."
        )
    return f"arn:aws:s3:::{bucket}/{prefix}/*"


def _statement(resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"], "Resource": [resource]}


def _is_ours(statement: Any, resource: str) -> bool:
    """Tell whether this is the statement that `make_public` adds, as any store gives it back."""
    return (
        _is_for_everyone(statement)
        and _as_list(statement.get("Action")) == ["s3:GetObject"]
        and _as_list(statement.get("Resource")) == [resource]
    )


def _opens(statement: Any, resource: str) -> bool:
    return (
        _is_for_everyone(statement)
        and any(fnmatchcase("s3:getobject", str(action).lower()) for action in _as_list(statement.get("Action")))
        and any(_covers(str(pattern), resource) for pattern in _as_list(statement.get("Resource")))
    )


def _covers(pattern: str, resource: str) -> bool:
    # Brackets mean nothing in a policy, but do in fnmatch.
    return pattern.endswith("*") and fnmatchcase(resource, pattern.replace("[", "[[]"))


def _is_for_everyone(statement: Any) -> bool:
    if not isinstance(statement, dict):
        return False
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    return statement.get("Effect") == "Allow" and not statement.get("Condition") and "*" in _as_list(named)


def _as_list(value: object) -> list[Any]:
    """Return a list as it is, and anything else as one of one element, as SeaweedFS writes those."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
