"""The example of a quota lets the pipelines run, with what Argo and Kubeflow add to each pod."""

from collections import Counter
from pathlib import Path

import pytest
import yaml
from kubernetes.utils.quantity import parse_quantity

from pipelines.finetune import MOST_SHARDS_AT_ONCE
from tests.manifests.conftest import COMBINED, somebodys_folder
from tests.manifests.rendering import ROOT, Resource, containers, needs_kubectl, one, own_folder, pods, render

pytestmark = needs_kubectl

Amounts = Counter[str]

DRIVER = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}}
"""The main container of each driver of Kubeflow 2.17. Argo's `init` and `wait` beside it say nothing."""
WAIT: Resource = {}
IN_LOOPS = {"finetune-sharded": ("ingest-csv", "build-shard")}


def limit_range(resources: tuple[Resource, ...]) -> Resource:
    (limits,) = one(resources, "LimitRange", "embedtune")["spec"]["limits"]
    assert limits["type"] == "Container"
    return limits


def pod(defaults: Resource, *asked: Resource) -> Amounts:
    """Return what the quota counts for a pod: the sum over its containers, each filled in by the LimitRange."""
    counted: Amounts = Counter()
    for container in asked:
        requests = defaults["defaultRequest"] | container.get("requests", {})
        limits = defaults["default"] | container.get("limits", {})
        for side, amounts in (("requests", requests), ("limits", limits)):
            for name, amount in amounts.items():
                counted[f"{side}.{name}"] += parse_quantity(amount)
    counted["pods"] = 1
    return counted


def tasks(name: str) -> dict[str, Resource]:
    """Return what each task of a compiled pipeline asks for, parameters at their defaults."""
    text = (ROOT / f"tests/pipelines/golden/{name}.yaml").read_text(encoding="utf-8")
    compiled = next(yaml.safe_load_all(text))
    parameters = compiled["root"]["inputDefinitions"]["parameters"]

    def amount(asked: str) -> str:
        if not asked.startswith("{{"):
            return asked
        (default,) = [entry["defaultValue"] for parameter, entry in parameters.items() if parameter in asked]
        return default

    found = {}
    for executor, description in compiled["deploymentSpec"]["executors"].items():
        asked = description["container"]["resources"]
        found[executor.removeprefix("exec-")] = {
            side: {
                "cpu": amount(asked[f"resourceCpu{word}"]),
                "memory": amount(asked[f"resourceMemory{word}"]),
            }
            for side, word in (("requests", "Request"), ("limits", "Limit"))
        }
    return found


def at_once(defaults: Resource, name: str) -> Amounts:
    """Return the most that one run holds: each task that is in a loop as often as it may run, and as many drivers."""
    found: Amounts = Counter()
    for task, asked in tasks(name).items():
        times = MOST_SHARDS_AT_ONCE if task in IN_LOOPS.get(name, ()) else 1
        widest = Counter(
            {
                resource: times * amount
                for resource, amount in (pod(defaults, asked, WAIT) + pod(defaults, DRIVER, WAIT)).items()
            }
        )
        found |= widest  # tasks follow each other: the largest of each counts
    return found


def beside(resources: tuple[Resource, ...], defaults: Resource) -> Amounts:
    """Return what our servers and jobs hold."""
    found: Amounts = Counter()
    for _, description in pods(resources):
        found += pod(defaults, *(container["resources"] for container in containers(description)))
    for resource in resources:
        if resource["kind"] == "PersistentVolumeClaim":
            found["persistentvolumeclaims"] += 1
            found["requests.storage"] += parse_quantity(resource["spec"]["resources"]["requests"]["storage"])
    return found


@pytest.mark.parametrize("name", ["finetune", "finetune-sharded"])
def test_a_run_fits_beside_our_servers(name: str, tmp_path: Path) -> None:
    resources = render(somebodys_folder(tmp_path, COMBINED["everything beside Kubeflow"]))
    defaults = limit_range(resources)
    hard = one(resources, "ResourceQuota", "embedtune")["spec"]["hard"]
    needed = at_once(defaults, name) + beside(resources, defaults)
    assert set(needed) <= set(hard)
    assert {what: amount for what, amount in needed.items() if amount > parse_quantity(hard[what])} == {}


def test_nothing_that_a_task_asks_for_is_changed(tmp_path: Path) -> None:
    """A default below what a container asks for is refused, and one above fills nothing in."""
    text = "namespace: team-a\nresources: [MANIFESTS/base]\ncomponents: [MANIFESTS/components/quota]\n"
    defaults = limit_range(render(own_folder(tmp_path, text)))
    assert set(defaults) == {"type", "default", "defaultRequest"}
    for name in ("cpu", "memory"):
        assert parse_quantity(defaults["defaultRequest"][name]) <= parse_quantity(defaults["default"][name])
        # A container that names a request alone gets the default as its limit.
        assert parse_quantity(DRIVER["requests"][name]) <= parse_quantity(defaults["default"][name])
