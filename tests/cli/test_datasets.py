"""`embedtune push`, `pull`, `datasets` and `delete`, as the command line runs them, on a folder."""

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from unittest import mock

import pytest
import typer
from docarray import Document, DocumentArray

from embedtune import push
from embedtune.cli import datasets as commands
from embedtune.cli.app import run_app

APP = typer.Typer(pretty_exceptions_enable=False)
for command in (commands.push, commands.pull, commands.datasets, commands.delete):
    APP.command()(command)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "kept"))
    monkeypatch.setenv("EMBEDTUNE_USER", "alice")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words, answer="", width=100):
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, {"COLUMNS": str(width)}),
        mock.patch.object(sys, "argv", ["embedtune", *map(str, words)]),
        mock.patch.object(sys, "stdin", io.StringIO(answer)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as end,
    ):
        run_app(APP)
    return end.value.code or 0, out.getvalue(), err.getvalue()


def save(count, path="train.protobuf-array.gzip"):
    array = DocumentArray([Document(id=f"{number}", text=f"text {number}") for number in range(count)])
    array.save_binary(path)
    return array


def test_push_and_pull(place):
    array = save(5)
    code, out, _ = run("push", "train.protobuf-array.gzip", "things")
    version = re.fullmatch(r"alice/things@([0-9a-f]{12}): 5 Documents, \d+ bytes\n", out)[1]
    code, out, _ = run("push", "train.protobuf-array.gzip", "things")
    assert (code, out.partition(", ")[2].partition(", ")[2]) == (
        0,
        "was there already and is the latest version now; nothing was copied\n",
    )
    assert run("pull", "things") == (
        0,
        f"alice/things@{version}: 5 Documents in things.protobuf-array.gzip\n",
        "",
    )
    assert DocumentArray.load_binary("things.protobuf-array.gzip") == array
    assert run("pull", f"alice/things@{version}", "--output", "things.protobuf-array.gzip")[0] == 0


def test_a_file_of_ones_own_is_not_replaced_by_a_pull(place):
    save(5)
    run("push", "train.protobuf-array.gzip", "train")
    before = Path("train.protobuf-array.gzip").read_bytes()
    for words in ((), ("--output", "train.protobuf-array.gzip")):
        code, _, err = run("pull", "train", *words)
        assert (code, Path("train.protobuf-array.gzip").read_bytes()) == (1, before)
        assert err == (
            "Error: --output is train.protobuf-array.gzip, where there is something that embedtune did not write: "
            "train.protobuf-array.gzip. Give another path, or --overwrite to replace it.\n"
        )
    assert run("pull", "train", "--overwrite")[0] == 0
    assert run("pull", "train")[0] == 0


def test_table(place):
    assert run("datasets") == (0, f"No datasets in {place}/kept. `embedtune push` stores one.\n", "")
    for count, name, user in ((5, "train", "alice"), (1200, "train", "alice"), (3, "evaluation", "bob")):
        save(count)
        run("push", "train.protobuf-array.gzip", name, "--user", user)
    code, out, _ = run("datasets")
    assert code == 0
    lines = [re.split(r"\s*[│┃]\s*", line)[1:-1] for line in out.splitlines() if line.startswith(("│", "┃"))]
    assert lines[0] == ["dataset", "version", "rows", "size", "layout", "pushed", "public"]
    assert [(line[0], line[2], line[4], line[6]) for line in lines[1:]] == [
        ("alice/train", "1,200", "plain", "no"),
        ("alice/train", "5", "plain", "no"),
        ("bob/evaluation", "3", "plain", "no"),
    ]
    assert all(re.fullmatch("[0-9a-f]{12}", line[1]) for line in lines[1:])
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", line[5]) for line in lines[1:])
    assert "alice" not in run("datasets", "--user", "bob")[1]


def test_a_long_name_on_a_narrow_terminal(place):
    save(2)
    name = "a-very-long-name-of-a-dataset-" * 2
    run("push", "train.protobuf-array.gzip", name.rstrip("-"))
    _, out, _ = run("datasets", width=80)
    assert all(len(line) <= 80 for line in out.splitlines())
    cells = [re.split(r"\s*[│┃]\s*", line)[1:3] for line in out.splitlines() if line.startswith("│")]
    assert "".join(cell[0] for cell in cells) == f"alice/{name.rstrip('-')}"
    assert re.fullmatch("[0-9a-f]{12}", cells[0][1])


def test_delete(place):
    first = push(DocumentArray([Document(text="a")]), "train").reference
    second = push(DocumentArray([Document(text="b")]), "train").reference
    code, out, _ = run("delete", first, answer="n\n")
    assert (code, out) == (
        1,
        f"Delete {first}? Nothing can bring them back [y/N]: Nothing was deleted.\n",
    )
    code, _, err = run("delete", first)
    assert code == 1
    assert "There was no answer, so nothing was deleted. Give --yes to delete without asking." in err
    assert run("pull", first, "--output", "still.there")[0] == 0
    code, out, _ = run("delete", first, answer="y\n")
    assert (code, out.splitlines()[-1].endswith(f"Deleted {first}")) == (0, True)
    assert run("delete", "train", "--yes") == (0, f"Deleted {second}\n", "")
    code, _, err = run("delete", "train", "--yes")
    assert code == 1
    assert "There is no dataset alice/train to delete." in err
    assert not (place / "kept").exists() or list((place / "kept").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("push", "missing.da", "x"), "missing.da does not exist"),
        (("push", "rows.csv", "x"), "rows.csv is empty (0 bytes)"),
        (("push", "train.da", "x", "--public"), "alice/x cannot be public"),
        (("push", "train.da", "a/b"), "'a/b' cannot be the name of a dataset"),
        (("pull", "../x"), "'..' cannot be the name of a user"),
        (("pull", "never"), "There is no dataset alice/never"),
        (("datasets", "--user", "a b"), "'a b' cannot be the name of a user"),
    ],
)
def test_errors(place, words, message):
    (place / "rows.csv").touch()
    code, out, err = run(*words)
    assert (code, out) == (1, "")
    assert err.startswith("Error: ")
    assert message in err


def test_help_is_quick():
    code, out, _ = run("--help")
    assert code == 0
    for name in ("push", "pull", "datasets", "delete"):
        assert name in out
