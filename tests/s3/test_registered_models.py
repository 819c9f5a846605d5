"""An MLflow server whose artifacts lie on the object store, without boto3: registered to it and fetched from it."""

import hashlib
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from embedtune.mlflow.connection import TRACKING_VARIABLE, connect_to_read
from embedtune.mlflow.failures import DamagedError, GoneError, RefusedError, UnavailableError, UnreachableError
from embedtune.mlflow.fetching import fetch_model
from embedtune.mlflow.versions import RegisteredVersion, find_version
from embedtune.registry.register import register_model
from embedtune.registry.request import RegistrationRequest
from tests.registry.conftest import _no_platform_run, comparison, model_folder

__all__ = ["_no_platform_run", "model_folder"]


def tree(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def client(mlflow_server: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    """As in the images, where MLflow reaches no object store by itself."""
    for name in ("boto3", "botocore"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setenv(TRACKING_VARIABLE, mlflow_server)
    return connect_to_read()


@pytest.fixture
def version(client: MlflowClient, store, model_folder: Path, tmp_path: Path) -> RegisteredVersion:
    """A version of the model named like the test's bucket, in an experiment that keeps its files there."""
    client.create_experiment(store.bucket, artifact_location=f"{store.uri}/mlflow")
    (tmp_path / "report").write_text("<!DOCTYPE html><p>report")
    (tmp_path / "qrels.txt").write_text("q 0 d 1")
    registration = register_model(
        RegistrationRequest(
            model_folder=model_folder,
            comparison=comparison(0.1, True),
            model_name=store.bucket,
            data_uri="",
            data_version="",
            experiment=store.bucket,
            reports=(tmp_path / "report", tmp_path / "qrels.txt"),
        )
    )
    assert registration.promoted
    return find_version(client, f"models:/{store.bucket}@champion")


def test_model_and_reports_are_stored(version: RegisteredVersion, store, client: MlflowClient, model_folder) -> None:
    assert version.address.startswith(f"{store.uri}/mlflow/models/m-")
    model = version.address.removeprefix(f"{store.uri}/")
    run = client.get_run(client.get_model_version(version.name, "1").run_id).info.artifact_uri
    reports = run.removeprefix(f"{store.uri}/") + "/reports"
    package = ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt", "serving_model.py")
    assert sorted(store.names()) == sorted(
        [
            *(f"{model}/{name}" for name in package),
            *(f"{model}/artifacts/model/{name}" for name in tree(model_folder)),
            *(f"{reports}/{name}" for name in ("comparison.json", "qrels.txt", "report.html")),
        ]
    )


def test_the_model_comes_back(version: RegisteredVersion, client: MlflowClient, model_folder, tmp_path: Path) -> None:
    fetch_model(client, version, tmp_path / "got")
    assert tree(tmp_path / "got") == tree(model_folder)


def refusal(client: MlflowClient, version: RegisteredVersion, target: Path) -> UnavailableError:
    with pytest.raises(UnavailableError) as caught:
        fetch_model(client, version, target)
    assert not target.exists()
    return caught.value


def test_what_is_damaged_or_gone(version: RegisteredVersion, client: MlflowClient, store, tmp_path: Path) -> None:
    key = f"{version.address.removeprefix(f'{store.uri}/')}/artifacts/model/model.safetensors"
    store.client.fput_object(store.bucket, key, __file__)
    damaged = refusal(client, version, tmp_path / "got")
    assert type(damaged) is DamagedError
    assert "model.safetensors is damaged" in str(damaged)
    store.client.remove_object(store.bucket, key)
    assert type(refusal(client, version, tmp_path / "got")) is DamagedError
    for name in store.names():
        store.client.remove_object(store.bucket, name)
    gone = refusal(client, version, tmp_path / "got")
    assert type(gone) is GoneError
    assert f"The files of {version.uri} are gone from {version.address}" in str(gone)


def test_a_store_that_refuses_or_does_not_answer(
    version: RegisteredVersion, client: MlflowClient, proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.denied = ("model.safetensors",)
    refused = refusal(client, version, tmp_path / "got")
    assert type(refused) is RefusedError
    assert "access denied" in str(refused)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert type(refusal(client, version, tmp_path / "got")) is UnreachableError
