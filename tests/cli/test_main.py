"""Messages, exit codes and options that all commands share."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from embedtune import __version__
from embedtune.cli.app import run_app
from embedtune.cli.options import REQUIRED, Option, make_command
from embedtune.cli.steps import STEPS
from embedtune.errors import InputError


def app_of(command) -> typer.Typer:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    app.command()(command)
    return app


def run(command, monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["program", *words])
    with pytest.raises(SystemExit) as end:
        run_app(app_of(command))
    return end.value.code


def test_version(embedtune) -> None:
    assert embedtune("--version").out == f"{__version__}\n"


@pytest.mark.parametrize("module", ["embedtune", "embedtune.cli.main"])
def test_modules_that_are_the_command(module: str) -> None:
    done = subprocess.run([sys.executable, "-m", module, "sumary"], capture_output=True, text=True, timeout=120)
    told = f"Error: There is no command sumary. Perhaps summary? See `python -m {module} --help`.\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", told)


def test_help_lists_the_steps_in_their_order_and_how_to_use_a_model(embedtune) -> None:
    done = embedtune("--help")
    commands = [line.split()[0] for line in done.out.split("Commands:")[1].splitlines() if line.startswith("  ")]
    names = [word for word in commands if word.replace("-", "_") in STEPS or word in ("encode", "search")]
    assert names == [*(name.replace("_", "-") for name in STEPS), "encode", "search"]


def test_no_command_shows_the_help(embedtune) -> None:
    done = embedtune()
    assert "Usage:" in done.out + done.err


def test_unknown_command(embedtune) -> None:
    done = embedtune("train")
    assert done.code == 2
    assert "train" in done.err


def test_our_errors_are_one_message_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise InputError("row [3] of data[1].csv is empty; fill it.")

    assert run(command, monkeypatch) == 1
    assert capsys.readouterr().err == "Error: row [3] of data[1].csv is empty; fill it.\n"


def test_long_message_stays_on_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise InputError("word " * 100)

    monkeypatch.setenv("COLUMNS", "40")
    assert run(command, monkeypatch) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_bugs_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(ZeroDivisionError):
        run_app(app_of(command))


def test_interruption_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        raise KeyboardInterrupt

    assert run(command, monkeypatch) == 130
    assert capsys.readouterr().err == "Stopped.\n"


def test_command_from_options(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, object] = {}
    options = [
        Option("data_uri", str, REQUIRED, "Where."),
        Option("batch_size", int, 8, "How many."),
        Option("cache", bool, True, "Whether."),
        Option("loss", str, "a", "Which.", ("a", "b")),
        Option("reports", list[Path], (), "Files."),
    ]
    command = make_command("finetune", "Do it.", options, seen.update)
    assert command.__name__ == "finetune"
    assert list(inspect.signature(command).parameters) == ["data_uri", "batch_size", "cache", "loss", "reports"]
    words = ("--data-uri", "x.csv", "--no-cache", "--loss", "b", "--reports", "r1", "--reports", "r2")
    assert run(command, monkeypatch, *words) == 0
    assert seen == {
        "data_uri": "x.csv",
        "batch_size": 8,
        "cache": False,
        "loss": "b",
        "reports": [Path("r1"), Path("r2")],
    }


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--loss", "c"), "'c'"),
        (("--batch-size", "many"), "--batch-size"),
        ((), "--data-uri"),
    ],
)
def test_values_of_another_kind_are_refused(
    words: tuple[str, ...], complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        Option("data_uri", str, REQUIRED, "Where."),
        Option("batch_size", int, 8, "How many."),
        Option("loss", str, "a", "Which.", ("a", "b")),
    ]
    command = make_command("finetune", "Do it.", options, lambda values: None)
    given = ("--data-uri", "x.csv", *words) if words else ()
    assert run(command, monkeypatch, *given) == 2
    assert complaint in capsys.readouterr().err
