"""Which ends of a pod the controller retries. Argo evaluates the expression with expr-lang; here it is read."""

import re
from pathlib import Path

import pytest
import yaml

from tests.manifests.rendering import MANIFESTS, Resource, needs_kubectl, one, own_folder, render

PATCH = MANIFESTS / "components/argo-retries/workflow-controller-configmap.yaml"

STOCK = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: workflow-controller-configmap
data:
  executor: |
    imagePullPolicy: IfNotPresent
  workflowDefaults: |
    spec:
      ttlStrategy:
        secondsAfterCompletion: 3600
      templateDefaults:
        retryStrategy:
          limit: '2'
          retryPolicy: OnError
"""
"""What matters here of Kubeflow 2.17's."""


def defaults(config_map: Resource) -> Resource:
    return yaml.safe_load(config_map["data"]["workflowDefaults"])


def is_retried(status: str, message: str) -> bool:
    """Evaluate the expression, which is one comparison or one match."""
    strategy = defaults(yaml.safe_load(PATCH.read_text(encoding="utf-8")))["spec"]["templateDefaults"]["retryStrategy"]
    form = re.fullmatch(
        r'lastRetry\.status == "(\w+)" \|\| lastRetry\.message matches "([^"\\]+)"', strategy["expression"]
    )
    assert form is not None, strategy["expression"]
    return status == form[1] or re.search(form[2], message) is not None


@pytest.mark.parametrize(
    "message",
    [
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 31992Ki. ",
        "The node was low on resource: ephemeral-storage. ",
        "The node had condition: [DiskPressure]. ",
        "Pod The node had condition: [MemoryPressure]. ",
        "Pod was rejected: The node had condition: [MemoryPressure]. ",
        "Pod was terminated in response to imminent node shutdown.",
        "Pod was rejected as the node is shutting down.",
        "Pod Pod was rejected as the node is shutting down.",
        "Pod was rejected: Pod was rejected as the node is shutting down.",
        "Preempted in order to admit critical pod",
    ],
)
def test_what_the_kubelet_ended_is_retried(message: str) -> None:
    """Its messages: pkg/kubelet/eviction/helpers.go, nodeshutdown, preemption; kubelet.go for what is before."""
    assert is_retried("Failed", message)


def test_a_pod_that_is_gone_is_retried() -> None:
    assert is_retried("Error", "pod deleted")
    assert is_retried("Error", "")


@pytest.mark.parametrize(
    "message",
    [
        "Error (exit code 1)",
        "Error (exit code 1): ingest_csv: 3 of 4 rows cannot be used. The node was low on resource: sense.",
        "OOMKilled (exit code 137)",
        "Pod was active on the node longer than the specified deadline",
        "Step exceeded its deadline",
        'Usage of EmptyDir volume "dshm" exceeds the limit "8Gi". ',
        "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ",
        "No more retries left",
        "",
    ],
)
def test_what_ended_by_itself_is_not_retried(message: str) -> None:
    assert not is_retried("Failed", message)


@needs_kubectl
def test_nothing_else_of_the_controller_changes(tmp_path: Path) -> None:
    text = "namespace: kubeflow\nresources: [stock.yaml]\ncomponents: [MANIFESTS/components/argo-retries]\n"
    folder = own_folder(tmp_path, text)
    (folder / "stock.yaml").write_text(STOCK, encoding="utf-8")
    changed, stock = one(render(folder), "ConfigMap", "workflow-controller-configmap"), yaml.safe_load(STOCK)
    assert changed["data"].keys() == stock["data"].keys()
    assert changed["data"]["executor"] == stock["data"]["executor"]
    before, after = defaults(stock), defaults(changed)
    strategy = after["spec"]["templateDefaults"]["retryStrategy"]
    assert strategy.pop("expression")
    assert strategy.pop("retryPolicy") == "Always"
    before["spec"]["templateDefaults"]["retryStrategy"].pop("retryPolicy")
    assert after == before
