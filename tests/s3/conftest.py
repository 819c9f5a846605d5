"""Stores to test against: moto's server, and the one that the environment names.

EMBEDTUNE_TEST_S3_ENDPOINT with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY names a real store; its user must be allowed
to make buckets.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import URLError

import boto3
import pytest
from minio import Minio

from embedtune.storage.client import store_client

GIVEN = os.environ.get("EMBEDTUNE_TEST_S3_ENDPOINT", "")
GIVEN_KEYS = (os.environ.get("AWS_ACCESS_KEY_ID", ""), os.environ.get("AWS_SECRET_ACCESS_KEY", ""))


@dataclass(frozen=True)
class Endpoint:
    url: str
    key: str
    secret: str


@dataclass(frozen=True)
class ObjectStore:
    """A bucket of its own on a store that the environment variables point to."""

    client: Minio
    bucket: str
    uri: str

    def names(self) -> list[str]:
        return [entry.object_name for entry in self.client.list_objects(self.bucket, recursive=True)]


@contextmanager
def moto_server(variables: dict[str, str]) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=os.environ | variables, **quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=1).close()
                break
            except (URLError, OSError):
                time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session", params=["moto", *(["given"] if GIVEN else [])])
def endpoint(request):
    if request.param == "given":
        yield Endpoint(GIVEN, *GIVEN_KEYS)
        return
    with moto_server({}) as url:
        yield Endpoint(url, "testing", "testing")


@pytest.fixture(scope="session", params=["moto with authentication", *(["given"] if GIVEN else [])])
def strict_endpoint(request):
    """A store that refuses who has no right."""
    if request.param == "given":
        yield Endpoint(GIVEN, *GIVEN_KEYS)
        return
    # The first three requests are not authenticated, so that they can make a user.
    with moto_server({"INITIAL_NO_AUTH_ACTION_COUNT": "3"}) as url:
        access = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}
        iam = boto3.client("iam", endpoint_url=url, **access)
        iam.create_user(UserName="tester")
        keys = iam.create_access_key(UserName="tester")["AccessKey"]
        policy = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'
        iam.put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=policy)
        yield Endpoint(url, keys["AccessKeyId"], keys["SecretAccessKey"])


@pytest.fixture
def use_endpoint(monkeypatch):
    """Point the environment to an endpoint."""

    def use(endpoint: Endpoint) -> None:
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
            monkeypatch.delenv(name, raising=False)
        for name in ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret)

    return use


@pytest.fixture
def store(endpoint, use_endpoint):
    yield from fresh_bucket(endpoint, use_endpoint)


@pytest.fixture
def strict_store(strict_endpoint, use_endpoint):
    yield from fresh_bucket(strict_endpoint, use_endpoint)


def fresh_bucket(endpoint: Endpoint, use_endpoint: Callable[[Endpoint], None]) -> Iterator[ObjectStore]:
    use_endpoint(endpoint)
    client, bucket = store_client(), f"embedtune-{uuid.uuid4().hex}"
    client.make_bucket(bucket)
    made = ObjectStore(client, bucket, f"s3://{bucket}")
    yield made
    for name in made.names():
        client.remove_object(bucket, name)
    client.remove_bucket(bucket)
