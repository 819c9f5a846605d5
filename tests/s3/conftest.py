"""Stores to test against: moto's server, and the one that the environment names.

EMBEDTUNE_TEST_S3_ENDPOINT with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY names a real store; its user must be allowed
to make buckets.
"""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import URLError
from urllib.parse import urlsplit

import boto3
import pytest
from minio import Minio

from embedtune.storage import locations
from embedtune.storage.objects.client import store_client

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

    def unfinished_uploads(self) -> list[str]:
        return [upload.object_name for upload in self.client._list_multipart_uploads(self.bucket).uploads]


@dataclass
class FaultyProxy:
    """Stands before a store and lets requests through, except where it is told otherwise."""

    target: str
    """Address of the store."""
    url: str = ""
    failures: list[tuple[str, int, str]] = field(default_factory=list)
    """Method, perhaps with a part of the path, status and error code of the answers instead, each given once, to the
    first request with that method."""
    break_answers_after: list[int] = field(default_factory=list)
    """Bytes after which each of the next answers to GET that are longer breaks off."""
    lose_answers: list[tuple[str, str]] = field(default_factory=list)
    """Method and a part of the path of requests that are carried out but never answered, each once; or answered by the
    failure of the method LOST, as a repeated request would be."""
    dies_after_puts: int | None = None
    """Number of PUT requests after which every connection is cut."""
    denied: tuple[str, ...] = ()
    """Parts of the paths that nobody may read."""
    delay_s: float = 0.0
    """Seconds before each answer."""
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and Range header of the requests so far."""

    def puts(self) -> list[str]:
        return [path for method, path, _ in self.requests if method == "PUT"]

    def is_dead(self) -> bool:
        return self.dies_after_puts is not None and len(self.puts()) > self.dies_after_puts

    def take_failure(self, method: str, path: str) -> tuple[int, str] | None:
        for failure in self.failures:
            kind, _, part = failure[0].partition(" ")
            if kind == method and part in path:
                self.failures.remove(failure)
                return failure[1:]
        return None


class ProxyHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> FaultyProxy:
        return self.server.state

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.forward()

    def do_GET(self):
        self.forward()

    def do_PUT(self):
        self.forward()

    def do_POST(self):
        self.forward()

    def do_DELETE(self):
        self.forward()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.state.requests.append((self.command, self.path, self.headers.get("Range")))
        time.sleep(self.state.delay_s)
        if self.state.is_dead():
            self.close_connection = True
        elif failure := self.failure():
            self.fail(*failure)
        else:
            self.pass_on(body)

    def fail(self, status, code):
        text = f"<Error><Code>{code}</Code><Message>injected</Message></Error>".encode()
        self.answer(status, [("Content-Type", "application/xml")], text)

    def failure(self):
        if self.command == "GET" and any(part in self.path for part in self.state.denied):
            return 403, "AccessDenied"
        return self.state.take_failure(self.command, self.path)

    def pass_on(self, body):
        target = urlsplit(self.state.target)
        kind = http.client.HTTPSConnection if target.scheme == "https" else http.client.HTTPConnection
        connection = kind(target.netloc, timeout=30)
        try:
            # The Host header stays, for the signature is over it.
            connection.request(self.command, self.path, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        for lost in self.state.lose_answers:
            if self.command == lost[0] and lost[1] in self.path:
                self.state.lose_answers.remove(lost)
                if failure := self.state.take_failure("LOST", self.path):
                    self.fail(*failure)
                self.close_connection = True
                return
        self.answer(answer.status, answer.getheaders(), content)

    def answer(self, status, headers, content):
        length = next((value for name, value in headers if name.lower() == "content-length"), str(len(content)))
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", length)
        with suppress(ConnectionError):
            self.end_headers()
            cuts = self.state.break_answers_after
            if self.command == "GET" and cuts and cuts[0] < len(content):
                content = content[: cuts.pop(0)]
                self.close_connection = True
            if self.command != "HEAD":
                self.wfile.write(content)


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    state = FaultyProxy(target)
    server = ThreadingHTTPServer(("127.0.0.1", 0), ProxyHandler)
    server.state = state
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


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


UNSET = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "EMBEDTUNE_STORE_SECRET_DIR",
    "MINIO_REGION",
)


@pytest.fixture
def use_endpoint(monkeypatch, tmp_path_factory):
    """Point the environment to an endpoint."""

    def use(endpoint: Endpoint) -> None:
        for name in UNSET:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", endpoint.key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", endpoint.secret)
        monkeypatch.setenv("MINIO_ENDPOINT", endpoint.url)
        monkeypatch.setenv("MINIO_ACCESS_KEY", endpoint.key)
        monkeypatch.setenv("MINIO_SECRET_KEY", endpoint.secret)

    return use


@pytest.fixture
def store(endpoint, use_endpoint):
    yield from fresh_bucket(endpoint, use_endpoint)


@pytest.fixture
def strict_store(strict_endpoint, use_endpoint):
    yield from fresh_bucket(strict_endpoint, use_endpoint)


@pytest.fixture
def proxy(store, endpoint, monkeypatch):
    """A proxy before the store, to which the environment points; the store's own client goes past it."""
    with faulty_proxy(endpoint.url) as state:
        monkeypatch.setenv("AWS_ENDPOINT_URL", state.url)
        yield state


@pytest.fixture
def faulty_page():
    """Address of a web server that is no store, and repeats what it is asked."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(418)
            self.end_headers()
            self.wfile.write(str(self.headers).encode())

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def fresh_bucket(endpoint: Endpoint, use_endpoint: Callable[[Endpoint], None]) -> Iterator[ObjectStore]:
    use_endpoint(endpoint)
    client, bucket = store_client(locations.ObjectStore.S3), f"embedtune-{uuid.uuid4().hex}"
    client.make_bucket(bucket)
    made = ObjectStore(client, bucket, f"s3://{bucket}")
    yield made
    for name in made.names():
        client.remove_object(bucket, name)
    client.remove_bucket(bucket)
