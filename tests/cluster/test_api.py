"""The Kubernetes API over HTTP, from a server on this machine that a kubeconfig names."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from embedtune.cluster import api
from embedtune.cluster.api import namespace_here, pods_of_run
from embedtune.errors import ClusterError
from embedtune.steps.explain_failure import ExplainFailureConfig, explain_failure
from tests.cluster.recorded import RUN, driver_pod, failed_pod

ROOT = Path(__file__).parents[2]
Answer = tuple[int, bytes]
FORBIDDEN = {
    "kind": "Status",
    "status": "Failure",
    "message": 'pods is forbidden: User "system:serviceaccount:team:default-editor" cannot list resource "pods" in API '
    'group "" in the namespace "team"',
    "reason": "Forbidden",
    "code": 403,
}


class Server:
    """Answers what a test says, and remembers what it was asked."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: list[tuple[str, dict[str, list[str]], str]] = []
        self.answer: Callable[[dict[str, list[str]]], Answer] = lambda _: (200, page())


def page(*pods: object, following: str = "") -> bytes:
    return json.dumps({"kind": "PodList", "metadata": {"continue": following}, "items": list(pods)}).encode()


def kubeconfig(path: Path, port: int, namespace: str = "team") -> Path:
    context = {"cluster": "here", "user": "me", **({"namespace": namespace} if namespace else {})}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "me", "user": {"token": "a-token"}}],
        "contexts": [{"name": "work", "context": context}],
        "current-context": "work",
    }
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            known.asked.append((parts.path, query, self.headers["Authorization"]))
            status, body = known.answer(query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        known = Server(http.server_port)
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", known.port)))
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield known
        http.shutdown()
        thread.join()


def test_the_pods_of_a_run_are_asked_for_page_by_page(server: Server) -> None:
    pages = {"": page(failed_pod("b", minute=20), following="p 2"), "p 2": page(failed_pod("a", minute=19))}
    server.answer = lambda query: (200, pages[query.get("continue", [""])[0]])
    assert [pod.step for pod in pods_of_run(RUN, "team")] == ["a", "b"]
    asked = {"labelSelector": [f"pipeline/runid={RUN}"], "limit": ["100"]}
    assert server.asked == [
        ("/api/v1/namespaces/team/pods", asked, "Bearer a-token"),
        ("/api/v1/namespaces/team/pods", {**asked, "continue": ["p 2"]}, "Bearer a-token"),
    ]


def test_the_role_of_the_manifests_allows_what_is_asked() -> None:
    role, _ = yaml.safe_load_all((ROOT / "manifests" / "base" / "pod-reader.yaml").read_text(encoding="utf-8"))
    (given,), (asked,) = role["rules"], api.ROLE_RULES
    assert (given["apiGroups"], given["resources"]) == (asked["apiGroups"], asked["resources"]) == ([""], ["pods"])
    assert given["verbs"] == asked["verbs"] == ["list"]


@pytest.mark.parametrize("namespace", ["team", ""])
def test_the_namespace_of_the_kubeconfig(namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", 1, namespace)))
    assert namespace_here() == (namespace if namespace else "default")


def test_in_a_pod_the_namespace_is_that_of_its_service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "namespace").write_text("team-b\n", encoding="utf-8")
    monkeypatch.setattr(api, "_NAMESPACE_FILE", tmp_path / "namespace")
    assert namespace_here() == "team-b"
    with pytest.raises(ClusterError, match="There is no Kubernetes cluster to ask"):
        pods_of_run(RUN, "team-b")  # the rest of the service account is not there


def test_no_rights(server: Server) -> None:
    server.answer = lambda _: (403, json.dumps(FORBIDDEN).encode())
    with pytest.raises(ClusterError) as caught:
        pods_of_run(RUN, "team")
    assert str(caught.value) == (
        f"The cluster does not allow listing the pods of the namespace team ({FORBIDDEN['message']}). Grant it with "
        "the Role and binding in manifests/base/pod-reader.yaml."
    )


def test_an_api_that_is_out_of_order(server: Server) -> None:
    server.answer = lambda _: (503, b"<html>apiserver not ready</html>")
    with pytest.raises(ClusterError, match=r"answers 503 to the question for the pods .* \(Service Unavailable\)"):
        pods_of_run(RUN, "team")


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"items": 3, "metadata": {}}', b'{"items": [{}], "metadata": {}}']
)
def test_what_is_no_kubernetes(body: bytes, server: Server) -> None:
    server.answer = lambda _: (200, body)
    with pytest.raises(ClusterError, match="answers with no list of pods"):
        pods_of_run(RUN, "team")


def test_an_api_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "config", port)))
    with pytest.raises(ClusterError, match=f"The Kubernetes API at http://127.0.0.1:{port} does not answer."):
        pods_of_run(RUN, "team")


def explained(folder: Path) -> str:
    page = explain_failure(ExplainFailureConfig(RUN), folder / "page.md", "FAILED")
    assert (folder / "page.md").read_text(encoding="utf-8") == page
    return page


def test_a_failed_run_is_explained(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDTUNE_KUBEFLOW_URL", "https://kf.example.org/pipeline/")
    server.answer = lambda _: (200, page(failed_pod(words="finetune failed: The loss is no number. Lower the rate.")))
    told = explained(tmp_path)
    assert told.startswith("# The run failed in finetune\n")
    assert "The loss is no number\\. Lower the rate\\." in told
    assert "kubectl --namespace team logs finetune-0-17" in told
    assert told.endswith(f"Run: [{RUN}](https://kf.example.org/pipeline/#/runs/details/{RUN})\n")


def test_a_lost_pod_is_explained(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: (200, page(driver_pod("finetune")))
    assert "**finetune has no pod any more\\.**" in explained(tmp_path)


def test_what_a_failed_step_says_comes_before_a_pod_that_is_lost(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: (200, page(failed_pod("ingest-csv", words="no"), driver_pod("finetune", minute=18)))
    assert explained(tmp_path).startswith("# The run failed in ingest\\_csv\n")


def test_no_rights_are_explained(server: Server, tmp_path: Path) -> None:
    server.answer = lambda _: (403, json.dumps(FORBIDDEN).encode())
    assert "Grant it with the Role and binding in manifests/base" in explained(tmp_path)
