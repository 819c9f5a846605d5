import http.server
import os
import subprocess
import sys
import threading
import time

import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from embedtune.errors import RegistryError
from embedtune.mlflow.connection import check_registry, connect, local_tracking_uri, translated_errors
from embedtune.registry.contents import public_uri
from tests.mlflow.conftest import PAUSES


@pytest.fixture
def answering():
    """A server that gives every request the same answer."""
    servers = []

    def start(status, body):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            do_GET = do_POST  # noqa: N815

            def log_message(self, *arguments):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_unreachable_server_is_reported_soon_and_without_its_password(monkeypatch):
    monkeypatch.delenv(PAUSES)
    start = time.monotonic()
    with pytest.raises(RegistryError, match="Check that the server runs") as caught:
        connect("http://ada:hunter2@127.0.0.1:1")
    assert time.monotonic() - start < 30
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_refused_host_name(answering):
    address = answering(403, "Invalid Host header - possible DNS rebinding attack detected")
    with pytest.raises(RegistryError, match="--allowed-hosts"):
        connect(f"http://{address}")


def test_refused_user(answering):
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_TOKEN") as caught:
        connect(f"http://ada:hunter2@{answering(401, 'x' * 5000)}")
    assert "hunter2" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_not_an_mlflow_server(answering):
    with pytest.raises(RegistryError, match="address is that of an MLflow server"):
        connect(f"http://{answering(404, '')}")


def test_a_password_with_an_at_sign_is_hidden_to_its_end():
    with pytest.raises(RegistryError) as caught:
        connect("http://ada:hunter2@again@127.0.0.1:1")
    assert "hunter2" not in str(caught.value)
    assert "again" not in str(caught.value)


def test_advice_follows_the_code_and_not_digits_of_the_message():
    with pytest.raises(RegistryError) as caught, translated_errors("http://host"):
        raise MlflowException("Run 401403404 is not there", error_code=RESOURCE_DOES_NOT_EXIST)
    assert str(caught.value).endswith("Repeat the step once that is solved: it goes on where it stopped.")


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b"])
def test_a_folder_that_a_database_address_cannot_hold(tmp_path, name):
    with pytest.raises(RegistryError, match="Use a folder without '#', '\\?' and '%'"):
        local_tracking_uri(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("/data/train.csv", "/data/train.csv"),
        ("s3://bucket/train.csv", "s3://bucket/train.csv"),
        ("https://ada:secret@host:8443/a.csv?token=secret#part", "https://host:8443/a.csv"),
    ],
)
def test_public_uri(uri, expected):
    assert public_uri(uri) == expected


def test_importing_the_package_imports_no_mlflow():
    code = "import sys, embedtune.registry.register; sys.exit(any(m in sys.modules for m in ('mlflow', 'torch')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestCheck:
    def test_a_database_that_can_be_made_is_not_made(self, tmp_path):
        check_registry(local_tracking_uri(tmp_path))
        assert list(tmp_path.iterdir()) == []

    def test_a_database_that_is_there(self, registry, make_request):
        connect(registry.tracking_uri)
        check_registry(registry.tracking_uri)

    def test_a_file_that_is_no_database(self, tmp_path):
        (tmp_path / "mlflow.db").write_text("no database " * 100)
        with pytest.raises(RegistryError, match=r"mlflow\.db cannot be written: file is not a database"):
            check_registry(f"sqlite:///{tmp_path}/mlflow.db")

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(RegistryError, match=r"cannot be written: .*No such file"):
            check_registry(f"sqlite:///{tmp_path}/gone/mlflow.db")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    @pytest.mark.parametrize("name", ["", "artifacts"])
    def test_a_folder_without_permission(self, name, tmp_path):
        (tmp_path / "artifacts").mkdir()
        folder = tmp_path / name
        folder.chmod(0o500)
        with pytest.raises(RegistryError, match="Permission denied"):
            check_registry(f"sqlite:///{tmp_path}/mlflow.db")
        folder.chmod(0o700)

    def test_a_server_that_is_not_there(self):
        with pytest.raises(RegistryError, match="Check that the server runs"):
            check_registry("http://127.0.0.1:1")

    def test_a_server_that_refuses(self, answering):
        with pytest.raises(RegistryError, match="MLFLOW_TRACKING_USERNAME"):
            check_registry(f"http://{answering(401, '')}")
