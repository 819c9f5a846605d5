"""A registry whose files are on this machine's disk: the model is there once, and what is lost comes back."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from embedtune.registry.register import register_model

WEIGHTS = "artifacts/model/model.safetensors"


@pytest.fixture
def place(make_request, registry, request: pytest.FixtureRequest) -> Path:
    """The folder in which MLflow keeps the model of a fresh registration."""
    name = request.node.name.partition("[")[0].replace("_", " ")
    register_model(make_request(name))
    client = MlflowClient(registry.tracking_uri, registry.tracking_uri)
    source = client.get_model_version(name, "1").source
    return Path(get_artifact_repository(source, registry.tracking_uri, registry.tracking_uri).artifact_dir)


def test_files_of_the_model_are_on_the_disk_once(place: Path, model_folder: Path) -> None:
    for path in model_folder.rglob("*"):
        if path.is_file():
            assert path.samefile(place / "artifacts" / "model" / path.relative_to(model_folder))
    assert not list(place.rglob(".*"))


@pytest.mark.parametrize("lost", [WEIGHTS, "MLmodel", "artifacts", ""])
def test_what_was_deleted_is_stored_again(lost: str, place: Path, make_request, capsys) -> None:
    before = {path.relative_to(place) for path in place.rglob("*")}
    shutil.rmtree(place / lost) if (place / lost).is_dir() else (place / lost).unlink()
    assert register_model(make_request("test what was deleted is stored again")).version == 1
    assert {path.relative_to(place) for path in place.rglob("*")} == before
    assert "MLflow has lost files of 'test what was deleted is stored again', version 1" in capsys.readouterr().err


def test_what_was_damaged_is_stored_again(place: Path, make_request, model_folder: Path) -> None:
    whole = (model_folder / "model.safetensors").read_bytes()
    (place / WEIGHTS).unlink()
    (place / WEIGHTS).write_bytes(whole[:-1] + b"?")
    register_model(make_request("test what was damaged is stored again"))
    assert (place / WEIGHTS).read_bytes() == whole


def test_what_is_whole_is_left_alone(place: Path, make_request, capsys) -> None:
    capsys.readouterr()
    register_model(make_request("test what is whole is left alone"))
    assert "lost" not in capsys.readouterr().err
