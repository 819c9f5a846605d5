"""Datasets in a folder and on an object store."""

import json
from dataclasses import dataclass

import numpy as np
import pytest
from docarray import Document, DocumentArray

from embedtune.storage.objects import client, policies
from embedtune.storage.opening import open_store
from embedtune.storage.web import http


@dataclass(frozen=True)
class Place:
    uri: str

    def names(self):
        return open_store(self.uri).names()

    def read(self, name):
        return open_store(self.uri).get_bytes(name)

    def write(self, name, content):
        open_store(self.uri).put_bytes(name, content)

    def remove(self, name):
        open_store(self.uri).remove([name])

    def manifest(self, reference):
        user_and_name, _, version = reference.partition("@")
        return json.loads(self.read(f"{user_and_name}/{version}/manifest.json"))

    def shard(self, reference, number=0):
        manifest, path = self.manifest(reference), reference.replace("@", "/")
        return f"{path}/{manifest['folder']}/{manifest['files'][number]['name']}"


@pytest.fixture(autouse=True)
def alice(monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_USER", "alice")
    monkeypatch.setattr(policies, "_SETTLE_S", 0.02)
    monkeypatch.setattr(client, "_RETRIES", 2)
    monkeypatch.setattr(http, "_FIRST_PAUSE_S", 0.01)


@pytest.fixture(params=["folder", "s3"])
def place(request, store, tmp_path, monkeypatch):
    uri = str(tmp_path / "kept") if request.param == "folder" else f"{store.uri}/team/datasets"
    monkeypatch.setenv("EMBEDTUNE_DATASETS", uri)
    return Place(uri)


@pytest.fixture
def remote(store, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", f"{store.uri}/team/datasets")
    return Place(f"{store.uri}/team/datasets")


@pytest.fixture
def texts():
    def make(count, start=0):
        return DocumentArray(
            [
                Document(id=f"d{number}", text=f"text {number}", tags={"finetuner_label": f"label {number % 4}"})
                for number in range(start, start + count)
            ]
        )

    return make


@pytest.fixture
def noise():
    def make(count, size, seed=0):
        random = np.random.default_rng(seed)
        return DocumentArray([Document(id=f"n{number}", blob=random.bytes(size)) for number in range(count)])

    return make


@pytest.fixture
def as_bytes():
    def make(array):
        return [document.to_protobuf().SerializeToString(deterministic=True) for document in array]

    return make
