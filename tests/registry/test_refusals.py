from pathlib import Path

import pytest
from mlflow import MlflowClient

from embedtune.errors import ConfigError, ModelError, RegistryError
from embedtune.registry.register import register_model


@pytest.mark.parametrize("name", ["", "a/b", "a:b", "a@b", "it's", "..", ".hidden", "x" * 201])
def test_name(make_request, name):
    with pytest.raises(ConfigError, match="model_name is"):
        register_model(make_request(name))


@pytest.mark.parametrize("uri", ["mlruns", "/data/mlruns", "file:///data/mlruns"])
def test_folder_as_store(make_request, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(RegistryError, match="is a folder"):
        register_model(make_request("name"))


def test_no_tracking_uri(make_request, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(RegistryError, match="MLFLOW_TRACKING_URI is not set"):
        register_model(make_request("name"))


def test_unknown_platform_run(make_request, monkeypatch):
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(RegistryError, match="0" * 32):
        register_model(make_request("name"))


def test_deleted_experiment(make_request, registry):
    client = MlflowClient(tracking_uri=registry.tracking_uri)
    client.delete_experiment(client.create_experiment("gone"))
    with pytest.raises(RegistryError, match="'gone' was deleted"):
        register_model(make_request("name", experiment="gone"))


def test_missing_report(make_request):
    with pytest.raises(RegistryError, match="nowhere"):
        register_model(make_request("name", reports=(Path("nowhere.html"),)))


def test_folder_that_is_no_model(make_request, tmp_path):
    with pytest.raises(RegistryError, match=r"modules\.json"):
        register_model(make_request("name", model_folder=tmp_path))


def test_model_without_card(make_request, tmp_path):
    for name in ("modules.json", "config_sentence_transformers.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match=r"embedtune\.json"):
        register_model(make_request("name", model_folder=tmp_path))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "modeling.py", "1_Dense/weights.PT"])
def test_file_that_could_run_code(make_request, tmp_path, name):
    (tmp_path / "1_Dense").mkdir()
    (tmp_path / name).write_text("")
    with pytest.raises(RegistryError, match="could run"):
        register_model(make_request("name", model_folder=tmp_path))


def test_link_out_of_the_folder(make_request, tmp_path):
    (tmp_path / "secret.json").symlink_to("/etc/passwd")
    with pytest.raises(RegistryError, match=r"secret\.json"):
        register_model(make_request("name", model_folder=tmp_path))
