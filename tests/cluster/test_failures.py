"""From the pods of a run to what a person is told."""

import json

import pytest

from embedtune.cluster.explanation import Explanation
from embedtune.cluster.failures import Cause, Failure, failures_of, lost_step
from embedtune.cluster.pods import step_pod
from tests.cluster.recorded import (
    RECORDINGS,
    Pod,
    driver_pod,
    failed_pod,
    pending_pod,
    succeeded_pod,
    terminated_in,
)

RUN_ID = "1a"
recorded = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the recordings of a cluster are not here")


def read(*pods: Pod):
    return sorted(filter(None, map(step_pod, pods)), key=lambda pod: pod.created)


def only(*pods: Pod) -> Failure:
    (failure,) = failures_of(read(*pods))
    return failure


def pods_of(name: str):
    return read(*json.loads((RECORDINGS / name).read_text(encoding="utf-8"))["items"])


@recorded
def test_a_recorded_failure_without_words() -> None:
    (failure,) = failures_of(pods_of("pods-failed.json"))
    assert (failure.step, failure.cause, failure.attempts) == ("finetune", Cause.CRASH, 1)
    assert failure.pod == "finetune-zpkmz-retry-system-container-impl-3261509033"
    assert failure.reason == "It ended with exit code 1 and left no reason."


@recorded
def test_a_recorded_wait_for_gpus() -> None:
    (failure,) = failures_of(pods_of("pods-waiting-for-gpu.json"))
    assert (failure.step, failure.cause) == ("finetune", Cause.WAITING)
    assert failure.reason == (
        "No node takes it (Unschedulable): 0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    )
    assert failure.advice == (
        "Lower gpu_count, or wait until GPUs are free. What nodes have free: kubectl describe nodes."
    )


@recorded
@pytest.mark.parametrize("name", ["pods-succeeded.json", "pods-running.json"])
def test_recorded_runs_that_did_not_fail(name: str) -> None:
    assert failures_of(pods_of(name)) == ()


@recorded
def test_the_recorded_exit_tasks_are_no_steps() -> None:
    assert {pod.step for pod in pods_of("pods-failed.json")} == {
        "root",
        "exit_handler_1",
        "resolve_data",
        "ingest_csv",
        "build_documents",
        "finetune",
    }


def test_the_steps_own_words_are_the_reason() -> None:
    failure = only(failed_pod("build-documents", words="build_documents failed: Too many bad rows. Look at them.\n"))
    assert step_pod(failed_pod(words=" no\n")).last_words == "no"
    assert failure == Failure(
        "build_documents", Cause.ERROR, "Too many bad rows. Look at them.", "", "build-documents-0-17", 1
    )


def test_memory() -> None:
    pod = failed_pod()
    terminated_in(pod).update(exitCode=137, reason="OOMKilled")
    failure = only(pod)
    assert failure.cause == Cause.MEMORY
    assert failure.reason == "It was killed (OOMKilled), for it needed more memory than its limit of 4Gi."
    assert failure.advice == "Raise train_memory, or lower train_batch_size or model_max_length."
    pod = failed_pod("ingest-csv")
    terminated_in(pod).update(exitCode=137, reason="OOMKilled")
    del pod["spec"]["containers"][1]["resources"]["limits"]
    failure = only(pod)
    assert failure.reason == "It was killed (OOMKilled), for it needed more memory than what its node has."
    assert "finetune-sharded" in failure.advice
    pod = failed_pod("resolve-data")
    terminated_in(pod).update(exitCode=137, reason="OOMKilled")
    assert only(pod).advice.startswith("Build the evaluations of eval_options, which it reads, and name")


def test_memory_is_told_of_a_launcher_that_outlived_its_child() -> None:
    """The launcher is the container's first process: it may end with 1 after the kernel killed what it started."""
    pod = failed_pod()
    terminated_in(pod).update(exitCode=1, reason="OOMKilled")
    assert only(pod).cause == Cause.MEMORY


def test_memory_comes_before_what_the_step_said_of_what_was_killed() -> None:
    pod = failed_pod(words="finetune failed: A worker was killed.")
    terminated_in(pod)["reason"] = "OOMKilled"
    assert only(pod).cause == Cause.MEMORY


def test_killed_from_outside() -> None:
    pod = failed_pod()
    terminated_in(pod).update(exitCode=137)
    failure = only(pod)
    assert failure.cause == Cause.CRASH
    assert failure.reason.startswith("It was killed from outside (exit code 137) without a word")
    assert failure.advice.startswith("Raise train_memory")


def test_eviction() -> None:
    pod = failed_pod()
    pod["status"] = {
        "phase": "Failed",
        "reason": "Evicted",
        "message": "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi, available: 900Mi. ",
    }
    failure = only(pod)
    assert failure.cause == Cause.EVICTED
    assert failure.reason == (
        "Its node was short of something, and the step was evicted: The node was low on resource: ephemeral-storage. "
        "Threshold quantity: 1Gi, available: 900Mi."
    )
    assert "argo-retries" in failure.advice
    assert "disk" in failure.advice


def test_deadline_with_what_the_step_said_when_it_was_told_to_stop() -> None:
    pod = failed_pod(words="finetune failed: It was told to stop (SIGTERM).")
    pod["status"].update(
        reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline"
    )
    failure = only(pod)
    assert failure.cause == Cause.DEADLINE
    assert failure.reason == (
        "It was stopped at its deadline: Pod was active on the node longer than the specified deadline. It said last: "
        "It was told to stop (SIGTERM)."
    )
    assert "longer deadline" in failure.advice
    del terminated_in(pod)["message"]
    assert only(pod).reason.endswith("the specified deadline.")


@pytest.mark.parametrize(
    "change",
    [
        {"reason": "Terminated", "message": "Pod was terminated in response to imminent node shutdown."},
        {"reason": "NodeLost", "message": "Node n1 which was running pod p is unresponsive"},
        {
            "conditions": [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "PreemptionByScheduler",
                    "message": "default-scheduler: preempting to accommodate a higher priority pod",
                }
            ]
        },
    ],
)
def test_a_lost_node(change: dict[str, object]) -> None:
    pod = failed_pod()
    pod["status"].update(change)
    failure = only(pod)
    assert failure.cause == Cause.NODE
    assert str(change.get("message", "preempting to accommodate")).rstrip(".") in failure.reason
    assert failure.advice.startswith("Retry the run: it goes on from the training's last checkpoint.")


@pytest.mark.parametrize(
    "condition", [{"type": "DisruptionTarget", "status": "False"}, {"type": "PodScheduled", "status": "False"}]
)
def test_a_node_that_was_not_lost(condition: dict[str, str]) -> None:
    pod = failed_pod(words="no")
    pod["status"]["conditions"] = [{**condition, "reason": "Why", "message": "it says"}]
    assert only(pod).cause == Cause.ERROR


def test_a_pod_that_has_its_node_waits_for_none() -> None:
    pod = pending_pod()
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "True", "reason": "Ok", "message": "it has one"}]
    assert failures_of(read(pod)) == ()


def test_what_the_node_does_not_take() -> None:
    pod = failed_pod()
    pod["status"] = {"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}
    failure = only(pod)
    assert failure.cause == Cause.SETUP
    assert failure.reason == "Its node did not take the pod (OutOfcpu): Node didn't have enough resource: cpu."


def test_a_pod_that_failed_beside_its_step() -> None:
    pod = failed_pod()
    terminated_in(pod).update(exitCode=0, reason="Completed")
    assert only(pod).reason == "Its pod failed although the step did not: nothing says why."


def test_kubeflows_driver() -> None:
    pod = driver_pod(phase="Failed")
    terminated_in(pod).update(exitCode=1, reason="Error", message="KFP driver: no such bucket")
    failure = only(pod)
    assert (failure.step, failure.cause) == ("finetune", Cause.DRIVER)
    assert (
        failure.reason
        == "The driver with which Kubeflow prepares the step failed and says: KFP driver: no such bucket."
    )
    del terminated_in(pod)["message"]
    assert only(pod).reason.endswith("failed with exit code 1.")


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("0/3 nodes are available: 3 Insufficient cpu.", "Lower train_cpu"),
        ("0/3 nodes are available: 3 Insufficient memory.", "Lower train_memory"),
        ("0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}.", "gpu_tolerations"),
        ("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.", "gpu_node_selector"),
        ("Scheduling is blocked due to non-empty scheduling gates.", "Kueue"),
        ("0/3 nodes are available: 1 Insufficient amd.com/gpu, 2 Insufficient cpu.", "are free. Lower train_cpu"),
    ],
)
def test_what_to_change_so_that_a_node_takes_it(message: str, advice: str) -> None:
    pod = pending_pod()
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    ]
    failure = only(pod)
    assert failure.cause == Cause.WAITING
    assert failure.reason == f"No node takes it (Unschedulable): {message}"
    assert advice in failure.advice


def test_what_the_scheduler_says_of_preemption_is_left_out() -> None:
    pod = pending_pod()
    message = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 is not helpful."
    pod["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    ]
    assert only(pod).reason == "No node takes it (Unschedulable): 0/1 nodes are available: 1 Insufficient cpu."


@pytest.mark.parametrize(
    ("kind", "reason", "cause"),
    [
        ("containerStatuses", "ImagePullBackOff", Cause.IMAGE),
        ("containerStatuses", "ErrImagePull", Cause.IMAGE),
        ("initContainerStatuses", "ImagePullBackOff", Cause.IMAGE),
        ("containerStatuses", "CreateContainerConfigError", Cause.SETUP),
    ],
)
def test_what_does_not_start(kind: str, reason: str, cause: Cause) -> None:
    pod = pending_pod()
    waiting = {"reason": reason, "message": "it says why"}
    pod["status"][kind] = [{"name": "main", "state": {"waiting": waiting}}]
    failure = only(pod)
    assert failure.cause == cause
    assert f"({reason}): it says why." in failure.reason


@pytest.mark.parametrize("reason", ["PodInitializing", "ContainerCreating"])
def test_what_is_about_to_start_did_not_fail(reason: str) -> None:
    pod = pending_pod()
    pod["status"]["containerStatuses"] = [{"name": "main", "state": {"waiting": {"reason": reason}}}]
    assert failures_of(read(pod)) == ()


def test_a_step_that_was_tried_again_with_success_did_not_fail() -> None:
    assert failures_of(read(failed_pod(attempt=0), succeeded_pod(attempt=1, minute=18))) == ()


def test_attempts_of_one_step_are_one_failure() -> None:
    failure = only(failed_pod(attempt=1, minute=18, words="finetune failed: second."), failed_pod(words="first"))
    assert (failure.reason, failure.attempts, failure.pod) == ("second.", 2, "finetune-1-18")


def test_the_items_of_a_loop_fail_each_for_itself() -> None:
    """Argo numbers the items of a loop `(0:value)`, and attempts `(0)`."""
    pods = []
    for item, attempt in ((0, 0), (0, 1), (1, 0)):
        pods.append(failed_pod("ingest-csv", attempt, minute=20 + item + attempt, words="no"))
        pods[-1]["metadata"]["annotations"]["workflows.argoproj.io/node-name"] = (
            f"w(0).root(0).exit-handler-1(0).for-loop-2(0).iterations({item}:{item})(0).ingest-csv(0).executor({attempt})"
        )
    assert sorted(failure.attempts for failure in failures_of(read(*pods))) == [1, 2]


def test_failures_of_several_steps_come_in_their_order() -> None:
    steps = [failure.step for failure in failures_of(read(failed_pod("b", minute=20), failed_pod("a", minute=19)))]
    assert steps == ["a", "b"]


def test_a_step_whose_pod_is_gone() -> None:
    pods = read(driver_pod("root", 14), driver_pod("exit-handler-1", 15), driver_pod("finetune", 16))
    lost = lost_step(pods)
    assert (lost.step, lost.cause, lost.pod) == ("finetune", Cause.GONE, "")
    assert lost.advice == "What Argo says of it: kubectl describe workflow finetune-zpkmz."
    assert lost_step(read(*[driver_pod("root", 14), driver_pod("for-loop-2", 15)])) is None
    assert lost_step(read(driver_pod("finetune", 16), succeeded_pod("finetune", minute=17))) is None
    assert lost_step([]) is None


def test_the_page() -> None:
    failures = failures_of(read(failed_pod(attempt=1, words="finetune failed: The loss is NaN_1. Lower it.")))
    page = Explanation(RUN_ID, "team", failures, link="https://kf.example.org/#/runs/details/1").to_markdown()
    assert page == (
        "# The run failed in finetune\n\n"
        "**finetune ended with an error that it explains\\.**\n\n"
        "The loss is NaN\\_1\\. Lower it\\.\n\n"
        "- Pod: `finetune-1-17`\n"
        "- Its log: `kubectl --namespace team logs finetune-1-17 --container main`, or in Kubeflow the step's tab "
        "Logs\n\n"
        "Run: [1a](https://kf.example.org/#/runs/details/1)\n"
    )


def test_the_page_of_many_failures_tells_ten() -> None:
    pods = [failed_pod(f"s{number}", minute=20 + number, words="no") for number in range(12)]
    page = Explanation(RUN_ID, "team", failures_of(read(*pods))).to_markdown()
    assert page.startswith("# The run failed in s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10 and s11\n")
    assert page.count("\n## ") == 10
    assert page.endswith("2 more failed.\n\nRun: `1a`\n")


def test_the_page_says_what_could_not_be_seen() -> None:
    page = Explanation(RUN_ID, "", (), "The cluster does not allow it.").to_markdown()
    assert page == "# The run failed\n\nThe cluster does not allow it\\.\n\nRun: `1a`\n"
    assert "No pod of it says why" in Explanation(RUN_ID, "team", ()).to_markdown()
