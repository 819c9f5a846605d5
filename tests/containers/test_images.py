"""What each image promises, seen from inside it."""

import json
import re
from pathlib import Path

import pytest

from embedtune import __version__
from images.build import LIMITS, TARGETS, revision

pytestmark = pytest.mark.containers
ROOT = Path(__file__).parents[2]
EVERY = pytest.mark.parametrize("target", TARGETS)
INSTALLED = """
import json
from importlib.metadata import distributions
print(json.dumps({d.metadata["Name"]: d.version for d in distributions()}))
"""


def normal(name: str) -> str:
    """Return a package's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(run_in, target: str) -> dict[str, str]:
    found = json.loads(run_in(target, "/opt/venv/bin/python", "-c", INSTALLED))
    return {normal(name): version.partition("+")[0] for name, version in found.items()}


@EVERY
def test_user_and_labels(client, images, target: str) -> None:
    config = client.images.get(images[target]).attrs["Config"]
    assert config["User"] == "1000:0"
    label = "org.opencontainers.image."
    said = {key.removeprefix(label): value for key, value in config["Labels"].items() if key.startswith(label)}
    assert said.pop("base.name")
    assert said == {
        "title": f"embedtune-{target}",
        "description": TARGETS[target],
        "version": __version__,
        "revision": revision(),
        "licenses": "Apache-2.0",
    }


def test_the_data_image_is_small(client, images) -> None:
    assert client.images.get(images["data"]).attrs["Size"] <= LIMITS["data"] * 10**6


@EVERY
def test_every_version_is_that_of_the_constraints(run_in, target: str) -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    constraints = {normal(name): version for name, _, version in (line.partition("==") for line in lines) if version}
    found = installed(run_in, target)
    assert found.pop("embedtune", __version__) == __version__
    found.pop("setuptools", None)  # torch asks for it, and `pip freeze`, which makes the constraints, leaves it out
    assert {name: constraints.get(name) for name in found} == found


def test_kfp_comes_without_its_dependencies_and_torch_only_where_a_model_runs(run_in) -> None:
    data, train = installed(run_in, "data"), installed(run_in, "train")
    assert "kfp" in data
    assert {"kfp", "torch"} <= set(train)
    assert not {"torch", "kfp-pipeline-spec", "google-cloud-storage", "requests-toolbelt"} & set(data)
    assert data.items() <= train.items()


@EVERY
def test_no_compiler_and_no_pip_of_its_own(run_in, target: str) -> None:
    names = "cc gcc g++ c++ clang make ld as /opt/venv/bin/pip"
    assert run_in(target, "sh", "-c", f"for name in {names}; do command -v $name || true; done") == ""


@EVERY
def test_nothing_of_the_build_stays(client, images, run_in, target: str) -> None:
    """Neither the settings that it was given as secrets, nor what it was done with."""
    command = "find / -xdev -name pip.conf; find /run/secrets /tmp -mindepth 1"
    assert run_in(target, "sh", "-c", f"{command} 2> /dev/null || true", tmpfs={}) == ""
    image = client.images.get(images[target])
    assert not [
        variable for variable in image.attrs["Config"]["Env"] if variable.startswith(("PIP_", "SSL_", "REQUESTS"))
    ]
    assert not re.search("pip.conf|BEGIN CERTIFICATE|://", " ".join(layer["CreatedBy"] for layer in image.history()))


@pytest.mark.parametrize("target", ["data", "train"])
def test_the_library_answers_a_user_without_a_name(run_in, target: str) -> None:
    assert run_in(target, "embedtune", "--version").split()[-1] == __version__
    assert run_in(target, "sh", "-c", "id -u; id -g; pwd").split() == ["123456", "0", "/tmp"]
