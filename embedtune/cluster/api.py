"""The API of the Kubernetes cluster that this process runs in, or that a person's kubeconfig names."""

import json
import os
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.cluster.pods import RUN_LABEL, StepPod, step_pod
from embedtune.errors import ClusterError
from embedtune.text import shortened

if TYPE_CHECKING:
    from kubernetes.client import ApiException, CoreV1Api

ROLE_RULES = ({"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},)
"""What a Role must allow the service account of a run, for its failure to be explained (manifests/base)."""

_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_PAGE = 100
_ANSWER = 300
_TIMEOUT_S = (3.0, 20.0)


def namespace_here() -> str:
    """Return the namespace of the pod that this runs in, or else the one that a person works in.

    Raises:
        ClusterError: this runs in no pod, and no kubeconfig names a cluster.
    """
    if _NAMESPACE_FILE.is_file():
        return _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    try:
        from kubernetes.config import ConfigException, list_kube_config_contexts
    except ModuleNotFoundError as error:
        raise ClusterError("The package kubernetes is not installed: pip install 'embedtune[data]'.") from error
    try:
        context = list_kube_config_contexts(_kubeconfig())[1]["context"]
    except ConfigException as error:
        raise _no_cluster() from error
    return str(context.get("namespace", "default"))


def pods_of_run(run_id: str, namespace: str) -> list[StepPod]:
    """Return the pods of a run's steps that are still there, the oldest first.

    Raises:
        ClusterError: the cluster cannot be reached, or does not allow it.
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    api = _core_api()
    try:
        found = list(_pages(api, namespace, f"{RUN_LABEL}={run_id}"))
    except ApiException as error:
        raise _refused(error, namespace) from error
    except HTTPError as error:
        raise ClusterError(
            f"The Kubernetes API at {api.api_client.configuration.host} does not answer. Check that pods of the "
            f"namespace {namespace} may reach it (NetworkPolicy, proxy settings)."
        ) from error
    return sorted(found, key=lambda pod: pod.created)


def _core_api() -> "CoreV1Api":
    from kubernetes import client, config

    settings = client.Configuration()
    try:
        if _NAMESPACE_FILE.is_file():
            config.load_incluster_config(client_configuration=settings)
        else:
            config.load_kube_config(_kubeconfig(), client_configuration=settings)
    except config.ConfigException as error:
        raise _no_cluster() from error
    return client.CoreV1Api(client.ApiClient(settings))


def _kubeconfig() -> str | None:
    """Return the kubeconfig that the environment names; the client would read that only when it is imported."""
    return os.environ.get("KUBECONFIG") or None


def _pages(api: "CoreV1Api", namespace: str, selector: str) -> Iterator[StepPod]:
    """Give the pods page by page: those of a run over many files are many, and large."""
    from_here: dict[str, str] = {}
    while True:
        response = api.list_namespaced_pod(
            namespace,
            label_selector=selector,
            limit=_PAGE,
            **from_here,
            _request_timeout=_TIMEOUT_S,
            _preload_content=False,
        )
        try:
            page = json.loads(response.data)
            found, following = list(map(step_pod, page["items"])), page["metadata"].get("continue")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            where = api.api_client.configuration.host
            raise ClusterError(f"{where} answers with no list of pods. Is it the Kubernetes API?") from error
        yield from filter(None, found)
        if not following:
            return
        from_here = {"_continue": following}


def _refused(error: "ApiException", namespace: str) -> ClusterError:
    answer = shortened(" ".join(_message(error).split()), _ANSWER)
    if error.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return ClusterError(
            f"The cluster does not allow listing the pods of the namespace {namespace} ({answer}). Grant it with the "
            "Role and binding in manifests/base/pod-reader.yaml."
        )
    return ClusterError(
        f"The Kubernetes API answers {error.status} to the question for the pods of the namespace {namespace} "
        f"({answer}). Try again later: embedtune explain-failure."
    )


def _message(error: "ApiException") -> str:
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, TypeError, KeyError):
        return str(error.reason)


def _no_cluster() -> ClusterError:
    return ClusterError(
        "There is no Kubernetes cluster to ask: this runs in no pod with a service account, and there is no "
        "kubeconfig. Set KUBECONFIG."
    )
