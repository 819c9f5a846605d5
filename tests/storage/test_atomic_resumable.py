import subprocess
import sys

import pytest

from embedtune.errors import StorageError
from embedtune.storage.atomic import resumable_folder
from embedtune.storage.errors import UnreachableError

KEY = "0" * 64


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def fill(target, name, error=None, key=KEY):
    with resumable_folder(target, key) as folder:
        before = names(folder)
        (folder / name).touch()
        if error is not None:
            raise error
    return before


def test_it_appears_whole(tmp_path):
    target = tmp_path / "deep" / "target"
    assert fill(target, "file") == []
    assert names(target) == ["file"]
    assert names(target.parent) == ["target"]


@pytest.mark.parametrize("error", [UnreachableError("gone"), KeyboardInterrupt()])
def test_a_beginning_is_gone_on_with(tmp_path, error):
    with pytest.raises(type(error)):
        fill(tmp_path / "target", "one", error)
    assert not (tmp_path / "target").exists()
    assert fill(tmp_path / "target", "other", key="1" * 64) == []
    assert fill(tmp_path / "target", "two") == ["one"]
    assert names(tmp_path / "target") == ["one", "two"]
    assert names(tmp_path) == ["target"]


@pytest.mark.parametrize("error", [StorageError("no space"), OSError("no space"), ValueError("wrong")])
def test_after_other_errors_nothing_stays(tmp_path, error):
    with pytest.raises(type(error)):
        fill(tmp_path / "target", "one", error)
    assert names(tmp_path) == []


def test_a_killed_process_leaves_its_beginning(tmp_path):
    code = (
        "import os, signal, sys; from pathlib import Path; from embedtune.storage.atomic import resumable_folder\n"
        "with resumable_folder(Path(sys.argv[1]), sys.argv[2]) as folder:\n"
        "    (folder / 'one').touch(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "target"), KEY], check=False).returncode == -9
    assert fill(tmp_path / "target", "two") == ["one"]
    assert names(tmp_path) == ["target"]


def test_two_at_once_do_not_meet(tmp_path):
    target = tmp_path / "target"
    with resumable_folder(target, KEY) as first:
        (first / "one").touch()
        assert fill(target, "two") == []
        assert names(target) == ["two"]
    assert names(target) == ["one"]
    assert names(tmp_path) == ["target"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        fill(tmp_path / "file" / "target", "one")
