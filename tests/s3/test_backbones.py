"""A model below a prefix of the object store is a backbone like a folder."""

from pathlib import Path

import numpy as np
import pytest

from embedtune.errors import ModelError, StorageError
from embedtune.models.backbone_versions import backbone_version
from embedtune.models.backbones import open_backbone
from embedtune.models.loading import load_backbone, load_model


@pytest.fixture
def uri(store, tiny_model_folder: Path) -> str:
    for path in tiny_model_folder.rglob("*"):
        if path.is_file():
            name = f"models/tiny/{path.relative_to(tiny_model_folder).as_posix()}"
            store.client.fput_object(store.bucket, name, str(path))
    return f"{store.uri}/models/tiny"


@pytest.mark.parametrize("scheme", ["s3://", "minio://"])
def test_the_vectors_are_those_of_the_folder(uri: str, scheme: str, tiny_model_folder: Path) -> None:
    name = uri.replace("s3://", scheme)
    version = backbone_version(name)
    assert version.startswith("sha256:")
    with open_backbone(name, version) as backbone:
        vectors = load_backbone(backbone, 32).encode(["abc", "def"])
    assert not Path(backbone.location).exists()
    np.testing.assert_array_equal(vectors, load_model(str(tiny_model_folder), 32).encode(["abc", "def"]))


def test_a_change_is_another_version_and_is_not_trained_from(store, uri: str) -> None:
    before = backbone_version(uri)
    store.client.fput_object(store.bucket, "models/tiny/config.json", __file__)
    assert backbone_version(uri) != before
    with pytest.raises(ModelError, match=f"'{uri}' changed since .*: version {before}"), open_backbone(uri, before):
        pass


def test_what_is_no_model(store, uri: str) -> None:
    with pytest.raises(ModelError, match=r"holds neither modules\.json nor config\.json.* Perhaps tiny in it is meant"):
        backbone_version(f"{store.uri}/models/")
    with pytest.raises(ModelError, match="is one file"):
        backbone_version(f"{uri}/config.json")
    with pytest.raises(StorageError, match="models/none"):
        backbone_version(f"{store.uri}/models/none")
