"""What `kubectl kustomize` makes of a folder, as a cluster would get it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
OVERLAYS = ("standalone", "multi-user", "openshift")

Resource = dict[str, Any]

needs_kubectl = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl, which renders, is not installed")


@cache
def render(folder: Path) -> tuple[Resource, ...]:
    """Return the resources of a folder."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def refusal(folder: Path) -> str:
    """Return what kustomize says of a folder that it does not render."""
    done = subprocess.run(["kubectl", "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode != 0, done.stdout
    return done.stderr


def own_folder(folder: Path, text: str) -> Path:
    """Write somebody's own kustomization, in which MANIFESTS stands for the way to ours."""
    manifests = os.path.relpath(MANIFESTS, folder.resolve())
    (folder / "kustomization.yaml").write_text(text.replace("MANIFESTS", manifests), encoding="utf-8")
    return folder


def one(resources: tuple[Resource, ...], kind: str, name: str) -> Resource:
    """Return the only resource of this kind whose name is this, or this with a hash of its contents."""
    same = re.compile(rf"{name}(-[a-z0-9]{{10}})?")
    found = [
        resource for resource in resources if resource["kind"] == kind and same.fullmatch(resource["metadata"]["name"])
    ]
    assert len(found) == 1, [resource["metadata"]["name"] for resource in found]
    return found[0]


def pods(resources: tuple[Resource, ...]) -> Iterator[tuple[str, Resource]]:
    """Yield the name and the pod's description of all that makes pods."""
    for resource in resources:
        spec = resource.get("spec")
        if isinstance(spec, dict) and "template" in spec:
            yield f"{resource['kind']} {resource['metadata']['name']}", spec["template"]["spec"]


def containers(pod: Resource) -> list[Resource]:
    """Return all containers of a pod, those that start it included."""
    return [*pod.get("initContainers", []), *pod["containers"]]
