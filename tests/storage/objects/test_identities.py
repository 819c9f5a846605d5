"""Keys for s3:// that a platform hands a pod."""

import json
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from embedtune.errors import StorageError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.objects.client import store_client

PROXIES = ("http_proxy", "https_proxy", "no_proxy")
KEYS = {"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "session", "Expiration": "2099-01-01T00:00:00Z"}


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    for name in (
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://a")
    return monkeypatch


class Agent:
    """What EKS' pod identity agent does: keys for who shows the pod's token."""

    def __init__(self) -> None:
        self.asked = 0
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                agent.asked += 1
                self.send_response(200 if self.headers["Authorization"] == "TOPSECRET" else 403)
                self.end_headers()
                self.wfile.write(json.dumps(KEYS).encode())

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/credentials"


@pytest.fixture
def agent(environment, tmp_path):
    agent = Agent()
    thread = threading.Thread(target=agent.server.serve_forever, args=(0.01,))
    thread.start()
    (tmp_path / "token").write_text("TOPSECRET")
    environment.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", agent.url)
    environment.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", str(tmp_path / "token"))
    yield agent
    agent.server.shutdown()
    agent.server.server_close()
    thread.join()


def test_a_pods_identity_signs_and_is_asked_for_once(agent):
    for _ in range(2):
        address = store_client(ObjectStore.S3).presigned_get_object("data", "key")
        assert "X-Amz-Credential=ASIA%2F" in address
        assert "X-Amz-Security-Token=session" in address
    assert agent.asked == 1


def test_keys_of_the_environment_come_first(agent, environment):
    environment.setenv("AWS_ACCESS_KEY_ID", "AKIA")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert "X-Amz-Credential=AKIA%2F" in store_client(ObjectStore.S3).presigned_get_object("data", "key")
    assert agent.asked == 0


def test_the_identity_comes_before_a_file_in_the_home_folder(agent, tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text("[default]\naws_access_key_id = f\naws_secret_access_key = s\n")
    assert "X-Amz-Credential=ASIA%2F" in store_client(ObjectStore.S3).presigned_get_object("data", "key")


def test_the_platforms_store_asks_for_no_identity(agent):
    assert store_client(ObjectStore.MINIO)._provider is None
    assert agent.asked == 0


def test_without_its_variables_no_identity_is_looked_for():
    """Minio's provider would ask the metadata service of the machine."""
    assert store_client(ObjectStore.S3)._provider is None


def test_a_refusal_is_explained_without_the_token(agent, tmp_path):
    (tmp_path / "token").write_text("TOPSECRET-OTHER")
    client = store_client(ObjectStore.S3)
    with pytest.raises(
        StorageError, match=r"the identity that AWS_CONTAINER_CREDENTIALS_FULL_URI names \(ValueErr"
    ) as e:
        client.presigned_get_object("data", "key")
    assert "TOPSECRET" not in "".join(traceback.format_exception(e.value))


def test_an_answer_that_holds_no_keys(agent, environment):
    environment.delitem(KEYS, "Expiration")
    with pytest.raises(StorageError, match="No keys for s3:// come from"):
        store_client(ObjectStore.S3).presigned_get_object("data", "key")


def test_a_web_identity_without_its_token(environment, tmp_path):
    environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "absent"))
    environment.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader")
    client = store_client(ObjectStore.S3)
    with pytest.raises(StorageError, match="the identity that AWS_WEB_IDENTITY_TOKEN_FILE names"):
        client.presigned_get_object("data", "key")


class TestProxy:
    @pytest.fixture(autouse=True)
    def variables(self, environment):
        for name in PROXIES:
            environment.delenv(name, raising=False)
            environment.delenv(name.upper(), raising=False)

    def test_a_web_identity_is_shown_to_amazon_through_it(self, environment, tmp_path):
        (tmp_path / "token").write_text("TOPSECRET")
        environment.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        environment.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/reader")
        environment.setenv("AWS_REGION", "eu-central-1")
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_CONNECT(self):
                asked.append(self.path)
                self.send_error(403)

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            environment.setenv("https_proxy", f"http://127.0.0.1:{server.server_address[1]}")
            client = store_client(ObjectStore.S3)
            with pytest.raises(StorageError, match="the identity that AWS_WEB_IDENTITY_TOKEN_FILE names"):
                client.presigned_get_object("data", "key")
            server.shutdown()
            thread.join()
        assert set(asked) == {"sts.eu-central-1.amazonaws.com:443"}

    def test_the_agent_beside_a_pod_is_asked_without_it(self, agent, environment):
        for name in PROXIES[:2]:
            environment.setenv(name, "http://nowhere.invalid:3128")
        assert "X-Amz-Credential=ASIA%2F" in store_client(ObjectStore.S3).presigned_get_object("data", "key")
        assert agent.asked == 1
