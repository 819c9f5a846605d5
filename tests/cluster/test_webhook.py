"""A chat is told of a failed run, and no run fails for want of it."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from urllib3 import Timeout

from embedtune.cluster import webhook
from embedtune.cluster.explanation import Explanation
from embedtune.cluster.failures import failures_of
from embedtune.cluster.pods import step_pod
from embedtune.cluster.webhook import send
from tests.cluster.recorded import failed_pod

SECRET = "services/T0/B0/xyz"


@contextmanager
def answering(status: int, headers: dict[str, str] | None = None) -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Give the address of a server on this machine that answers so, and what it is sent."""
    got: list[tuple[str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/{SECRET}", got
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 204])
def test_a_message_that_is_taken(status: int) -> None:
    with answering(status) as (address, got):
        assert send(address, "A run failed: é") == ""
    assert [(path, json.loads(body)) for path, body in got] == [(f"/{SECRET}", {"text": "A run failed: é"})]


@pytest.mark.parametrize("status", [199 + 101, 302, 404, 500])
def test_a_server_that_does_not_take_it(status: int) -> None:
    with answering(status, {"Location": "http://127.0.0.1:9/elsewhere"}) as (address, got):
        told = send(address, "x")
    assert told == f"The server 127.0.0.1 of EMBEDTUNE_WEBHOOK_URL answers {status}. Check the address."
    assert len(got) == 1


def test_a_server_that_answers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "_TIMEOUT", Timeout(connect=0.5, read=0.2))
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = send(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}", "x")
    assert told == (
        "The server 127.0.0.1 of EMBEDTUNE_WEBHOOK_URL does not answer in time. Check the address, and what lies "
        "between."
    )


def test_a_server_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = send(f"http://127.0.0.1:{port}/{SECRET}", "x")
    assert told.startswith("The server 127.0.0.1 of EMBEDTUNE_WEBHOOK_URL cannot be reached.")
    assert SECRET not in told


def test_a_server_that_breaks_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            connection, _ = server.accept()
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        told = send(f"http://127.0.0.1:{server.getsockname()[1]}/{SECRET}", "x")
        thread.join()
    assert "cannot be reached" in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "address",
    [
        "http://hooks.example.org/x",
        "http://localhost.example.org/x",
        "http://svc/x",
        "ftp://127.0.0.1/x",
        "hooks.example.org/x",
        "https:///x",
        "https://[/x",
        "https://host:0/x",
        "https://host:99999/x",
        "https://höst/x",
        "https://host/x y\n",
    ],
)
def test_addresses_that_are_not_sent_to(address: str) -> None:
    told = send(address, "x")
    assert told.startswith("EMBEDTUNE_WEBHOOK_URL is no address that is sent to. Accepted: https://host/path;")
    assert "/x" not in told


@pytest.mark.parametrize("address", ["http://chat.team.svc:9/x", "http://chat.team.svc.cluster.local:9/x"])
def test_services_of_the_cluster_are_sent_to_without_tls(address: str) -> None:
    assert "cannot be reached" in send(address, "x")


def test_a_proxy_is_used_where_the_environment_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with answering(200) as (address, got):
        monkeypatch.setenv("http_proxy", address.removesuffix(f"/{SECRET}"))
        assert send("http://chat.team.svc/x", "x") == ""
        assert [path for path, _ in got] == ["http://chat.team.svc/x"]
        monkeypatch.setenv("no_proxy", ".svc")
        assert "cannot be reached" in send("http://chat.team.svc/x", "x")


def test_the_message_has_nothing_of_a_users() -> None:
    words = "ingest_csv failed: data_max_bad_share is 0.01, line 3 is 'Anna Smith, 42'."
    pods = [step_pod(failed_pod("ingest-csv", words=words)), step_pod(failed_pod("finetune", minute=18, words="x"))]
    explained = Explanation("1a", "team", failures_of(pods))
    assert explained.to_message() == (
        "embedtune: a run failed. ingest_csv ended with an error that it explains. finetune ended with an error that "
        "it explains. Run 1a."
    )
    link = Explanation("1a", "team", (), "no rights", link="https://kf.example.org/#/runs/details/1a")
    assert link.to_message() == "embedtune: a run failed. <https://kf.example.org/#/runs/details/1a|Open the run>"
