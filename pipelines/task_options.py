"""What every task of every pipeline needs from the cluster, written once."""

from dataclasses import dataclass

from kfp import kubernetes
from kfp.dsl import PipelineTask

from embedtune.steps.surroundings import MLFLOW_FOLDER, SETTINGS_FOLDER

STORE_SECRET = "mlpipeline-minio-artifact"  # noqa: S105 - the name of a secret, which Kubeflow itself creates
STORE_KEYS = {"accesskey": "MINIO_ACCESS_KEY", "secretkey": "MINIO_SECRET_KEY"}
"""Kubeflow's own store, minio://. A step's environment is its launcher's too, which takes AWS_* for the keys of s3://."""
S3_SECRET = "embedtune-s3"  # noqa: S105 - the name of a secret
S3_KEYS = {name: name for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")}
"""The user's store, s3://."""
SETTINGS_CONFIG_MAP = "embedtune"
SETTINGS = {
    "minio_endpoint": "MINIO_ENDPOINT",
    "s3_endpoint": "AWS_ENDPOINT_URL_S3",
    "s3_region": "AWS_REGION",
    "mlflow_tracking_uri": "MLFLOW_TRACKING_URI",
    "mlflow_url": "EMBEDTUNE_MLFLOW_URL",
    "kubeflow_url": "EMBEDTUNE_KUBEFLOW_URL",
    "hf_hub_offline": "HF_HUB_OFFLINE",
    "hf_endpoint": "HF_ENDPOINT",
    "allowed_hosts": "EMBEDTUNE_ALLOWED_HOSTS",
    "allowed_buckets": "EMBEDTUNE_ALLOWED_BUCKETS",
    "datasets": "EMBEDTUNE_DATASETS",
    "user": "EMBEDTUNE_USER",
    "http_proxy": "EMBEDTUNE_HTTP_PROXY",
    "https_proxy": "EMBEDTUNE_HTTPS_PROXY",
    "no_proxy": "EMBEDTUNE_NO_PROXY",
}
"""Keys of the config map and the environment variables they become; a key or map that is not there is skipped. The key
`ca.crt` is read as a file."""
MLFLOW_SECRET = "embedtune-mlflow"  # noqa: S105 - the name of a secret
MLFLOW_KEYS = {
    "username": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
    "token": "MLFLOW_TRACKING_TOKEN",
}
"""User and password, or a token; the key `ca.crt` is read as a file."""
HUB_SECRET = "embedtune-hf"  # noqa: S105 - the name of a secret
HUB_KEYS = {"HF_TOKEN": "HF_TOKEN"}
WEBHOOK_SECRET = "embedtune-webhook"  # noqa: S105 - the name of a secret
WEBHOOK_KEYS = {"url": "EMBEDTUNE_WEBHOOK_URL"}

_HOUR = 3600


@dataclass(frozen=True)
class TaskSize:
    """What a task asks of its node, and how long it may run.

    A namespace with a quota refuses pods without these, and one with a LimitRange kills them at its own: an OOM kill is
    never retried, so memory is asked for whole.
    """

    cpu_request: str
    cpu_limit: str
    memory: str
    """Request and limit."""
    timeout_s: int
    """Seconds that its pod may run; they do not count while it waits for a node."""


SMALL = TaskSize("250m", "1", "1Gi", 2 * _HOUR)
"""Tasks that look up, list and register. On examples/ resolve-data peaks at 89 MiB and register-model, which holds no
model in memory, at 243 MiB."""

DATA = TaskSize("500m", "2", "4Gi", 12 * _HOUR)
"""Tasks that read and build. `python -m benchmarks.documents` peaks at 0.7 GiB for a million labelled rows and 1.0 GiB
for as many pairs, and memory grows with their number; images and meshes come and go (`python -m benchmarks.images`)."""

_SHARED_MEMORY = "1Gi"

_RETRIES = 3
_WAIT_S = 24 * _HOUR
"""Seconds that an attempt may wait for its node and still be retried. What kfp calls the largest backoff is Argo's
maxDuration, which counts from the start of the first attempt: after it nothing is retried, and what runs is stopped.
https://argo-workflows.readthedocs.io/en/latest/fields/#backoff"""


def train_size(cpu: str, memory: str) -> TaskSize:
    """Return the size of a task that runs a model.

    On examples/ finetune peaks at 1.6 GiB and evaluate-retrieval at 0.8 GiB with the default backbone of 23 million
    parameters; with one of 110 million, batches of 64 and 128 tokens, training on the CPU peaks at 7.4 GiB. A training
    that is stopped goes on from its last checkpoint when the run is retried.

    Args:
        cpu: Parameter of the pipeline that is an argument of a component as well: one that is nothing but a resource,
            kfp 2.17 does not hand to the tasks of an exit handler, and the run ends in the task's driver.
        memory: The same.
    """
    return TaskSize(cpu, cpu, memory, 72 * _HOUR)


def confined(task: PipelineTask, size: TaskSize) -> PipelineTask:
    """Run a task as non-root, within its size, with the settings of the cluster, and again when its node goes away.

    Kubeflow sets all of Pod Security "restricted" but runAsNonRoot. The image names the user: OpenShift refuses a task
    that names one outside its namespace's range. On a stock install retries are for lost pods only; what a step can
    survive it retries itself.
    """
    kubernetes.set_security_context(task, run_as_non_root=True)
    kubernetes.use_config_map_as_env(task, SETTINGS_CONFIG_MAP, SETTINGS, optional=True)
    kubernetes.use_config_map_as_volume(task, SETTINGS_CONFIG_MAP, str(SETTINGS_FOLDER), optional=True)
    kubernetes.set_timeout(task, size.timeout_s)
    task.set_cpu_request(size.cpu_request).set_cpu_limit(size.cpu_limit)
    task.set_memory_request(size.memory).set_memory_limit(size.memory)
    window_s = (_RETRIES + 1) * (size.timeout_s + _WAIT_S)
    return task.set_retry(_RETRIES, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration=f"{window_s}s")


def on_cluster(task: PipelineTask, size: TaskSize) -> PipelineTask:
    """Run a task as `confined` says, with the credentials of the stores."""
    kubernetes.use_secret_as_env(task, STORE_SECRET, STORE_KEYS, optional=True)
    kubernetes.use_secret_as_env(task, S3_SECRET, S3_KEYS, optional=True)
    return confined(task, size)


def with_webhook(task: PipelineTask) -> PipelineTask:
    """Hand a task the address of a chat's webhook, if there is one."""
    return kubernetes.use_secret_as_env(task, WEBHOOK_SECRET, WEBHOOK_KEYS, optional=True)


def with_mlflow(task: PipelineTask) -> PipelineTask:
    """Hand a task the credentials of the MLflow server and its authority, if there are any."""
    kubernetes.use_secret_as_env(task, MLFLOW_SECRET, MLFLOW_KEYS, optional=True)
    return kubernetes.use_secret_as_volume(task, MLFLOW_SECRET, str(MLFLOW_FOLDER), optional=True)


def with_hub(task: PipelineTask) -> PipelineTask:
    """Hand a task the token for Hugging Face, if there is one."""
    return kubernetes.use_secret_as_env(task, HUB_SECRET, HUB_KEYS, optional=True)


def on_gpu(
    task: PipelineTask, gpu_type: str, gpu_count: str, node_selector: dict[str, str], tolerations: list[dict[str, str]]
) -> PipelineTask:
    """Run a task on a GPU node, or anywhere where the count is '0'.

    The count must be a string: kfp 2.17's driver reads a number as '' and silently drops the GPU. PyTorch's processes
    exchange gradients through /dev/shm, which is 64 MiB in a pod unless memory is mounted there.
    """
    task.set_accelerator_type(gpu_type).set_accelerator_limit(gpu_count)
    kubernetes.add_node_selector_json(task, node_selector)
    kubernetes.add_toleration_json(task, tolerations)
    return kubernetes.empty_dir_mount(task, "dshm", "/dev/shm", medium="Memory", size_limit=_SHARED_MEMORY)  # noqa: S108
