"""`python -m pipelines`: what it offers, and what it refuses before anything starts."""

import contextlib
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
import yaml

from components.images import TRAIN_IMAGE
from embedtune.cli.app import run_app
from embedtune.cli.fields import with_fields
from embedtune.cli.options import Option
from pipelines import __main__ as command_line
from pipelines.compiling import PIPELINES, parameters_of


@dataclass(frozen=True)
class Finished:
    code: int
    out: str
    err: str


def pipelines(*words: object) -> Finished:
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["pipelines", *map(str, words)]),
        mock.patch.dict(os.environ, {"COLUMNS": "150"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        run_app(command_line.app)
    return Finished(0 if end.value.code is None else int(end.value.code), out.getvalue(), err.getvalue())


def flags(text: str) -> list[str]:
    return re.findall(r"^\s+--([a-z-]+)", text, re.MULTILINE)


def test_help_of_run_has_every_parameter_of_the_pipeline() -> None:
    done = pipelines("run", "finetune", "--help")
    options = [Option(entry.name, str, "", "") for entry in parameters_of(PIPELINES["finetune"])]
    names = [option.name.replace("_", "-") for option in with_fields(options)]
    assert {"train-optimizer", "model-pooling", "eval-batch-size"} <= set(names)
    assert done.code == 0
    assert flags(done.out) == ["output", "cache", "verbose", "overwrite", *names, "help"]
    for parameter in parameters_of(PIPELINES["finetune"]):
        assert " ".join(parameter.description.split()[:3]) in " ".join(done.out.split())


def test_a_run_without_a_folder_of_its_own_lies_beside_the_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out" / "demo").mkdir(parents=True)
    (tmp_path / "out" / "images.json").write_text("{}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))  # of the process that runs the steps
    done = pipelines("run", "finetune", "--data-uri", "none.csv")
    assert done.code == 1
    assert "none.csv" in done.err
    assert "--output" not in done.err


def test_the_command_of_the_documentation_has_flags_that_there_are() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8").replace("\\\n", "")
    (line,) = re.findall(r"^python -m pipelines (run finetune .*)$", page, re.MULTILINE)
    command, _, options = line.partition(" --")
    named = re.findall(r"--([a-z-]+)", f"--{options}")
    assert set(named) >= {"data-uri", "eval-evaluations", "eval-probe"}
    assert set(named) <= set(flags(pipelines(*command.split(), "--help").out))


def test_help_of_compile() -> None:
    assert flags(pipelines("compile", "finetune", "--help").out) == [
        "output",
        "data-image",
        "train-image",
        "backend",
        "deadline",
        "pod-label",
        "format",
        "overwrite",
        "help",
    ]


def test_compile_writes_the_file_and_names_it(tmp_path: Path) -> None:
    path = tmp_path / "pipelines" / "finetune.yaml"
    done = pipelines("compile", "finetune", "--output", path, "--data-image", "r.example.org/team/data:1")
    assert (done.code, done.out) == (0, f"{path}\n")
    spec, _ = yaml.safe_load_all(path.read_text(encoding="utf-8"))
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {"r.example.org/team/data:1", TRAIN_IMAGE}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--backend", "2.15"), "--backend is '2.15'; accepted: one of 2.16, 2.17."),
        (("--format", "helm"), "--format is 'helm'; accepted: one of pipeline, kubernetes."),
        (("--deadline", "12h", "--backend", "2.16"), "--deadline is '12h', and the backend 2.16 knows no deadline"),
        (("--pod-label", "team=a", "--pod-label", "team=b"), "--pod-label is team=a, team=b, which names a key twice."),
        (("--train-image", "team/train"), "--train-image is 'team/train'; accepted: a whole reference with a digest"),
        (("--registry", "r.example.org"), "There is no option --registry."),
        (("--no-literals",), "There is no option --no-literals."),
    ],
)
def test_compile_refuses_what_no_cluster_takes(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = pipelines("compile", "finetune", "--output", tmp_path / "finetune.yaml", *words)
    assert done.code in (1, 2)
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "--data-uri"),
        (("--data-uri", "x.csv", "--train-loss", "CrossEntropy"), 2, "CrossEntropy"),
        (("--data-uri", "x.csv", "--train-epochs", "many"), 2, "--train-epochs"),
        (("--data-uri", "x.csv", "--train-epochs", "-1"), 1, "Error: --train-epochs is -1; accepted: 0"),
        (("--data-uri", "x.csv", "--register-model-name", "a/b"), 1, "'a/b'"),
        (("--data-uri", "x.csv", "--data-csv-options", '{"quote": 1}'), 1, "Unknown CSV option 'quote'"),
        (("--data-uri", "x.csv", "--gpu-tolerations", "none"), 1, "--gpu-tolerations is 'none', which is not JSON"),
        (("--data-uri", "x.csv", "--gpu-tolerations", "{}"), 1, "--gpu-tolerations is '{}'; accepted: a JSON list."),
        (("--data-uri", "x.csv", "--gpu-node-selector", "[]"), 1, "accepted: a JSON object."),
        (("--data-uri", "x{{$.csv"), 1, "contains '{{$'"),
    ],
)
def test_bad_options_are_one_message_and_nothing_is_written(
    words: tuple[str, ...], code: int, message: str, tmp_path: Path
) -> None:
    done = pipelines("run", "finetune", "--output", tmp_path / "out", *words)
    assert done.code == code
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--data-uri", "ftp://a/b"),
        ("--data-layout", "tables"),
        ("--data-csv-options", "{"),
        ("--data-csv-options", '{"header": "perhaps"}'),
        ("--data-max-bad-share", "2"),
        ("--model-backbone", " "),
        ("--model-max-length", "-1"),
        ("--train-loss", "Cross"),
        ("--train-epochs", "-1"),
        ("--train-epochs", "1.5"),
        ("--train-batch-size", "1"),
        ("--train-learning-rate", "nan"),
        ("--train-options", '{"optimizer": "Best"}'),
        ("--train-optimizer", "Best"),
        ("--train-warmup", "2"),
        ("--model-output-dim", "-1"),
        ("--eval-batch-size", "0"),
        ("--model-options", "[]"),
        ("--train-seed", "-1"),
        ("--eval-share", "2"),
        ("--eval-split", "random"),
        ("--eval-metric", "best"),
        ("--register-min-gain", "2"),
        ("--register-min-lower-bound", "-1"),
        ("--register-model-name", "a/b"),
        ("--register-experiment", " "),
        ("--gpu-count", "abc"),
        ("--gpu-type", "gpu"),
        ("--gpu-node-selector", '{"zone": 1}'),
        ("--gpu-tolerations", '[{"operator": "exists"}]'),
        ("--gpu-node-selector", "[]"),
        ("--gpu-tolerations", "none"),
        ("--output", ""),
        ("--output", " "),
    ],
)
def test_the_flag_that_was_typed_is_named(
    flag: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = pipelines("run", "finetune", "--data-uri", "x.csv", flag, value)
    assert done.code in (1, 2)
    assert done.err.startswith(f"Error: {flag}")
    assert len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--delimiter", "dialect is a key of --data-csv-options, which takes a JSON object."),
        ("--quotechar", "dialect is a key of --data-csv-options, which takes a JSON object."),
        ("--batch-size", "Perhaps --eval-batch-size or --train-batch-size?"),
        ("--lr", "Perhaps --train-learning-rate?"),
        ("--epochs", "Perhaps --train-epochs?"),
        ("--model", "Perhaps --model-backbone?"),
        ("--device", "Perhaps --gpu-count?"),
        ("--test-size", "Perhaps --eval-share?"),
        ("--train-epoch", "Perhaps --train-epochs?"),
        ("--output-dir", "Perhaps --output?"),
        ("--force", "Perhaps --overwrite?"),
    ],
)
def test_options_of_other_tools_point_to_ours(flag: str, hint: str) -> None:
    done = pipelines("run", "finetune", "--data-uri", "x.csv", flag, "1")
    assert done.code == 2
    assert f"Error: There is no option {flag}. {hint} See `" in done.err


@pytest.mark.parametrize("place", ["mine", "."])
@pytest.mark.parametrize("name", ["model/thesis.txt", "scores/mine.csv", "report.html"])
def test_files_of_ones_own_stay(place: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mine" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine", encoding="utf-8")
    monkeypatch.chdir(tmp_path if place == "mine" else tmp_path / "mine")
    done = pipelines("run", "finetune", "--data-uri", "x.csv", "--output", place)
    assert done.code == 1
    assert done.err.startswith(f"Error: --output is {place}, where there is something that embedtune did not write: ")
    assert [each for each in (tmp_path / "mine").rglob("*") if each.is_file()] == [path]


def test_a_compiled_pipeline_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "finetune.yaml"
    for _ in range(2):
        assert pipelines("compile", "finetune", "--output", path).code == 0
    path.write_text("mine: true\n", encoding="utf-8")
    done = pipelines("compile", "finetune", "--output", path)
    assert (done.code, path.read_text(encoding="utf-8")) == (1, "mine: true\n")
    assert "--overwrite to replace it" in done.err
    assert pipelines("compile", "finetune", "--output", path, "--overwrite").code == 0


def test_structures_come_as_json_and_numbers_as_numbers() -> None:
    values = {parameter.name: parameter.default for parameter in parameters_of(PIPELINES["finetune"])}
    values |= {"gpu_node_selector": '{"pool": "gpu"}', "gpu_tolerations": json.dumps([{"key": "gpu"}])}
    arguments = command_line._arguments("finetune", values)
    assert arguments["gpu_node_selector"] == {"pool": "gpu"}
    assert arguments["gpu_tolerations"] == [{"key": "gpu"}]
    defaults = {option.name: option.default for option in command_line._run_options("finetune")}
    assert (defaults["train_epochs"], type(defaults["train_epochs"])) == (0, int)
    assert (defaults["register_min_gain"], type(defaults["register_min_gain"])) == (0.0, float)
