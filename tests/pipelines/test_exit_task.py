"""The exit task as kfp runs it: after a failure, told how the others ended, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PIPELINE = """
import sys
from kfp import dsl, local
from components.explain_failure.component import explain_failure
from components.list_sources.component import list_sources

@dsl.pipeline(name="small")
def small(uri: str):
    with dsl.ExitHandler(explain_failure(run_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER)):
        list_sources(uri=uri, version="")

if __name__ == "__main__":
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=sys.argv[1], raise_on_error=False)
    small(uri=sys.argv[2])
"""


@pytest.fixture
def run(tmp_path: Path):
    """Run the pipeline on a file, and return the page of its exit task and what was printed."""
    script = tmp_path / "small.py"
    script.write_text(PIPELINE, encoding="utf-8")

    def start(uri: Path) -> tuple[str, str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": str(tmp_path / "none")}
        done = subprocess.run(
            [sys.executable, script, tmp_path / "root", uri],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        (page,) = (tmp_path / "root").rglob("explanation")
        return page.read_text(encoding="utf-8"), done.stdout + done.stderr

    return start


def test_after_a_failure(run, tmp_path: Path) -> None:
    page, log = run(tmp_path / "none.csv")
    assert page.startswith("# The run failed\n\nThere is no Kubernetes cluster to ask\\:")
    assert f"list_sources failed: {tmp_path / 'none.csv'} does not exist" in log
    assert "explain_failure failed" not in log


def test_after_a_success(run, tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("text,label\na,b\n", encoding="utf-8")
    page, log = run(tmp_path / "data.csv")
    assert page == "# The run succeeded\n\nThere is nothing to explain.\n"
    assert "failed:" not in log
