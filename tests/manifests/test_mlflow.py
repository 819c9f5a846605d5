"""What the image serves with the Deployment's environment, on SQLite and with a store that speaks S3."""

import base64
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from tests.manifests.rendering import MANIFESTS, ROOT, needs_kubectl, one, render
from tests.mlflow_server import QUIET
from tests.s3.conftest import moto_server

pytestmark = needs_kubectl

USER, PASSWORD = "embedtune", "a password of the test"
BUCKET = "mlpipeline"
SERVICE = "embedtune-mlflow:5000"


@dataclass(frozen=True)
class Server:
    url: str
    store: str

    def status(self, path: str, host: str, password: str = "", body: bytes | None = None) -> int:
        headers = {"Host": host, "Content-Type": "application/octet-stream"}
        if password:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
        method = "GET" if body is None else "PUT"
        request = urllib.request.Request(f"{self.url}{path}", data=body, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mlflow")
    resources = render(MANIFESTS / "overlays/standalone")
    (container,) = one(resources, "Deployment", "embedtune-mlflow")["spec"]["template"]["spec"]["containers"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}
    assert not {"command", "args"} & set(container)  # the image's own
    settings = {
        name: _moved(value, folder)
        for name, value in one(resources, "ConfigMap", "embedtune-mlflow-server")["data"].items()
    }
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = dict.fromkeys((entry["name"] for entry in container["env"]), "a key of the test")
    given |= {"MLFLOW_AUTH_ADMIN_USERNAME": USER, "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD}
    given["MLFLOW_FLASK_SERVER_SECRET_KEY"] = "of the secret embedtune-mlflow-server"
    with moto_server({}) as store:
        settings |= {"MLFLOW_HOST": "127.0.0.1", "MLFLOW_PORT": str(port), "MLFLOW_S3_ENDPOINT_URL": store}
        settings |= QUIET
        boto3.client("s3", endpoint_url=store, **_ACCESS).create_bucket(Bucket=BUCKET)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "AWS_"))}
        kept |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        with (folder / "log.txt").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(folder / "basic_auth.ini")],
                env=kept | settings | given,
                cwd=folder,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        started = Server(f"http://127.0.0.1:{port}", store)
        try:
            _wait_until_healthy(started, process, folder / "log.txt")
            yield started
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


_SERVE = "import pathlib, sys; from images import serve_mlflow; serve_mlflow._SETTINGS = pathlib.Path(sys.argv.pop()); "
_SERVE += "serve_mlflow.main()"
"""The image's entry point; the file that it writes to the pod's own /tmp is here the test's."""
_ACCESS = {"region_name": "us-east-1", "aws_access_key_id": "any", "aws_secret_access_key": "any"}


def _moved(text: str, folder: Path) -> str:
    """Put what the pod mounts into a folder of the test."""
    return text.replace("sqlite:////data/", f"sqlite:///{folder}/")


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(1200):
        try:
            assert server.status("/health", "10.1.2.3:5000") == 200  # as the kubelet asks
            return
        except OSError:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8"))


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=1"
FILE = "/api/2.0/mlflow-artifacts/artifacts/0/run/artifacts/model.bin"


def test_a_step_logs_in(server: Server) -> None:
    assert server.status(EXPERIMENTS, SERVICE, PASSWORD) == 200
    assert server.status(EXPERIMENTS, "localhost:5000", PASSWORD) == 200


def test_nobody_else_does(server: Server) -> None:
    assert server.status(EXPERIMENTS, SERVICE) == 401
    assert server.status(EXPERIMENTS, SERVICE, "another password") == 401
    assert server.status(FILE, SERVICE, body=b"weights") == 401


@pytest.mark.parametrize("host", ["attacker.example.com", "embedtune-mlflow", "10.1.2.3:5000", "127.0.0.1:5000"])
def test_no_other_name_is_answered(server: Server, host: str) -> None:
    assert server.status(EXPERIMENTS, host, PASSWORD) == 403


def test_files_go_to_the_store(server: Server) -> None:
    assert server.status(FILE, SERVICE, PASSWORD, body=b"weights") == 200
    objects = boto3.client("s3", endpoint_url=server.store, **_ACCESS).list_objects_v2(Bucket=BUCKET)["Contents"]
    assert [entry["Key"] for entry in objects] == ["embedtune/mlflow/0/run/artifacts/model.bin"]
