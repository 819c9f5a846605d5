"""What holds for every resource that the manifests make, alone and together."""

import re

import kubernetes_validate
import pytest

from embedtune import __version__
from tests.manifests.rendering import Resource, containers, needs_kubectl, pods

pytestmark = needs_kubectl

OLDEST, NEWEST = 29, int(kubernetes_validate.latest_version().split(".")[1])
VERSIONS = [f"1.{minor}" for minor in range(OLDEST, NEWEST + 1)]


@pytest.mark.parametrize("version", VERSIONS)
def test_is_valid(rendered: tuple[Resource, ...], version: str) -> None:
    for resource in rendered:
        assert kubernetes_validate.validate(resource, version, strict=True) == version


def test_every_image_has_a_version(rendered: tuple[Resource, ...]) -> None:
    """Ours have the library's; another's may have a digest instead."""
    for name, pod in pods(rendered):
        for container in containers(pod):
            image = container["image"]
            assert re.search(r"@sha256:[0-9a-f]{64}$|:\d[\w.-]*$", image), f"{name}: {image}"
            if image.startswith("embedtune-"):
                assert image.endswith(f":{__version__}"), f"{name}: {image}"


def test_every_container_says_what_it_takes(rendered: tuple[Resource, ...]) -> None:
    for name, pod in pods(rendered):
        for container in containers(pod):
            for side in ("requests", "limits"):
                assert set(container["resources"][side]) >= {"cpu", "memory"}, name


def test_every_pod_passes_the_restricted_standard(rendered: tuple[Resource, ...]) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and a root nobody writes to."""
    for name, pod in pods(rendered):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"].get("runAsUser") != 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), name
        assert {kind for volume in pod["volumes"] for kind in volume} <= {
            "name", "configMap", "emptyDir", "persistentVolumeClaim",
        }, name  # fmt: skip
        for container in containers(pod):
            security = container["securityContext"]
            assert security == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name


def test_no_pod_may_use_the_cluster_or_hears_of_other_services(rendered: tuple[Resource, ...]) -> None:
    for name, pod in pods(rendered):
        assert pod["automountServiceAccountToken"] is False, name
        assert pod["enableServiceLinks"] is False, name


def test_every_server_is_watched(rendered: tuple[Resource, ...]) -> None:
    for resource in rendered:
        if resource["kind"] == "Deployment":
            for container in resource["spec"]["template"]["spec"]["containers"]:
                assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)


def test_no_secret_is_written_down(rendered: tuple[Resource, ...]) -> None:
    """No Secret, and no variable or setting that a secret's name or value would stand in."""
    word = re.compile("password|secret|token|access_key", re.IGNORECASE)
    assert [resource for resource in rendered if resource["kind"] == "Secret"] == []
    for _, pod in pods(rendered):
        for container in containers(pod):
            named = [entry for entry in container.get("env", []) if word.search(entry["name"])]
            assert [entry["name"] for entry in named if "secretKeyRef" not in entry.get("valueFrom", {})] == []
    for resource in rendered:
        if resource["kind"] == "ConfigMap":
            assert [key for key in resource["data"] if word.search(key)] == []


def test_no_setting_is_empty(rendered: tuple[Resource, ...]) -> None:
    """An empty variable is not an unset one: HF_ENDPOINT='' is no mirror and no default either."""
    for resource in rendered:
        if resource["kind"] == "ConfigMap":
            assert [key for key, value in resource["data"].items() if not value.strip()] == []


def test_all_is_in_one_namespace(rendered: tuple[Resource, ...]) -> None:
    namespaces = {resource["metadata"]["namespace"] for resource in rendered}
    assert len(namespaces) == 1
    bindings = [resource for resource in rendered if resource["kind"] == "RoleBinding"]
    assert {subject["namespace"] for binding in bindings for subject in binding["subjects"]} == namespaces


def test_a_network_policy_names_whom_it_is_for(rendered: tuple[Resource, ...]) -> None:
    """One that selects all pods would cut off what Kubeflow runs beside us."""
    policies = [resource for resource in rendered if resource["kind"] == "NetworkPolicy"]
    assert [policy for policy in policies if not policy["spec"]["podSelector"].get("matchLabels")] == []


def test_what_is_selected_is_there(rendered: tuple[Resource, ...]) -> None:
    """Services, policies and deployments select pods of ours by labels that those have."""
    labels = [
        resource["spec"]["template"]["metadata"]["labels"].items()
        for resource in rendered
        if "template" in resource.get("spec", {})
    ]
    for resource in rendered:
        spec = resource.get("spec", {})
        selector = {
            "Service": lambda spec=spec: spec["selector"],
            "NetworkPolicy": lambda spec=spec: spec["podSelector"]["matchLabels"],
            "Deployment": lambda spec=spec: spec["selector"]["matchLabels"],
        }.get(resource["kind"])
        if selector:
            assert any(selector().items() <= pod for pod in labels), resource["metadata"]["name"]
