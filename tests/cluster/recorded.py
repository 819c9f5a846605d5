"""Pods as Kubernetes 1.34 and Argo 4.0 describe them, cut to what matters; changed by each test."""

import copy
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data" / "recordings" / "kubernetes"
RUN = "028a0a7f-b0a6-4045-afb6-0394f34dfe56"
Pod = dict[str, Any]

_FAILED: Pod = {
    "metadata": {
        "name": "finetune-zpkmz-retry-system-container-impl-3261509033",
        "creationTimestamp": "2026-11-21T06:16:59Z",
        "labels": {
            "pipeline/runid": RUN,
            "workflows.argoproj.io/completed": "true",
            "workflows.argoproj.io/workflow": "finetune-zpkmz",
        },
        "annotations": {
            "pipelines.kubeflow.org/runtime-role": "launcher",
            "workflows.argoproj.io/node-name": "finetune-zpkmz(0).root(0).exit-handler-1(0).finetune(0).executor(0)",
        },
    },
    "spec": {
        "containers": [
            {"name": "wait", "resources": {}},
            {"name": "main", "resources": {"limits": {"memory": "4Gi"}, "requests": {"memory": "4Gi"}}},
        ]
    },
    "status": {
        "phase": "Failed",
        "conditions": [{"type": "Ready", "status": "False", "reason": "PodFailed"}],
        "containerStatuses": [
            {"name": "main", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}},
            {"name": "wait", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}},
        ],
    },
}


def failed_pod(step: str = "finetune", attempt: int = 0, minute: int = 17, words: str = "") -> Pod:
    """Return a pod of a step that ended with exit code 1, with what it wrote to its termination log."""
    pod = copy.deepcopy(_FAILED)
    pod["metadata"]["name"] = f"{step}-{attempt}-{minute}"
    pod["metadata"]["creationTimestamp"] = f"2026-11-21T06:{minute}:00Z"
    pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"] = (
        f"finetune-zpkmz(0).root(0).exit-handler-1(0).{step}(0).executor({attempt})"
    )
    if words:
        terminated_in(pod)["message"] = words
    return pod


def terminated_in(pod: Pod) -> dict[str, Any]:
    """Return how the main container of a pod ended."""
    return pod["status"]["containerStatuses"][0]["state"]["terminated"]


def succeeded_pod(step: str = "finetune", attempt: int = 0, minute: int = 17) -> Pod:
    pod = failed_pod(step, attempt, minute)
    pod["status"]["phase"] = "Succeeded"
    terminated_in(pod).update(exitCode=0, reason="Completed")
    return pod


def driver_pod(step: str = "finetune", minute: int = 16, phase: str = "Succeeded") -> Pod:
    pod = succeeded_pod(step, 0, minute)
    pod["metadata"]["annotations"]["workflows.argoproj.io/node-name"] = (
        f"finetune-zpkmz(0).root(0).exit-handler-1(0).{step}-driver(0)"
    )
    pod["status"]["phase"] = phase
    return pod


def pending_pod(step: str = "finetune", minute: int = 17) -> Pod:
    pod = failed_pod(step, 0, minute)
    pod["status"] = {"phase": "Pending", "conditions": []}
    return pod
