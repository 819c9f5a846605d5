"""Every command about pipelines and manifests on the pages for people does what they say."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml
from kfp.cli.cli import cli as kfp_cli
from typer.main import get_command

import pipelines.__main__ as pipelines_cli
from pipelines import task_options
from tests.docs.pages import PAGES, ROOT, Command, commands, files
from tests.manifests.rendering import needs_kubectl

IMAGES = ("data", "train", "mlflow")
COMPILE, RUN = (commands(rf"python -m pipelines {word}\b") for word in ("compile", "(?:run|sweep)"))
ANY = commands(r"python -m pipelines\b")
RENDER = commands(r"kubectl kustomize\b")
APPLY = commands(r"kubectl (apply|delete) --kustomize\b")
SECRETS = commands(r"kubectl .*create secret generic\b")
KFP = commands(r"bin/kfp\b")


class Started(Exception):  # noqa: N818 - not an error
    """The run would begin now."""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a checkout, with what `make` leaves there and what the pages tell people to write or to have."""
    for name in ("components", "embedtune", "examples", "images", "manifests", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for folder in ("out", "tests/pipelines/golden"):
        (tmp_path / folder).mkdir(parents=True)
    made = {name: {"reference": f"registry.example.com/embedtune-{name}@sha256:{'0' * 64}"} for name in IMAGES}
    (tmp_path / "out/images.json").write_text(json.dumps(made), encoding="utf-8")
    for name in ("my.csv", "tickets.csv", "queries.csv", "my-proxy/ca.crt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("anything", encoding="utf-8")
    for page in PAGES:
        for name, text in files(page).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.setenv("name", "finetune")  # the variable of a loop over the pipelines
    return tmp_path


def typed(command: Command) -> str:
    """Return what a command prints, or fail with what it says."""
    done = subprocess.run(["bash", "-ec", command.text.strip()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command.text}\n{done.stderr}"
    return done.stdout


def test_there_are_commands() -> None:
    """The pages have lines of every kind, so that none of the tests below is about nothing."""
    assert len(COMPILE) >= 4
    assert len(RUN) >= 4
    assert sorted(map(str, COMPILE + RUN)) == sorted(map(str, ANY))
    assert min(len(RENDER), len(SECRETS), len(KFP)) >= 3


@pytest.mark.parametrize("command", COMPILE, ids=str)
def test_it_compiles(command: Command, checkout: Path) -> None:
    written = checkout / typed(command).strip()
    first, second = yaml.safe_load_all(written.read_text(encoding="utf-8"))
    if "--format kubernetes" in command.text:
        assert (first["kind"], second["kind"]) == ("Pipeline", "PipelineVersion")
        first, second = second["spec"]["pipelineSpec"], second["spec"]["platformSpec"]
    assert first["pipelineInfo"]["name"] == "embedtune-finetune"
    assert ("@sha256:" in str(first)) == ("images.build" in command.text)
    assert ("activeDeadlineSeconds" in second["platforms"]["kubernetes"].get("pipelineConfig", {})) == (
        "--deadline" in command.text
    )


@pytest.mark.parametrize("command", RUN, ids=str)
def test_it_would_run(command: Command, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is checked before a run begins is checked."""

    def begin(*_: object) -> None:
        raise Started

    monkeypatch.setattr(pipelines_cli, "run_locally", begin)
    words = shlex.split(command.text, comments=True)
    arguments = words[words.index("pipelines") + 1 :]
    if "--help" in arguments:
        assert not get_command(pipelines_cli.app).main(arguments, standalone_mode=False)
        return
    with pytest.raises(Started):
        get_command(pipelines_cli.app).main(arguments, standalone_mode=False)


@needs_kubectl
@pytest.mark.parametrize("command", RENDER, ids=str)
def test_it_renders(command: Command, checkout: Path) -> None:
    assert all(resource["kind"] for resource in yaml.safe_load_all(typed(command)))


@needs_kubectl
@pytest.mark.parametrize("command", APPLY, ids=str)
def test_what_is_applied_renders(command: Command, checkout: Path) -> None:
    words = shlex.split(command.text)
    folder = words[words.index("--kustomize") + 1]
    assert typed(Command(command.page, f"kubectl kustomize {folder}")).startswith("apiVersion: ")


@needs_kubectl
@pytest.mark.parametrize("command", SECRETS, ids=str)
def test_a_secret_is_one_that_is_read(command: Command, checkout: Path) -> None:
    made = yaml.safe_load(typed(Command(command.page, f"{command.text.strip()} --dry-run=client --output yaml")))
    assert made["metadata"]["name"] in known_secrets()
    assert set(made["data"]) <= known_secrets()[made["metadata"]["name"]]


def known_secrets() -> dict[str, set[str]]:
    """Return the keys that anything of ours reads, by the name of the secret."""
    return {
        task_options.STORE_SECRET: set(task_options.STORE_KEYS),
        task_options.S3_SECRET: set(task_options.S3_KEYS),
        task_options.MLFLOW_SECRET: set(task_options.MLFLOW_KEYS),
        task_options.HUB_SECRET: set(task_options.HUB_KEYS),
        task_options.WEBHOOK_SECRET: set(task_options.WEBHOOK_KEYS),
        "embedtune-mlflow-server": {"MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_BACKEND_STORE_URI"},
        "embedtune-minio": {"rootuser", "rootpassword"},
    }


def test_the_table_of_secrets_is_whole() -> None:
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w-]+)` \| ((?:`\w+`(?:, )?)+) \|", page, re.MULTILINE)
    assert {name: set(re.findall(r"`(\w+)`", keys)) for name, keys in rows} == known_secrets()


@pytest.mark.parametrize("command", KFP, ids=str)
def test_kfp_knows_the_options(command: Command, checkout: Path) -> None:
    (checkout / "finetune.yaml").write_text("", encoding="utf-8")
    words = shlex.split(command.text)
    context, group = click.Context(kfp_cli), kfp_cli
    arguments = list(words[1:])
    _, arguments, _ = kfp_cli.make_parser(context).parse_args(arguments)
    while isinstance(group, click.Group):
        group = group.get_command(context, arguments.pop(0))
        assert group is not None, command.text
    group.make_context(words[0], arguments)
