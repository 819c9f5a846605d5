"""The pods of a run of Kubeflow Pipelines, as far as a person wants to know about them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RUN_LABEL = "pipeline/runid"
"""Label of every pod of a run; its value is the run's id."""
_NODE = "workflows.argoproj.io/node-name"
_WORKFLOW = "workflows.argoproj.io/workflow"
_ON_EXIT = "workflows.argoproj.io/on-exit"
_MAIN = "main"
_EXECUTOR = re.compile(r"([\w-]+)(?:\(\d+\))?\.executor(?:\(\d+\))?$")
_DRIVER = re.compile(r"([\w-]+)-driver(?:\(\d+\))?$")
_ATTEMPT = re.compile(r"\(\d+\)")

Json = Mapping[str, Any]


@dataclass(frozen=True)
class StepPod:
    """A pod of a step, or of Kubeflow's driver that prepares one."""

    name: str
    workflow: str
    """The Argo workflow that it belongs to."""
    step: str
    """Name of the step, such as build_documents."""
    is_driver: bool
    """Whether it only prepares the step; the step's own pod comes after it."""
    task: str
    """What it is an attempt at: the node of the workflow, without the numbers of attempts."""
    created: str
    """When it was made, in ISO 8601."""
    phase: str
    """Pending, Running, Succeeded or Failed."""
    reason: str
    """Why the pod as a whole is in that phase, such as Evicted; '' where only its container tells."""
    message: str
    """What Kubernetes says of that reason."""
    unplaced: str
    """Why no node has taken it, such as Unschedulable; '' if one has."""
    unplaced_message: str
    disrupted: str
    """What takes it from its node, such as PreemptionByScheduler; '' for nothing."""
    disrupted_message: str
    waiting: str
    """Why the step's container, or the one before it, does not start, such as ImagePullBackOff; '' if it does."""
    waiting_message: str
    ended: str
    """Why the step's container ended, such as OOMKilled or Error; '' while it has not."""
    exit_code: int
    """Its exit code, 0 while it has not ended."""
    last_words: str
    """What the step wrote to its termination log, '' for nothing."""
    memory_limit: str
    """Memory that the step's container may use, such as 4Gi; '' for no limit."""


def step_pod(pod: Json) -> StepPod | None:
    """Return what there is to know of a pod, None for one that belongs to no step, or to the task that asks.

    Args:
        pod: A `v1/Pod` of the Kubernetes API.
    """
    metadata = pod["metadata"]
    labels, node = metadata.get("labels", {}), metadata.get("annotations", {}).get(_NODE, "")
    executor, driver = _EXECUTOR.search(node), _DRIVER.search(node)
    found = executor if executor is not None else driver
    if found is None or labels.get(_ON_EXIT) == "true":
        return None
    status = pod.get("status", {})
    unplaced, disrupted = _condition(status, "PodScheduled", "False"), _condition(status, "DisruptionTarget", "True")
    state = _named(status.get("containerStatuses"), _MAIN).get("state", {})
    waiting, ended = _waiting(status), state.get("terminated", {})
    return StepPod(
        name=metadata["name"],
        workflow=labels.get(_WORKFLOW, ""),
        step=found[1].replace("-", "_"),
        is_driver=executor is None,
        task=_ATTEMPT.sub("", node),
        created=metadata.get("creationTimestamp", ""),
        phase=status.get("phase", ""),
        reason=status.get("reason") or "",
        message=status.get("message") or "",
        unplaced=unplaced.get("reason") or "",
        unplaced_message=unplaced.get("message") or "",
        disrupted=disrupted.get("reason") or "",
        disrupted_message=disrupted.get("message") or "",
        waiting=waiting.get("reason") or "",
        waiting_message=waiting.get("message") or "",
        ended=ended.get("reason") or "",
        exit_code=ended.get("exitCode", 0),
        last_words=(ended.get("message") or "").strip(),
        memory_limit=_memory_limit(pod),
    )


def _named(entries: list[Json] | None, name: str) -> Json:
    return next((entry for entry in entries or () if entry.get("name") == name), {})


def _condition(status: Json, kind: str, value: str) -> Json:
    """Return a condition, {} where it has another value or is not there."""
    found = (entry for entry in status.get("conditions") or () if (entry["type"], entry["status"]) == (kind, value))
    return next(found, {})


def _waiting(status: Json) -> Json:
    """Return why the first container that waits for more than its turn does not start."""
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or ():
            waiting = container.get("state", {}).get("waiting", {})
            if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
                return dict(waiting)
    return {}


def _memory_limit(pod: Json) -> str:
    container = _named(pod.get("spec", {}).get("containers"), _MAIN)
    return str(container.get("resources", {}).get("limits", {}).get("memory", ""))
