"""The images as a restricted cluster runs them: another uid of group 0, no network but loopback, a read-only root."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException, ImageNotFound
from docker.models.containers import Container

from embedtune import __version__
from images.build import TARGETS, revision

ROOT = Path(__file__).parents[2]
PATIENCE = 900.0
"""Seconds after which what does not come to its end fails the test."""
USERS = (1000, 123456)
"""The images' own user, and one that they do not know; both of group 0."""
LOCKED_DOWN = {"network_mode": "none", "read_only": True, "tmpfs": {"/tmp": ""}}
ADMIN = {"MLFLOW_AUTH_ADMIN_USERNAME": "admin", "MLFLOW_AUTH_ADMIN_PASSWORD": "long enough to be one"}
SERVER = {
    **ADMIN,
    "MLFLOW_BACKEND_STORE_URI": "sqlite:////mlflow/mlflow.db",
    "MLFLOW_ARTIFACTS_DESTINATION": "/mlflow/artifacts",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "localhost:5000",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret of the tests",
    "MLFLOW_WORKERS": "1",
}
LOGIN = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": ADMIN["MLFLOW_AUTH_ADMIN_PASSWORD"]}
SETTINGS = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
"""Of every run: what is computed must not depend on where."""
HEALTHY = "from urllib.request import urlopen; print(urlopen('http://localhost:5000/health').read().decode())"


@pytest.fixture(scope="session")
def client() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env()
        client.ping()
    except DockerException as error:
        pytest.skip(f"no Docker daemon can be reached: {error}")
    yield client
    client.close()


@pytest.fixture(scope="session")
def images(client: docker.DockerClient) -> dict[str, str]:
    """Names of the images by target; they must be built from the very commit that is tested."""
    names = {target: f"embedtune-{target}:{__version__}" for target in TARGETS}
    for name in names.values():
        try:
            built = client.images.get(name).labels.get("org.opencontainers.image.revision")
        except ImageNotFound:
            pytest.fail(f"There is no image {name}. Build it: make images")
        if built != revision():
            pytest.fail(
                f"The image {name} was built from {built}, but {revision()} is checked out. Build it: make images"
            )
    return names


@pytest.fixture(scope="session")
def run_in(client: docker.DockerClient, images: dict[str, str]) -> Callable[..., str]:
    def run(target: str, *words: str, user: str = "123456:0", **options: Any) -> str:
        """Run a command in an image, locked down unless told otherwise, and return what it prints."""
        settings = {**LOCKED_DOWN, "user": user, "entrypoint": [], **options}
        return client.containers.run(images[target], list(words), remove=True, **settings).decode().strip()

    return run


@pytest.fixture(scope="session")
def servers(
    client: docker.DockerClient, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[int, Container]]:
    """For each user an MLflow server that keeps everything in a folder of this machine; they answer."""
    started: dict[int, Container] = {}
    for user in USERS:
        folder = tmp_path_factory.mktemp("mlflow")
        folder.chmod(0o777)
        started[user] = client.containers.run(
            images["mlflow"],
            detach=True,
            user=f"{user}:0",
            environment=SERVER,
            volumes={str(folder): {"bind": "/mlflow", "mode": "rw"}},
            **LOCKED_DOWN,
        )
    for server in started.values():
        deadline = time.monotonic() + PATIENCE
        while server.exec_run(["python3", "-c", HEALTHY]).output != b"OK\n":
            server.reload()
            assert server.status == "running", server.logs().decode()
            assert time.monotonic() < deadline, server.logs().decode()
            time.sleep(0.2)
    yield started
    for server in started.values():
        server.remove(force=True)


@dataclass(frozen=True)
class Running:
    """A run of the pipeline in containers."""

    user: int
    """The uid of its containers."""
    folder: Path
    """Where they write."""
    server: Container
    """The MLflow server that it registers its model with; the run has its network, which is loopback alone."""
    process: subprocess.Popen[bytes]

    @property
    def stored(self) -> Path:
        """Where the server keeps everything."""
        return Path(self.server.attrs["Mounts"][0]["Source"])

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def outputs(self) -> dict[str, Any]:
        """The pipeline's outputs, {} if it failed."""
        return json.loads((self.folder / "outputs.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def words(tiny_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments that make training a matter of seconds; data and backbone are mounted where they are."""
    backbone = tmp_path_factory.mktemp("backbone")
    shutil.copytree(tiny_model_folder, backbone, copy_function=shutil.copyfile, dirs_exist_ok=True)
    backbone.chmod(0o755)  # a temporary folder is its owner's alone, and so are weights as transformers saves them
    return {
        "data_uri": str(ROOT / "examples" / "support_tickets.csv"),
        "model_backbone": str(backbone),
        "model_max_length": 32,
        "train_epochs": 1,
        "train_learning_rate": 0.005,
        "register_model_name": "tickets",
    }


@pytest.fixture(scope="session")
def reference(words: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[subprocess.Popen[str]]:
    """The same run without containers, as a person starts it; goes on beside the others, and while servers start."""
    output = tmp_path_factory.mktemp("reference")
    flags = [part for name, value in words.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    environment = {"PATH": os.environ["PATH"], "HOME": str(output), **SETTINGS}
    command = [sys.executable, "-m", "pipelines", "run", "finetune", "--output", str(output), *flags]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.fixture(scope="session")
def running(
    reference: subprocess.Popen[str],
    servers: dict[int, Container],
    words: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[int, Running]]:
    """The pipeline in containers, by the image's own user and by another one of group 0, at the same time."""
    folders = {user: tmp_path_factory.mktemp(f"user{user}") for user in USERS}
    runs = {user: start_pipeline(user, folders[user], servers[user], words) for user in USERS}
    yield runs
    for run in runs.values():
        run.process.kill()
        run.process.wait()


def start_pipeline(user: int, folder: Path, server: Container, words: dict[str, Any]) -> Running:
    for name in ("root", "workspace"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    mounted = (words["data_uri"], words["model_backbone"])
    settings = {
        **LOCKED_DOWN,
        "network_mode": f"container:{server.id}",
        "user": f"{user}:0",
        "mounts": [{"Type": "bind", "Source": path, "Target": path, "ReadOnly": True} for path in mounted],
        "environment": {**SETTINGS, "MLFLOW_TRACKING_URI": "http://localhost:5000", **LOGIN},
    }
    asked = {
        "container": settings,
        "arguments": words,
        "pipeline_root": str(folder / "root"),
        "workspace_root": str(folder / "workspace"),
        "outputs": str(folder / "outputs.json"),
    }
    (folder / "request.json").write_text(json.dumps(asked), encoding="utf-8")
    command = [sys.executable, "-m", "tests.containers.docker_run", str(folder / "request.json")]
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
    return Running(user, folder, server, process)


@pytest.fixture(scope="session", params=USERS)
def run(request: pytest.FixtureRequest, running: dict[int, Running]) -> Running:
    running[request.param].process.wait(PATIENCE)
    return running[request.param]
