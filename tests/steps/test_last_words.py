"""A failed step leaves one line: in its pod's termination message, and at the end of its log."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import IO

import pytest

from embedtune import errors
from embedtune.steps.last_words import TERMINATION_VARIABLE, failure_line

ROOT = Path(__file__).parents[2]
BEGIN = """
import errno, os, signal, sys
from embedtune.errors import *
from embedtune.steps.last_words import leave_last_words
from embedtune.steps.running import step

leave_last_words("finetune")
print("working")

@step
def finetune():
    {code}

finetune()
"""
TOLD = [
    (kind, f"raise {kind}('The value is 3; accepted: 4.\\nGive 4.')", "The value is 3; accepted: 4. Give 4.")
    for kind in (
        *("EmbedtuneError", "InputError", "ConfigError", "StorageError", "TrainingError", "ModelError"),
        *("RegistryError", "ClusterError", "SettingsError"),
    )
]
OTHERS = [
    (
        "a fault",
        "{}['x']",
        "It met an error that it does not know (KeyError: 'x'), a fault of embedtune or of a library. The traceback is "
        "in its log, above this line; report it with the parameters of the run.",
    ),
    (
        "a fault without words",
        "raise ValueError",
        "It met an error that it does not know (ValueError), a fault of embedtune or of a library. The traceback is in "
        "its log, above this line; report it with the parameters of the run.",
    ),
    (
        "no memory",
        "raise MemoryError('cannot allocate')",
        "Memory ran out. Give the task more of it (train_memory for the steps that run a model).",
    ),
    (
        "a full disk",
        "raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/minio/x')",
        "/minio/x cannot be used: No space left on device. Check its permissions, its name, and the space on its disk.",
    ),
    ("an interruption", "raise KeyboardInterrupt", "It was interrupted. Retry the run."),
]


def run(code: str, log: Path, script: str = BEGIN, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", script.replace("{code}", code)],
        cwd=ROOT,
        env={**os.environ, TERMINATION_VARIABLE: str(log), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The file that Kubernetes puts into a container."""
    path = tmp_path / "termination-log"
    path.touch()
    return path


def test_the_table_has_every_class_of_error() -> None:
    kinds = {kind.__name__ for kind in (errors.EmbedtuneError, *errors.EmbedtuneError.__subclasses__())}
    ours = {name for name in kinds if hasattr(errors, name)}
    assert ours == {kind for kind, _, _ in TOLD}


@pytest.mark.parametrize(("kind", "code", "reason"), [*TOLD, *OTHERS], ids=lambda value: str(value)[:20])
def test_each_kind_of_failure_leaves_one_line(kind: str, code: str, reason: str, log: Path) -> None:
    done = run(code, log)
    assert done.returncode != 0
    line = f"finetune failed: {reason}"
    assert log.read_text(encoding="utf-8") == line
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "working"
    assert "Traceback (most recent call last):" in lines
    assert lines[-1] == line
    assert lines.count(line) == 1


def test_told_to_stop(log: Path) -> None:
    done = run("os.kill(os.getpid(), signal.SIGTERM)", log)
    assert done.returncode == -signal.SIGTERM
    line = log.read_text(encoding="utf-8")
    assert line.startswith("finetune failed: It was told to stop (SIGTERM), as at its deadline")
    assert done.stdout.decode().splitlines() == ["working", line]


def test_told_to_stop_in_the_middle_of_a_print_that_nobody_reads(log: Path) -> None:
    script = BEGIN.replace("{code}", "os.write(2, b'.'); print('x' * (1 << 20), flush=True)")
    environment = {**os.environ, TERMINATION_VARIABLE: str(log), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-c", script]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr.read(1) == b"."
        full = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ) - 2 * select.PIPE_BUF  # its pages are not full
        while unread(process.stdout) < full or not sleeps(process.pid):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
        line = log.read_text(encoding="utf-8")
        assert line.startswith("finetune failed: It was told to stop (SIGTERM)")
        assert process.stderr.read() == f"{line}\n".encode()


def unread(pipe: IO[bytes]) -> int:
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def sleeps(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].startswith("S")


FORKS = {
    # A signal before the child is ready would be lost, and so would one just before a pause: it turns in circles.
    "is told to stop": (
        "os.read(reading, 1) and os.kill(child, signal.SIGTERM) if child "
        "else os.write(writing, b'.') and any(False for _ in iter(int, 1))"
    ),
    "fails": "[][0] if not child else None",
}


@pytest.mark.parametrize("end", FORKS)
def test_a_process_that_it_forked_does_not_speak_for_it(end: str, log: Path) -> None:
    done = run(
        f"reading, writing = os.pipe(); child = os.fork(); {FORKS[end]}; assert os.waitpid(child, 0)[1] != 0", log
    )
    assert done.returncode == 0, done.stdout
    assert log.read_bytes() == b""
    assert b"finetune failed:" not in done.stdout


def test_no_secret_leaves_with_the_line_or_the_traceback(log: Path) -> None:
    code = "raise RuntimeError('http://u:hunter2@h/x?sig=abcdefgh ' + os.environ['AWS_SECRET_ACCESS_KEY'])"
    done = run(code, log, AWS_SECRET_ACCESS_KEY="very-secret")
    assert b"RuntimeError: http://***@h/x?*** ***\n" in done.stdout
    assert b"hunter2" not in done.stdout
    assert b"abcdefgh" not in done.stdout
    assert b"very-secret" not in done.stdout
    line = log.read_text(encoding="utf-8")
    assert "(RuntimeError: http://***@h/x?*** ***)" in line


def test_no_part_of_a_secret_leaves_where_the_words_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "very-secret  key")
    start = "ValueError: "
    for length in (1024 - len(start) - 8, 0):
        line = failure_line("finetune", ValueError(f"{'.' * length}very-secret  key"))
        assert "(ValueError: " in line
        assert "very" not in line


def test_what_was_there_is_replaced(log: Path) -> None:
    log.write_text("x" * 5000, encoding="utf-8")
    run("raise InputError('No.')", log)
    assert log.read_text(encoding="utf-8") == "finetune failed: No."


def test_where_there_is_no_termination_log_none_is_made(tmp_path: Path) -> None:
    done = run("raise InputError('No.')", tmp_path / "none")
    assert done.returncode == 1
    assert done.stdout.decode().splitlines()[-1] == "finetune failed: No."
    assert not (tmp_path / "none").exists()


def test_a_step_that_ends_well_leaves_nothing(log: Path) -> None:
    done = run("pass", log)
    assert (done.returncode, done.stdout, log.read_bytes()) == (0, b"working\n", b"")


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_a_long_reason_is_cut_at_a_character(letter: str) -> None:
    for offset in range(4):
        line = failure_line("finetune", errors.InputError("b" * offset + letter * 5000)).encode()
        assert 4096 - 4 < len(line) <= 4096
        assert line.decode().endswith(f"{letter}…")
    whole = "b" * (4096 - len("finetune failed: "))
    assert failure_line("finetune", errors.InputError(whole)) == f"finetune failed: {whole}"
    assert failure_line("finetune", errors.InputError(f"{whole}b")).endswith("bb…")


def test_what_is_no_text_is_one_line_too() -> None:
    line = failure_line("ingest_csv", errors.InputError("a\udcffb\x1b[31m\u2028c\x00\n\n d"))
    assert line == "ingest_csv failed: a�b�[31m c� d"
    line.encode()


COMPONENT = """
import sys
from components.{code}.component import {code}
from kfp.dsl import Markdown

function = {code}.python_func
function(**ARGUMENTS)
"""


def test_a_component_tells_what_fails_before_its_step_begins(log: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    script = COMPONENT.replace("ARGUMENTS", "dict(uri='ftp://host/x', version='')")
    done = run("list_sources", log, script, EMBEDTUNE_EVENTS=str(events))
    assert done.returncode == 1
    assert log.read_text(encoding="utf-8").startswith("list_sources failed: ")
    assert "unknown scheme" in log.read_text(encoding="utf-8")
    assert events.read_text(encoding="utf-8").count('"event": "error", ') == 1
