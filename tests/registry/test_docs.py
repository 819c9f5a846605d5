"""The lines of docs/registry.md do what it says."""

import dataclasses
import re
from pathlib import Path

from mlflow import MlflowClient

from embedtune.registry.register import register_model
from tests.comparisons import COST

PAGE = (Path(__file__).parents[2] / "docs" / "registry.md").read_text(encoding="utf-8")


def aliases(client, name):
    return {alias: int(version) for alias, version in client.get_registered_model(name).aliases.items()}


def with_cost(request, cost):
    return dataclasses.replace(request, comparison=dataclasses.replace(request.comparison, migration=cost))


def test_rollback_and_what_the_next_runs_do(make_request, registry):
    (code,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "MlflowClient" in code)
    code = code.replace("sqlite:///out/mine/mlflow.db", registry.tracking_uri).replace('"embeddings"', '"rolled-back"')
    client = MlflowClient(registry.tracking_uri)
    for gain in (0.1, 0.3):
        register_model(make_request("rolled-back", gain=gain))
    assert aliases(client, "rolled-back") == {"challenger": 2, "champion": 2, "previous": 1}
    exec(compile(code, "docs/registry.md", "exec"), {})
    assert aliases(client, "rolled-back") == {"challenger": 2, "champion": 1, "previous": 1}
    assert not register_model(make_request("rolled-back", gain=0.3)).promoted
    assert aliases(client, "rolled-back") == {"challenger": 2, "champion": 1, "previous": 1}
    assert register_model(make_request("rolled-back", gain=0.2)).champion.version == 3
    assert aliases(client, "rolled-back") == {"challenger": 3, "champion": 3, "previous": 1}


def test_tags_that_the_page_names_are_there(make_request, registry):
    request = make_request("named-tags", pipeline_run="run-7")
    register_model(with_cost(request, COST))
    tags = MlflowClient(registry.tracking_uri).get_model_version("named-tags", "1").tags
    table = PAGE[PAGE.index("| tag of a version |") : PAGE.index("The last lines of a local run")]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 20
    assert named - tags.keys() == {"base_model_licence"}  # the catalogue does not know the tiny model


def test_what_another_comparison_said_of_the_costs_is_not_kept(make_request, registry):
    client, request = MlflowClient(registry.tracking_uri), make_request("costs", better=False)
    for cost, told in (
        (COST, "recall_at_10 0.5875 of 0.7200"),
        (None, "none"),
        (COST, "recall_at_10 0.5875 of 0.7200"),
    ):
        assert register_model(with_cost(request, cost)).version == 1
        assert client.get_model_version("costs", "1").tags["promotion_agreement"] == told
