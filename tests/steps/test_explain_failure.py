"""The last task of a run on a cluster."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from embedtune.errors import ConfigError
from embedtune.steps.explain_failure import ExplainFailureConfig, explain_failure


def test_a_run_that_succeeded_is_told_in_two_lines_without_asking_anybody(tmp_path: Path) -> None:
    page = explain_failure(ExplainFailureConfig("028a0a7f"), tmp_path / "page.md", "SUCCEEDED")
    assert page == "# The run succeeded\n\nThere is nothing to explain.\n"
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page


def test_without_a_cluster_it_says_so_and_does_not_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    page = explain_failure(ExplainFailureConfig("028a0a7f"), tmp_path / "page.md", "FAILED")
    assert page.startswith("# The run failed\n\nThere is no Kubernetes cluster to ask\\: this runs in no pod")
    assert page.endswith("Run: `028a0a7f`\n")


@pytest.mark.parametrize("run_id", ["", "a b", "a,b=c", "x" * 64])
def test_what_is_no_run(run_id: str) -> None:
    with pytest.raises(ConfigError, match="accepted: the id of a run in Kubeflow"):
        ExplainFailureConfig(run_id)


@pytest.fixture
def chat(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """What a webhook on this machine is sent; it answers 500."""
    sent: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_error(500)

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setenv("EMBEDTUNE_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/secret\n")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield sent
        server.shutdown()
        thread.join()


def test_a_chat_that_is_not_told_fails_no_run(
    chat: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    page = explain_failure(ExplainFailureConfig("028a0a7f"), tmp_path / "page.md", "FAILED")
    assert [json.loads(body) for body in chat] == [{"text": "embedtune: a run failed. Run 028a0a7f."}]
    told = "The server 127.0.0.1 of EMBEDTUNE_WEBHOOK_URL answers 500. Check the address."
    assert capsys.readouterr().err == f"{told}\n"
    assert "The chat was not told: The server 127\\.0\\.0\\.1 of EMBEDTUNE\\_WEBHOOK\\_URL answers 500" in page
    assert "secret" not in page


def test_a_chat_is_told_nothing_of_a_run_that_succeeded(chat: list[bytes], tmp_path: Path) -> None:
    explain_failure(ExplainFailureConfig("028a0a7f"), tmp_path / "page.md", "SUCCEEDED")
    assert chat == []
