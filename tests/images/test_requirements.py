"""Which packages an image gets."""

import tomllib
from pathlib import Path

import pytest

from images.requirements import requirements_of

ROOT = Path(__file__).parents[2]
PROJECT = {
    "name": "embedtune",
    "dependencies": ["numpy>=2", "rich"],
    "optional-dependencies": {
        "data": ["pillow>=11", "rich"],
        "train": ["embedtune[data]", "torch==2.13.0"],
        "all": ["embedtune[train,server]"],
        "server": ["boto3", "mlflow[auth]>=3.5,<4"],
    },
}


def test_an_extra_brings_the_dependencies_and_the_extras_that_it_names_once() -> None:
    assert requirements_of(PROJECT, "data") == ["numpy>=2", "rich", "pillow>=11"]
    assert requirements_of(PROJECT, "train") == ["numpy>=2", "rich", "pillow>=11", "torch==2.13.0"]
    assert requirements_of(PROJECT, "all")[-3:] == ["torch==2.13.0", "boto3", "mlflow[auth]>=3.5,<4"]


def test_the_server_needs_nothing_of_the_library() -> None:
    assert requirements_of(PROJECT, "server") == ["boto3", "mlflow[auth]>=3.5,<4"]


def test_an_unknown_extra_is_an_error() -> None:
    with pytest.raises(KeyError, match="gpu"):
        requirements_of(PROJECT, "gpu")


def test_every_image_of_this_project_has_requirements_and_kfp_is_none_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in ("data", "train", "server"):
        names = requirements_of(project, extra)
        assert not [name for name in names if name.startswith(("kfp", "embedtune"))]
    assert not [name for name in requirements_of(project, "data") if name.startswith("torch")]
