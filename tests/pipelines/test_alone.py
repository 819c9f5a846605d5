"""The extra `[pipelines]` alone compiles: a process in which nothing else that is installed here can be imported."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from pipelines.compiling import PIPELINES

ROOT = Path(__file__).parents[2]
OURS = {"embedtune", "setuptools"}
"""Distributions that are there as well, the second with hooks into every start of Python."""

ALONE = """
import runpy, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {blocked!r}:
            raise ModuleNotFoundError(f'{{name}} is not of [pipelines]', name=name)

sys.meta_path.insert(0, Blocker())
{code}
"""
COMPILE = "sys.argv = ['pipelines', *sys.argv[1:]]\nrunpy.run_module('pipelines', run_name='__main__')"


def needed(name: str, extras: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a distribution with these extras requires on this machine."""
    try:
        lines = requires(name) or []
    except PackageNotFoundError:
        return
    for requirement in map(Requirement, lines):
        for extra in ("", *extras):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def closure() -> set[str]:
    """Return the distributions that `pip install embedtune[pipelines]` brings beside embedtune."""
    found: set[tuple[str, frozenset[str]]] = set()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ours = map(Requirement, project["dependencies"] + project["optional-dependencies"]["pipelines"])
    waiting = [(canonicalize_name(requirement.name), frozenset(requirement.extras)) for requirement in ours]
    while waiting:
        entry = waiting.pop()
        if entry not in found:
            found.add(entry)
            waiting += needed(*entry)
    return {name for name, _ in found}


@pytest.fixture(scope="module")
def foreign() -> set[str]:
    """Return the modules that only other distributions have."""
    installed = closure()
    return {
        module
        for module, owners in packages_distributions().items()
        if installed.isdisjoint(map(canonicalize_name, owners)) and not OURS.intersection(owners)
    }


def test_what_is_hidden(foreign: set[str]) -> None:
    assert {"torch", "mlflow", "PIL", "trimesh", "pytest"} <= foreign
    assert foreign.isdisjoint({"kfp", "kfp_server_api", "google", "yaml", "kubernetes", "typer", "numpy", "jinja2"})


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_the_extra_alone_compiles(name: str, foreign: set[str], tmp_path: Path) -> None:
    code = ALONE.format(blocked=sorted(foreign), code=COMPILE)
    words = ["compile", name, "--output", str(tmp_path / "pipeline.yaml")]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipeline.yaml").stat().st_size > 10_000
