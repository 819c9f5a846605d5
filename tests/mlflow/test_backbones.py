"""A registered version is a model to start from and to use: found first, and then that version and no other."""

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer.testing
from mlflow import MlflowClient

from embedtune.cli.main import app
from embedtune.errors import ModelError, RegistryError
from embedtune.mlflow.artifacts import folder_on_disk
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect
from embedtune.mlflow.failures import GoneError, UnreachableError
from embedtune.mlflow.layout import MODEL_FOLDER
from embedtune.mlflow.versions import find_version
from embedtune.models.backbone_versions import backbone_version
from embedtune.models.backbones import open_backbone
from embedtune.models.loading import load_backbone, load_model
from embedtune.models.trained_texts import load_trained, save_trained, trained_digests
from embedtune.registry.register import register_model
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters


@pytest.fixture
def client(registry, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv(TRACKING_VARIABLE, registry.tracking_uri)
    return connect(registry.tracking_uri)


@pytest.fixture
def register(client: MlflowClient, make_request, request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., int]:
    """Register a version of the model "link": `register(0.1)`, and what it was trained on as `texts`."""

    def make(gain: float, texts: tuple[str, ...] = (), folder: Path | None = None) -> int:
        registering = make_request("link", gain=gain)
        if texts:
            folder = shutil.copytree(registering.model_folder, tmp_path / f"trained-{gain}")
            save_trained(folder, trained_digests(texts), None)
        if folder is not None:
            registering = dataclasses.replace(registering, model_folder=folder)
        return register_model(registering).version

    yield make
    client.delete_registered_model("link")


def test_an_alias_is_resolved_once_and_that_version_is_opened_after_it_moved(
    register: Callable[..., int], client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    register(0.1, texts=("learned first",))
    version = backbone_version("models:/link@champion")
    created = client.get_model_version("link", "1").creation_timestamp
    assert version == f"registered:link/1@{created}"
    assert "Backbone 'models:/link@champion' is version 1 now; it was itself fine-tuned" in capsys.readouterr().err
    register(0.2, texts=("learned second",))
    assert backbone_version("models:/link@champion") != version
    assert backbone_version("models:/link/1") == version
    with open_backbone("models:/link@champion", version) as backbone:
        np.testing.assert_array_equal(load_trained(backbone), trained_digests(["learned first"]))
    with open_backbone("models:/link@champion", "") as backbone:
        np.testing.assert_array_equal(load_trained(backbone), trained_digests(["learned second"]))
    assert not Path(backbone.location).exists()


def test_the_vectors_are_those_of_the_folder(register: Callable[..., int], model_folder: Path) -> None:
    register(0.1)
    with open_backbone("models:/link/1", "") as backbone:
        vectors = load_backbone(backbone, 32).encode(["abc", "def"])
    np.testing.assert_array_equal(vectors, load_model(str(model_folder), 32).encode(["abc", "def"]))


def test_the_first_step_of_a_run(register: Callable[..., int], tmp_path: Path) -> None:
    register(0.1)
    (tmp_path / "data.csv").write_text("query,document\na,b\n")
    found = resolve_data(RunParameters(str(tmp_path / "data.csv"), model_backbone="models:/link@champion"))
    assert found.backbone_version.startswith("registered:link/1@")


def test_a_model_of_that_name_made_anew_is_another(register: Callable[..., int], client: MlflowClient) -> None:
    register(0.1)
    version = backbone_version("models:/link@champion")
    client.delete_registered_model("link")
    register(0.2)
    with (
        pytest.raises(ModelError, match="the version 1 of then was deleted, and another one has its number now"),
        open_backbone("models:/link@champion", version),
    ):
        pass


@pytest.mark.parametrize("version", ["registered:other/1@5", "registered:link/1", "sha256:00", "registered:link/1@"])
def test_a_version_of_something_else(version: str) -> None:
    with (
        pytest.raises(ModelError, match="is no version of models:/link@champion"),
        open_backbone("models:/link@champion", version),
    ):
        pass


def test_a_version_that_was_deleted_since(register: Callable[..., int], client: MlflowClient) -> None:
    register(0.1)
    version = backbone_version("models:/link@champion")
    register(0.2)
    client.delete_model_version("link", "1")
    with (
        pytest.raises(GoneError, match="models:/link/1 is not in MLflow"),
        open_backbone("models:/link@champion", version),
    ):
        pass


def test_what_cannot_be_had_is_refused_before_anything_else_is_done(
    register: Callable[..., int], client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(0.1)
    folder = folder_on_disk(client, find_version(client, "models:/link/1").address)
    assert folder is not None
    shutil.rmtree(folder / MODEL_FOLDER)
    (folder / "MLmodel").unlink()
    with pytest.raises(GoneError, match="The files of models:/link/1 are gone"):
        backbone_version("models:/link@champion")
    monkeypatch.setenv(TRACKING_VARIABLE, "http://127.0.0.1:1")
    with pytest.raises(UnreachableError, match="Check that the server runs"):
        backbone_version("models:/link@champion")
    monkeypatch.delenv(TRACKING_VARIABLE)
    with pytest.raises(RegistryError, match="no MLflow to work with: MLFLOW_TRACKING_URI is not set"):
        backbone_version("models:/link@champion")


def test_commands_take_it(register: Callable[..., int], tmp_path: Path, model_folder: Path) -> None:
    register(0.1)
    (tmp_path / "index.csv").write_text("text\nopen the shop\nclose the door\n")
    runner = typer.testing.CliRunner()
    words = ["--input", str(tmp_path / "index.csv"), "--column", "text", "--output"]
    for model, name in (("models:/link@champion", "one.npy"), (str(model_folder), "two.npy")):
        done = runner.invoke(app, ["encode", "--model", model, *words, str(tmp_path / name)])
        assert done.exit_code == 0, done.output
    assert (tmp_path / "one.npy").read_bytes() == (tmp_path / "two.npy").read_bytes()
    search = ["search", "close the door", "--model", "models:/link/1", "--index", str(tmp_path / "index.csv")]
    assert runner.invoke(app, search).stdout.splitlines()[0] == "1.000  close the door"
    tailored = runner.invoke(app, ["tailor", "--model", "models:/link/1", "--json"])
    assert '"model": "models:/link/1"' in tailored.stdout
