import socket
import time
import traceback
from pathlib import Path
from typing import ClassVar

import pytest
from urllib3.exceptions import MaxRetryError

from embedtune.errors import StorageError
from embedtune.storage.digests import CHUNK_BYTES
from embedtune.storage.locations import ObjectStore, parse_location
from embedtune.storage.objects.client import store_client, store_errors
from embedtune.storage.objects.prefix import fetch_object
from embedtune.storage.opening import local_copy, resolve_source

VARIABLES = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "MINIO_ENDPOINT",
    "MINIO_REGION",
    "MINIO_ACCESS_KEY",
    "MINIO_SECRET_KEY",
    "AWS_PROFILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "EMBEDTUNE_STORE_SECRET_DIR",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


def signed_by(client) -> str | None:
    """The key that signs the client's requests, as a presigned address shows it."""
    credential = client.presigned_get_object("data", "key").partition("X-Amz-Credential=")[2]
    return credential.partition("%2F")[0]


@pytest.mark.parametrize(
    ("variables", "begin", "key"),
    [
        ({"AWS_ENDPOINT_URL": "http://a:9000"}, "http://a:9000/data/key", "AKIA"),
        ({"AWS_ENDPOINT_URL": "minio.example:9000"}, "https://minio.example:9000/data/key", "AKIA"),
        ({"AWS_ENDPOINT_URL": "10.1.2.3"}, "https://10.1.2.3/data/key", "AKIA"),
        ({"AWS_ENDPOINT_URL": "http://a:9000", "AWS_ENDPOINT_URL_S3": "https://b/"}, "https://b/data/key", "AKIA"),
        ({"AWS_REGION": "eu-west-1"}, "https://data.s3.eu-west-1.amazonaws.com/key", "AKIA"),
        ({"AWS_ENDPOINT_URL": "http://a", "AWS_REGION": "", "AWS_DEFAULT_REGION": "x-1"}, "http://a/data/key", "AKIA"),
    ],
)
def test_endpoint_and_keys(environment, variables, begin, key):
    for name, value in {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s", **variables}.items():
        environment.setenv(name, value)
    client = store_client(ObjectStore.S3)
    assert client.presigned_get_object("data", "key").partition("?")[0] == begin
    assert signed_by(client) == key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_ENDPOINT_URL", "http://b:9000"),
        ("AWS_ENDPOINT_URL", "https://a:9000"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "other"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("AWS_SESSION_TOKEN", "other"),
        ("SSL_CERT_FILE", "/other.pem"),
        ("http_proxy", "http://proxy:3128"),
    ],
)
def test_there_is_one_client_as_long_as_the_environment_says_the_same(environment, name, value):
    for each in ("http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY", "SSL_CERT_FILE"):
        environment.delenv(each, raising=False)
    settings = {"AWS_ENDPOINT_URL": "http://a:9000", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}
    for each, said in settings.items():
        environment.setenv(each, said)
    client = store_client(ObjectStore.S3)
    assert store_client(ObjectStore.S3) is client
    with environment.context() as changed:
        changed.setenv(name, value)
        assert store_client(ObjectStore.S3) is not client
    assert store_client(ObjectStore.S3) is client
    environment.setattr("os.getpid", lambda: 1)
    assert store_client(ObjectStore.S3) is not client


def test_all_objects_come_on_one_connection(environment, faulty_server, tmp_path):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    for name in ("a", "b", "c"):
        assert resolve_source(f"s3://on-one-connection/{name}").version == "etag:v1-256000"
        fetch_object(parse_location(f"s3://on-one-connection/{name}"), "v1", 256000, tmp_path / name, lambda _: None)
    assert len(faulty_server.peers["on-one-connection"]) == 1


class TestThePlatformsStore:
    KEYS: ClassVar = {"MINIO_ACCESS_KEY": "mine", "MINIO_SECRET_KEY": "secret"}
    OF_THE_USER: ClassVar = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "s"}

    @pytest.mark.parametrize(
        ("variables", "begin"),
        [
            ({}, "http://seaweedfs.kubeflow:9000/data/key"),
            ({"MINIO_ENDPOINT": ""}, "http://seaweedfs.kubeflow:9000/data/key"),
            ({"MINIO_ENDPOINT": "http://minio-service.kubeflow:9000"}, "http://minio-service.kubeflow:9000/data/key"),
            ({"MINIO_ENDPOINT": "minio:9000"}, "https://minio:9000/data/key"),
            (
                {"AWS_ENDPOINT_URL_S3": "http://a", "AWS_ENDPOINT_URL": "http://b"},
                "http://seaweedfs.kubeflow:9000/data/key",
            ),
        ],
    )
    def test_where_it_is(self, environment, variables, begin):
        for name, value in {**self.KEYS, **self.OF_THE_USER, **variables}.items():
            environment.setenv(name, value)
        client = store_client(ObjectStore.MINIO)
        assert client.presigned_get_object("data", "key").partition("?")[0] == begin
        assert signed_by(client) == "mine"

    def test_region(self, environment):
        for name, value in {**self.KEYS, "AWS_REGION": "eu-west-1"}.items():
            environment.setenv(name, value)
        assert "%2Fus-east-1%2F" in store_client(ObjectStore.MINIO).presigned_get_object("data", "key")
        environment.setenv("MINIO_REGION", "here")
        assert "%2Fhere%2F" in store_client(ObjectStore.MINIO).presigned_get_object("data", "key")

    def test_neither_store_is_sent_the_others_keys(self, environment):
        for name, value in self.OF_THE_USER.items():
            environment.setenv(name, value)
        assert store_client(ObjectStore.MINIO)._provider is None
        for name in self.OF_THE_USER:
            environment.delenv(name)
        for name, value in self.KEYS.items():
            environment.setenv(name, value)
        assert store_client(ObjectStore.S3)._provider is None

    @pytest.mark.parametrize(
        "url", ["https://s3.amazonaws.com", "s3.eu-west-1.AMAZONAWS.com:443", "http://b.s3.cn-north-1.amazonaws.com.cn"]
    )
    def test_it_is_never_amazon(self, environment, url):
        environment.setenv("MINIO_ENDPOINT", url)
        with pytest.raises(
            StorageError, match=r"which is Amazon's; minio:// is the platform's own store\. Write s3://"
        ):
            store_client(ObjectStore.MINIO)

    def test_without_settings_no_message_names_amazon(self, environment):
        with pytest.raises(StorageError) as caught, store_errors("minio://data/key"):
            raise MaxRetryError(None, "/", OSError("Name or service not known"))
        message = str(caught.value)
        assert message.startswith("minio://data/key: the object store at seaweedfs.kubeflow:9000 does not answer: ")
        assert "set MINIO_ENDPOINT (minio:// is the platform's own store; one of your own is s3://" in message
        assert "amazon" not in message.lower()

    def test_half_a_pair_of_its_keys(self, environment):
        environment.setenv("MINIO_ACCESS_KEY", "mine")
        with pytest.raises(StorageError, match="Only one of MINIO_ACCESS_KEY and MINIO_SECRET_KEY is set"):
            store_client(ObjectStore.MINIO)


def test_keys_of_a_mounted_secret(environment, tmp_path):
    environment.setenv("EMBEDTUNE_STORE_SECRET_DIR", str(tmp_path / "secret"))
    with pytest.raises(StorageError, match="holds no files 'accesskey' and 'secretkey'"):
        store_client(ObjectStore.MINIO)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "accesskey").write_text("mounted\n")
    with pytest.raises(StorageError, match="Only one of accesskey and secretkey is set in"):
        store_client(ObjectStore.MINIO)
    (tmp_path / "secret" / "secretkey").write_text("topsecret\n")
    assert signed_by(store_client(ObjectStore.MINIO)) == "mounted"
    (tmp_path / "secret" / "sessiontoken").write_text("token")
    assert "X-Amz-Security-Token=token" in store_client(ObjectStore.MINIO).presigned_get_object("data", "key")
    environment.setenv("MINIO_ACCESS_KEY", "mine")
    environment.setenv("MINIO_SECRET_KEY", "s")
    assert signed_by(store_client(ObjectStore.MINIO)) == "mine"


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"])
class TestKeysWithWhatNoneHas:
    @pytest.fixture(autouse=True)
    def keys(self, environment, faulty_server):
        environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
        environment.setenv("AWS_ACCESS_KEY_ID", "AKIA")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    def test_the_end_of_a_line_is_no_part_of_it(self, environment, name, tmp_path):
        environment.setenv(name, " TOPSECRET\r\n")
        with local_copy("s3://data/rows.csv", "") as source:
            assert source.files[0].name == "rows.csv"

    @pytest.mark.parametrize(
        "value", ["TOP\nSECRET", "TOPSECRET\x1b", "TOPSECRET\u2028x", "TOPSECRETÄ", "TOPSECRET\udcff"]
    )
    def test_others_are_refused_and_not_shown(self, environment, name, value):
        environment.setenv(name, value)
        message = f"{name} in the environment holds characters that no key has.*Set it again"
        with pytest.raises(StorageError, match=message) as caught:
            resolve_source("s3://data/rows.csv")
        assert "TOP" not in "".join(traceback.format_exception(caught.value))


def test_a_line_within_a_mounted_key(environment, tmp_path):
    environment.setenv("EMBEDTUNE_STORE_SECRET_DIR", str(tmp_path))
    (tmp_path / "accesskey").write_text("mounted\n")
    (tmp_path / "secretkey").write_text("top\nsecret\n")
    with pytest.raises(StorageError, match=f"secretkey in {tmp_path} holds characters that no key has") as caught:
        store_client(ObjectStore.MINIO)
    assert "top" not in str(caught.value).replace(str(tmp_path), "")


CREDENTIALS = """[default]
aws_access_key_id = first
aws_secret_access_key = top%secret
[other]
aws_access_key_id = second
aws_secret_access_key = topsecret
aws_session_token = token
[half]
aws_access_key_id = third
[none]
"""


class TestFileOfCredentials:
    @pytest.fixture
    def file(self, environment, tmp_path):
        environment.setenv("AWS_ENDPOINT_URL", "http://a")
        path = tmp_path / ".aws" / "credentials"
        path.parent.mkdir()
        path.write_text(CREDENTIALS)
        return path

    def test_where_it_is_looked_for(self, environment, file, tmp_path):
        assert signed_by(store_client(ObjectStore.S3)) == "first"
        file.rename(tmp_path / "elsewhere")
        assert store_client(ObjectStore.S3)._provider is None
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "elsewhere"))
        assert signed_by(store_client(ObjectStore.S3)) == "first"

    def test_profiles(self, environment, file):
        environment.setenv("AWS_PROFILE", "other")
        assert signed_by(store_client(ObjectStore.S3)) == "second"
        assert "X-Amz-Security-Token=token" in store_client(ObjectStore.S3).presigned_get_object("data", "key")

    @pytest.mark.parametrize(
        ("profile", "message"),
        [
            ("half", r"Only one of aws_access_key_id and aws_secret_access_key is set in \[half\] of"),
            ("none", "AWS_PROFILE=none has no keys in"),
            ("absent", "AWS_PROFILE=absent has no keys in"),
        ],
    )
    def test_profiles_that_are_none(self, environment, file, profile, message):
        environment.setenv("AWS_PROFILE", profile)
        with pytest.raises(StorageError, match=message):
            store_client(ObjectStore.S3)

    @pytest.mark.parametrize("content", ["topsecret", "[default]\ntopsecret", "[default]\n[default]\n", b"\xff\xfe"])
    def test_no_line_of_a_damaged_file_is_shown(self, environment, file, content):
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(StorageError, match="is not of the form") as caught:
            store_client(ObjectStore.S3)
        assert "topsecret" not in "".join(traceback.format_exception(caught.value))

    def test_a_file_that_is_named_and_absent(self, environment, tmp_path):
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        with pytest.raises(StorageError, match=r"cannot be read \(No such file"):
            store_client(ObjectStore.S3)


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_a_pair_of_keys(environment, name):
    environment.setenv(name, "topsecret")
    with pytest.raises(StorageError, match="Only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set") as caught:
        store_client(ObjectStore.S3)
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a",
        "http://",
        "http://u:topsecret@a",
        "u:topsecret@a",
        "http://a/path",
        "http://a?topsecret",
        "http://a:port",
        "http://[::1",
    ],
)
def test_endpoints_that_are_none(environment, url):
    environment.setenv("AWS_ENDPOINT_URL_S3", url)
    with pytest.raises(StorageError, match="is not an address") as caught:
        resolve_source("s3://data/key")
    assert "topsecret" not in str(caught.value)


def test_a_store_that_is_gone(environment):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(StorageError, match=r"s3://data/key: the object store at 127\.0\.0\.1:\d+ does not answer"):
            resolve_source("s3://data/key")
    assert time.monotonic() - start < 5


class TestProxy:
    @pytest.fixture
    def proxied(self, environment, faulty_server):
        """The store can be reached by the proxy alone, for its name is nobody's."""
        environment.setenv("AWS_ENDPOINT_URL", "http://store.invalid:9000")
        environment.setenv("http_proxy", f"http://{faulty_server.host}")
        environment.delenv("no_proxy", raising=False)
        environment.delenv("NO_PROXY", raising=False)

    def test_the_proxy_of_the_environment_is_taken(self, proxied):
        assert resolve_source("s3://data/key").version == "etag:v1-256000"

    def test_but_not_for_hosts_that_need_none(self, proxied, environment):
        environment.setenv("no_proxy", "localhost,store.invalid")
        with pytest.raises(StorageError, match=r"the object store at store\.invalid:9000 does not answer"):
            resolve_source("s3://data/key")


def test_downloads_go_on_where_they_broke(environment, faulty_server):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    faulty_server.content *= 20
    faulty_server.break_after = [CHUNK_BYTES] * 4  # as often as breaks in a row are accepted, but something came
    with local_copy("s3://data/key", "etag:v1-5120000") as source:
        assert source.files[0].read_bytes() == faulty_server.content
    assert faulty_server.ranges == [None, *(f"bytes={count * CHUNK_BYTES}-" for count in (1, 2, 3, 4))]


def test_a_download_that_keeps_breaking(environment, faulty_server):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    faulty_server.break_after = [10] * 20
    with pytest.raises(StorageError, match="does not answer"), local_copy("s3://data/key", ""):
        pass


def test_passing_errors_of_the_store(environment, faulty_server):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    faulty_server.failures = [503, 502]
    assert resolve_source("s3://data/key").version == "etag:v1-256000"


def test_a_web_server_that_is_no_store(environment, faulty_server, tmp_path):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    faulty_server.failures = [418]
    with pytest.raises(StorageError, match="does not answer like an object store"):
        resolve_source("s3://data/key")


def test_a_full_disk(environment, faulty_server, tmp_path):
    environment.setenv("AWS_ENDPOINT_URL", f"http://{faulty_server.host}")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageError, match="No space left"):
        fetch_object(parse_location("s3://data/key"), "v1", 256_000, full, lambda _: None)
