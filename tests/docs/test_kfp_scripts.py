"""The scripts of docs/cluster.md, run against a server that answers as Kubeflow Pipelines 2.17 does."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.compiling import PIPELINES, parameters_of
from tests.docs.pages import ROOT, files
from tests.serving import serving

SCRIPTS = {name: text for name, text in files(ROOT / "docs/cluster.md").items() if name.endswith(".py")}
LINES = 15
API = "/apis/v2beta1"
EXPERIMENT, PIPELINE, VERSION, RUN = (f"{number:08d}-0000-0000-0000-000000000000" for number in range(4))
WHEN = "2026-11-21T06:14:23Z"


@dataclass
class Kubeflow:
    """What was asked of the server, and which answers it has."""

    url: str = ""
    posted: dict[str, dict] = field(default_factory=dict)
    """Path to body, where the body is JSON."""
    uploaded: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str) -> dict | None:
        pipeline = {"pipeline_id": PIPELINE, "display_name": "embedtune-finetune", "name": "x", "created_at": WHEN}
        version = {"pipeline_id": PIPELINE, "pipeline_version_id": VERSION, "display_name": "v2", "created_at": WHEN}
        experiment = {"experiment_id": EXPERIMENT, "display_name": "support-search", "created_at": WHEN}
        answers = {
            f"GET {API}/healthz": {"multi_user": False},
            f"GET {API}/pipelines": {"pipelines": [pipeline], "total_size": 1},
            f"GET {API}/pipelines/{PIPELINE}": pipeline,
            f"GET {API}/pipelines/{PIPELINE}/versions": {"pipeline_versions": [version], "total_size": 1},
            f"GET {API}/experiments": {"experiments": [experiment], "total_size": 1},
            f"GET {API}/experiments/{EXPERIMENT}": experiment,
            f"POST {API}/experiments": experiment,
            f"POST {API}/pipelines/upload_version": version,
            f"POST {API}/runs": {"run_id": RUN, "experiment_id": EXPERIMENT, "state": "PENDING", "created_at": WHEN},
            f"GET {API}/runs/{RUN}": {"run_id": RUN, "experiment_id": EXPERIMENT, "state": "SUCCEEDED"},
            f"POST {API}/recurringruns": {"recurring_run_id": RUN, "status": "ENABLED", "created_at": WHEN},
        }
        return answers.get(f"{method} {path}")


@pytest.fixture
def kubeflow() -> Iterator[Kubeflow]:
    state = Kubeflow()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.answer("GET")

        def do_POST(self):
            self.answer("POST")

        def answer(self, method):
            address = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Type") == "application/json" and body:
                state.posted[address.path] = json.loads(body)
            elif body:
                state.uploaded.append(address.path)
            found = state.answer(method, address.path)
            if found is None:
                state.unknown.append(f"{method} {self.path}")
            content = json.dumps(found if found is not None else {"error": "unknown"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as state.url:
        yield state


def run(name: str, kubeflow: Kubeflow, folder: Path) -> str:
    text = SCRIPTS[name]
    assert "http://localhost:8888" in text
    (folder / name).write_text(text.replace("http://localhost:8888", kubeflow.url), encoding="utf-8")
    (folder / "finetune.yaml").write_bytes((ROOT / "tests/pipelines/golden/finetune.yaml").read_bytes())
    done = subprocess.run([sys.executable, name], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert kubeflow.unknown == []
    return done.stdout


def accepted() -> dict[str, str]:
    return {parameter.name: parameter.type for parameter in parameters_of(PIPELINES["finetune"])}


def test_the_scripts_are_these() -> None:
    assert sorted(SCRIPTS) == ["nightly.py", "submit.py", "submit_by_name.py"]
    for name, text in SCRIPTS.items():
        code = [line for line in text.splitlines() if line and not line.startswith(("#", "import", "from"))]
        assert len(code) <= LINES, name


def test_a_schedule_follows_the_latest_version(kubeflow: Kubeflow, tmp_path: Path) -> None:
    assert run("nightly.py", kubeflow, tmp_path).splitlines()[-1] == "ENABLED"
    asked = kubeflow.posted[f"{API}/recurringruns"]
    assert asked["pipeline_version_reference"] == {"pipeline_id": PIPELINE}
    assert asked["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert (asked["mode"], asked["max_concurrency"], asked["no_catchup"]) == ("ENABLE", "1", True)
    assert asked["experiment_id"] == EXPERIMENT
    assert set(asked["runtime_config"]["parameters"]) <= set(accepted())


@pytest.mark.parametrize("name", ["submit.py", "submit_by_name.py"])
def test_a_run_is_started_and_waited_for(name: str, kubeflow: Kubeflow, tmp_path: Path) -> None:
    assert run(name, kubeflow, tmp_path).splitlines()[-1].split() == [RUN, "SUCCEEDED"]
    asked = kubeflow.posted[f"{API}/runs"]
    assert asked["experiment_id"] == EXPERIMENT
    assert asked["pipeline_version_reference"] == {"pipeline_id": PIPELINE, "pipeline_version_id": VERSION}
    parameters = asked["runtime_config"]["parameters"]
    assert parameters["data_uri"] == "dataset://shared/tickets"
    assert set(parameters) <= set(accepted())


def test_a_version_is_uploaded_by_name(kubeflow: Kubeflow, tmp_path: Path) -> None:
    run("submit_by_name.py", kubeflow, tmp_path)
    assert kubeflow.uploaded == [f"{API}/pipelines/upload_version"]
