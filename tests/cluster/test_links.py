"""Links lead to pages that Kubeflow Pipelines 2.17 and MLflow 3 have; without an address there are none."""

import pytest

from embedtune.cluster.links import kubeflow_run, mlflow_file, mlflow_run, mlflow_version
from embedtune.registry.request import Registration
from embedtune.steps.register_model import registration_page

MADE = Registration(
    name="Büro 1/a",
    version=3,
    aliases=("challenger",),
    run_id="ab12",
    model_uri="models:/Büro 1/a/3",
    previous_champion=None,
    promoted=False,
    reason="It is not better.",
    champion=None,
)
HEAD = (
    "# Büro 1/a, version 3: not promoted\n\nIt is not better.\n\n- Champion: none\n- Aliases of version 3: challenger\n"
    "- Load it: `models:/Büro 1/a/3`\n- MLflow run: `ab12`\n"
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EMBEDTUNE_KUBEFLOW_URL", raising=False)
    monkeypatch.delenv("EMBEDTUNE_MLFLOW_URL", raising=False)


def test_without_addresses() -> None:
    assert (kubeflow_run("1"), mlflow_run("1"), mlflow_version("a", 1), mlflow_file("1", "x")) == ("", "", "", "")
    assert registration_page(MADE, "1a-2b") == HEAD


def test_with_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDTUNE_KUBEFLOW_URL", "https://kf.example.org/_/pipeline/")
    monkeypatch.setenv("EMBEDTUNE_MLFLOW_URL", " http://mlflow:5000 ")
    assert registration_page(MADE, "1a-2b") == HEAD + (
        "- [The version in MLflow](http://mlflow:5000/#/models/B%C3%BCro%201%2Fa/versions/3)\n"
        "- [Its run in MLflow](http://mlflow:5000/#/runs/ab12)\n"
        "- [The report](http://mlflow:5000/get-artifact?path=reports/report.html&run_uuid=ab12)\n"
        "- [The run in Kubeflow](https://kf.example.org/_/pipeline/#/runs/details/1a-2b)\n"
    )
    assert "Kubeflow" not in registration_page(MADE, "")


@pytest.mark.parametrize(
    "address", ["kf.example.org", "javascript:alert(1)", "https://a b", "https://a)b", "https://u:p@h"]
)
def test_an_address_that_is_none_gives_no_link_and_a_note(
    address: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EMBEDTUNE_KUBEFLOW_URL", address)
    assert kubeflow_run("1a") == ""
    assert capsys.readouterr().err == (
        "EMBEDTUNE_KUBEFLOW_URL is no address of the form https://host/path, so there is no link to it. Correct it.\n"
    )
