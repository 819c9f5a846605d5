"""The last task of a run on a cluster."""

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
