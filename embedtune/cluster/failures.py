"""What became of a run's steps, told from their pods: which failed or wait, why, and what to do about it."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from embedtune.cluster.pods import StepPod

FAILED_WORDS = " failed: "
"""What stands between a step's name and the reason in the line that a failed step leaves."""
_KILLED = 137
_DISRUPTED = ("Terminated", "NodeShutdown", "Shutdown", "NodeLost", "Preempting")
"""Reasons of a pod whose node went away, or was needed for another pod."""
_GROUP = re.compile(r"root|(exit_handler|for_loop|condition|condition_branches)_\d+.*|iteration.*")
"""What Kubeflow prepares that is no step but holds steps."""
_TRAINS = ("finetune", "evaluate_retrieval")


class Cause(StrEnum):
    """Why a step did not come to its end, in words that hold nothing of a user's."""

    ERROR = "ended with an error that it explains"
    CRASH = "ended without saying why"
    MEMORY = "needed more memory than it may use"
    EVICTED = "was evicted from its node"
    DEADLINE = "ran longer than it may"
    NODE = "lost its node"
    WAITING = "waits for a node"
    IMAGE = "has no image to start from"
    SETUP = "could not be started"
    DRIVER = "was not started by Kubeflow"
    GONE = "has no pod any more"


@dataclass(frozen=True)
class Failure:
    """A step that failed or waits."""

    step: str
    cause: Cause
    reason: str
    """In a sentence or two; what the step itself said, where it said something."""
    advice: str
    """What to do about it; '' where the step's own words say so."""
    pod: str
    """Name of the last pod, '' where there is none."""
    attempts: int
    """Pods that were tried one after the other."""


def failures_of(pods: Iterable[StepPod]) -> tuple[Failure, ...]:
    """Return the steps that failed, or wait for what does not come, in the order in which their last pods were made.

    A step that failed and succeeded when it was tried again did not fail.

    Args:
        pods: Those of one run, the oldest first.
    """
    attempts: dict[str, list[StepPod]] = {}
    for pod in pods:
        attempts.setdefault(pod.task, []).append(pod)
    last = sorted(attempts.values(), key=lambda tried: tried[-1].created)
    return tuple(failure for tried in last if (failure := _failure(tried)) is not None)


def lost_step(pods: Iterable[StepPod]) -> Failure | None:
    """Return the step that Kubeflow prepared last, if no pod of it is there; None if there is one.

    So it is with a pod that is deleted, at the run's deadline or by a person, and with one that the cluster did not
    admit. A step that is taken from the cache has no pod either, so ask this only of a run that did not succeed, and
    whose pods say nothing else.

    Args:
        pods: Those of one run, the oldest first.
    """
    steps = [pod for pod in pods if not _GROUP.fullmatch(pod.step)]
    if not steps or not steps[-1].is_driver:
        return None
    pod = steps[-1]
    return Failure(
        pod.step,
        Cause.GONE,
        "Kubeflow prepared it, and its pod is gone, or never was there: the run met its deadline or was stopped while "
        "the step waited or ran, or the namespace did not admit the pod (a quota, Pod Security).",
        f"What Argo says of it: kubectl describe workflow {pod.workflow}.",
        "",
        0,
    )


def _failure(tried: Sequence[StepPod]) -> Failure | None:
    pod = tried[-1]
    if pod.phase == "Failed":
        cause, reason, advice = next(found for told in _ENDS if (found := told(pod)) is not None)
    elif pod.phase == "Pending" and (found := _waits(pod)) is not None:
        cause, reason, advice = found
    else:
        return None
    return Failure(pod.step, cause, reason, advice, pod.name, len(tried))


_Told = tuple[Cause, str, str]


def _evicted(pod: StepPod) -> _Told | None:
    if pod.reason != "Evicted":
        return None
    return (
        Cause.EVICTED,
        f"Its node was short of something, and the step was evicted: {_told(pod.message)}",
        f"{_more_memory(pod.step)} If it was ephemeral storage: give its nodes more disk, or use less data. An evicted "
        "pod comes back by itself only where the workflow controller's retry expression admits it (manifests: the "
        "component argo-retries).",
    )


def _too_long(pod: StepPod) -> _Told | None:
    if pod.reason != "DeadlineExceeded":
        return None
    words = f" It said last: {_own_words(pod)}" if pod.last_words else ""
    return (
        Cause.DEADLINE,
        f"It was stopped at its deadline: {_told(pod.message)}{words}",
        "Give it less to do (train_epochs, or rows by data_csv_options), a faster machine (gpu_count), or compile the "
        "pipeline with a longer deadline. Retry of this run goes on from the training's last checkpoint; a cloned run "
        "does not.",
    )


def _disrupted(pod: StepPod) -> _Told | None:
    if pod.reason not in _DISRUPTED and not pod.disrupted:
        return None
    told = pod.message if pod.message else pod.disrupted_message
    return (
        Cause.NODE,
        f"Its node was shut down or needed for another pod: {_told(told if told else pod.reason)}",
        "Retry the run: it goes on from the training's last checkpoint. On spot nodes let the workflow controller try "
        "such pods again by itself (manifests: the component argo-retries).",
    )


def _out_of_memory(pod: StepPod) -> _Told | None:
    if pod.ended != "OOMKilled":
        return None
    limit = f"its limit of {pod.memory_limit}" if pod.memory_limit else "what its node has"
    return Cause.MEMORY, f"It was killed (OOMKilled), for it needed more memory than {limit}.", _more_memory(pod.step)


def _explained(pod: StepPod) -> _Told | None:
    return (Cause.ERROR, _own_words(pod), "") if pod.last_words and not pod.is_driver else None


def _driver(pod: StepPod) -> _Told | None:
    if not pod.is_driver:
        return None
    words = f" and says: {_told(pod.last_words)}" if pod.last_words else f" with exit code {pod.exit_code}."
    return (
        Cause.DRIVER,
        f"The driver with which Kubeflow prepares the step failed{words}",
        "Its log says why. Often the object store or the API server of Kubeflow did not answer: retry the run.",
    )


def _not_admitted(pod: StepPod) -> _Told | None:
    if not pod.reason:
        return None
    return (
        Cause.SETUP,
        f"Its node did not take the pod ({pod.reason}): {_told(pod.message)}",
        "Retry the run; if it happens again, look at the node: kubectl describe node.",
    )


def _crashed(pod: StepPod) -> _Told:
    if pod.exit_code == _KILLED:
        return (
            Cause.CRASH,
            "It was killed from outside (exit code 137) without a word, as happens when a node runs out of memory.",
            _more_memory(pod.step),
        )
    if pod.exit_code == 0:
        return (
            Cause.CRASH,
            f"Its pod failed although the step did not: {_told(pod.message if pod.message else 'nothing says why')}",
            "Retry the run; what it had finished is taken from the cache.",
        )
    return (
        Cause.CRASH,
        f"It ended with exit code {pod.exit_code} and left no reason.",
        "Its log has the last lines. If they are Kubeflow's (launcher), an artifact could not be fetched or stored.",
    )


_ENDS: tuple[Callable[[StepPod], _Told | None], ...] = (
    _evicted,
    _too_long,
    _disrupted,
    _out_of_memory,
    _explained,
    _driver,
    _not_admitted,
    _crashed,
)
"""From what is certain to what is left: the first that knows tells."""


def _waits(pod: StepPod) -> _Told | None:
    """Return why a pod does not start, None for one that is about to."""
    if pod.waiting in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName"):
        return (
            Cause.IMAGE,
            f"Its image cannot be pulled ({pod.waiting}): {_told(pod.waiting_message)}",
            "Push the image, name it as the pipeline was compiled with it (--data-image, --train-image), and let the "
            "namespace's service account pull from that registry.",
        )
    if pod.waiting:
        return (
            Cause.SETUP,
            f"Its container cannot be made ({pod.waiting}): {_told(pod.waiting_message)}",
            "Correct what it names: kubectl describe pod.",
        )
    if not pod.unplaced:
        return None
    return (
        Cause.WAITING,
        f"No node takes it ({pod.unplaced}): {_told(_without_preemption(pod.unplaced_message))}",
        _place(pod.unplaced_message),
    )


def _place(message: str) -> str:
    """Return what to change so that a pod fits a node, by what the scheduler says."""
    lower = message.lower()
    advice = [
        text
        for sign, text in (
            ("gpu", "Lower gpu_count, or wait until GPUs are free."),
            ("insufficient cpu", "Lower train_cpu, or wait until nodes have less to do."),
            ("insufficient memory", "Lower train_memory, or wait until nodes have less to do."),
            ("taint", "Let gpu_tolerations tolerate the taints of the nodes that are meant."),
            ("gates", "It waits to be admitted, by Kueue for instance: kubectl get workloads."),
            ("selector", "Let gpu_node_selector name labels that a node has."),
        )
        if sign in lower
    ]
    return " ".join([*advice, "What nodes have free: kubectl describe nodes."])


def _without_preemption(message: str) -> str:
    """Return what the scheduler says of the nodes, without what it says of making room."""
    return message.partition(" preemption: ")[0].partition(" no new claims ")[0].strip()


def _more_memory(step: str) -> str:
    if step in _TRAINS:
        return "Raise train_memory, or lower train_batch_size or model_max_length."
    if step == "resolve_data":
        return "Build the evaluations of eval_options, which it reads, and name the 'evaluation' folder; or read less."
    return "Use the pipeline finetune-sharded, which reads each file in a task of its own, or read fewer rows."


def _own_words(pod: StepPod) -> str:
    """Return what the step said of its failure, without its name, which stands before it."""
    return _told(pod.last_words.removeprefix(f"{pod.step}{FAILED_WORDS}"))


def _told(words: str) -> str:
    """Return what another program says on one line, as a sentence."""
    line = " ".join(words.split())
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."
