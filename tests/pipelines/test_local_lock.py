"""One run at a time in an output folder."""

import dataclasses
import errno
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedtune.errors import StorageError
from embedtune.storage.ownership import OUTPUT_MARKER
from pipelines import local_lock
from pipelines.local_lock import Holder, folder_lock

HOLDER = Holder.here("second", "s3://bucket/data.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    (tmp_path / "link").symlink_to("out")
    return tmp_path / "out"


@pytest.mark.parametrize("name", ["out", "out/", "link", "out/../link/.", "./out"])
def test_the_second_is_told_who_holds_the_folder(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    with (
        folder_lock(folder, HOLDER),
        pytest.raises(StorageError) as caught,
        folder_lock(Path(name), Holder.here("third", "b.csv")),
    ):
        pass
    assert re.fullmatch(
        rf"The output folder {re.escape(str(Path(name)))} is in use: process {os.getpid()} of \S+ on \S+ has been "
        r"making the model 'second' of s3://bucket/data.csv in it since \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+. "
        rf"Wait for its end, stop it with 'kill {os.getpid()}', or give another --output.",
        str(caught.value),
    )


def test_the_next_has_the_folder_once_the_first_has_ended(folder: Path) -> None:
    for model in ("first", "second"):
        with folder_lock(folder, Holder.here(model, "a.csv")):
            assert json.loads((folder / OUTPUT_MARKER).read_text(encoding="utf-8"))["model"] == model


def test_who_inherits_the_lock_holds_it_after_its_parent(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_lock, "GRACE_SECONDS", 0.0)
    with folder_lock(folder, Holder(1 << 30, "elsewhere", "ann", "yesterday", "m", "d")) as lock:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
    with child:
        with pytest.raises(StorageError, match=r"of ann on elsewhere .* stop it on elsewhere, or"), _locked(folder):
            pass
        child.communicate(b"\n")
    with _locked(folder):
        pass


def test_what_a_killed_run_still_writes_is_waited_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with folder_lock(folder, Holder(1 << 30, socket.gethostname(), "ann", "yesterday", "m", "d")) as lock:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(0.5)"], pass_fds=(lock,))
    with child, _locked(folder):
        assert child.wait(0) == 0
    assert capsys.readouterr().err == (
        f"The run that process {1 << 30} had started in {folder} was killed; waiting for its end.\n"
    )


def test_a_holder_that_nobody_waited_for_is_gone() -> None:
    holder = Holder.here("m", "d")
    assert not holder.is_gone()
    with subprocess.Popen([sys.executable, "-c", "pass"], stdout=subprocess.PIPE) as child:
        child.stdout.read()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert dataclasses.replace(holder, process=child.pid).is_gone()
    assert dataclasses.replace(holder, process=child.pid).is_gone()
    assert not dataclasses.replace(holder, process=child.pid, host="elsewhere").is_gone()


def _locked(folder: Path):
    return folder_lock(folder, HOLDER)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"process": 1}'])
def test_a_holder_that_said_nothing_yet(text: str, folder: Path) -> None:
    with _locked(folder):
        (folder / OUTPUT_MARKER).write_text(text, encoding="utf-8")
        with (
            pytest.raises(StorageError, match=r"is in use by another run. Wait for its end, or give another"),
            _locked(folder),
        ):
            pass


def test_a_marker_that_was_removed_under_a_run_is_another_lock_only_once(folder: Path) -> None:
    """Whoever waited for the removed file does not hold the folder with it."""
    before = (folder / OUTPUT_MARKER).open("w+b")
    fcntl.flock(before, fcntl.LOCK_EX)
    (folder / OUTPUT_MARKER).unlink()
    with before, _locked(folder) as lock:
        assert os.path.samestat(os.fstat(lock), (folder / OUTPUT_MARKER).stat())


def test_a_file_system_without_locks_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def none(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with _locked(folder), _locked(folder):
        pass
    assert capsys.readouterr().err.splitlines()[0] == (
        f"The file system of {folder} has no locks, so nothing keeps a second run out of it. "
        "Start one run at a time in this folder."
    )


def test_a_folder_in_which_nothing_can_be_written(folder: Path) -> None:
    (folder / OUTPUT_MARKER).mkdir()
    with (
        pytest.raises(StorageError, match=r"embedtune-output cannot be written: Is a directory. Give another --output"),
        _locked(folder),
    ):
        pass
