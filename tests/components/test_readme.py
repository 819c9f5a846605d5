"""`metadata.yaml` is checked data, and the READMEs are made from it and from the code."""

import os
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from components.readme import component_names, load_component, load_metadata, main, readme_path, render_readme
from pipelines.task_options import HUB_KEYS, MLFLOW_KEYS, S3_KEYS, SETTINGS, STORE_KEYS, WEBHOOK_KEYS

ROOT = Path(__file__).parents[2]

every_component = pytest.mark.parametrize("name", component_names())


@every_component
def test_readme_is_current(name: str) -> None:
    text = readme_path(name).read_text(encoding="utf-8")
    assert text == render_readme(name), "Run `python -m components.readme`."


@every_component
def test_readme_has_a_line_for_every_input_and_output(name: str) -> None:
    spec = load_component(name).component_spec
    text = render_readme(name)
    parameters, inputs, outputs = re.split(r"\n## (?:Inputs|Outputs)\n", text.split("\n## Parameters\n")[1])
    listed = [re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) for table in (parameters, inputs, outputs)]
    kinds = {key: entry.type.startswith("system.") for key, entry in spec.inputs.items()}
    assert listed[0] == [key for key, is_artifact in kinds.items() if not is_artifact]
    assert listed[1] == [key for key, is_artifact in kinds.items() if is_artifact]
    assert listed[2] == list(spec.outputs)
    assert "None |" not in text


def test_readme_of_a_step_in_full() -> None:
    lines = render_readme("resolve_data").splitlines()
    assert lines[2] == "# resolve_data"
    assert "- Alone: `embedtune resolve-data`" in lines
    assert "- Image: `embedtune-data`" in lines
    (uri,) = (line for line in lines if line.startswith("| `data_uri` | String | required | "))
    assert uri.endswith("a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version. |")
    assert lines[lines.index("## Inputs") + 2] == "None."
    rows = lines[lines.index("## Outputs") + 4 :]
    assert rows[1].startswith("| `backbone_version` | String | sha256 of a folder")
    assert rows[2].startswith("| `champion` | String | The registered version that is champion; '' where")
    assert rows[3].startswith("| `evaluation_versions` | String | JSON object with the version of each")
    assert rows[4] == "| `started` | String | When the run began, in ISO 8601 and UTC. |"
    assert [row.split("`")[1] for row in rows[5:]] == ["evaluation_gpus", "node_selector", "tolerations", "Output"]


def test_generator_writes_every_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.readme.readme_path", lambda name: tmp_path / f"{name}.md")
    main()
    assert sorted(os.listdir(tmp_path)) == [f"{name}.md" for name in component_names()]
    assert (tmp_path / "finetune.md").read_text(encoding="utf-8") == render_readme("finetune")


@every_component
def test_metadata_keeps_to_its_form(name: str) -> None:
    metadata = load_metadata(name)
    assert list(metadata) == ["name", "stability", "image", "kfp", "services", "tags"]
    assert metadata["name"] == name
    assert metadata["stability"] in ("alpha", "beta", "stable")
    assert metadata["tags"]
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in metadata["tags"])
    for service in metadata["services"]:
        assert list(service) == ["name", "versions", "needed", "environment"]


@every_component
def test_metadata_names_the_components_image(name: str) -> None:
    executors = load_component(name).pipeline_spec.deployment_spec["executors"]
    image = executors[f"exec-{name.replace('_', '-')}"]["container"]["image"]
    assert image.startswith(f"embedtune-{load_metadata(name)['image']}:")


@every_component
def test_metadata_accepts_the_kfp_it_is_tested_with(name: str) -> None:
    assert version("kfp") in SpecifierSet(load_metadata(name)["kfp"])


@every_component
def test_a_services_settings_are_what_tasks_get_from_the_cluster(name: str) -> None:
    given = {*SETTINGS.values()}
    given.update(*(keys.values() for keys in (STORE_KEYS, S3_KEYS, HUB_KEYS, MLFLOW_KEYS, WEBHOOK_KEYS)))
    for service in load_metadata(name)["services"]:
        assert set(service["environment"]) <= given, service["name"]


def test_mlflow_range_is_the_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = map(Requirement, project["project"]["optional-dependencies"]["data"])
    (mlflow,) = (extra.specifier for extra in extras if extra.name == "mlflow-skinny")
    services = [service for name in component_names() for service in load_metadata(name)["services"]]
    ranges = [SpecifierSet(service["versions"]) for service in services if service["name"] == "MLflow"]
    assert ranges == [mlflow] * 5
