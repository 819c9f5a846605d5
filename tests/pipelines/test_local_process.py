"""A child whose whole process group ends with the caller, however that ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import local_process
from pipelines.local_process import child_process

SLEEPER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
signal.signal(signal.SIGTERM, lambda number, frame: None)
inner = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
target = Path(sys.argv[1])
target.with_suffix(".part").write_text(json.dumps([os.getpid(), inner.pid]))
target.with_suffix(".part").rename(target)
inner.wait()
while {deaf}:
    time.sleep(0.02)
"""
"""As `pipelines.local_child`, it ends when its task has ended; or, deaf, never."""


@pytest.fixture
def start(tmp_path: Path):
    """Give what starts a module that sleeps, and what waits for it and returns the processes of its group."""

    def enter(deaf: bool):
        (tmp_path / "sleeper.py").write_text(SLEEPER.format(deaf=deaf), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return child_process("sleeper", tmp_path / "pids.json", tmp_path / "log.txt", environment, ())

    def pids() -> list[int]:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pids.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return json.loads((tmp_path / "pids.json").read_text(encoding="utf-8"))

    return enter, pids


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_leaving_ends_the_whole_group(start) -> None:
    enter, pids = start
    with enter(deaf=False) as child:
        group = pids()
        assert all(map(alive, group))
    assert not any(map(alive, group))
    assert child.returncode == 0


def test_a_process_that_does_not_listen_is_killed_after_the_grace_period(start, monkeypatch) -> None:
    monkeypatch.setattr(local_process, "GRACE_SECONDS", 0.3)
    enter, pids = start
    with enter(deaf=True) as child:
        group = pids()
    assert not any(map(alive, group))
    assert child.returncode == -signal.SIGKILL


def test_an_impatient_second_interruption_kills_at_once(start) -> None:
    enter, pids = start
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), enter(deaf=True) as child:  # noqa: PT012
        group = pids()
        # The second arrives while the group is given its time to end.
        subprocess.Popen([sys.executable, "-c", f"import os, time; time.sleep(0.5); os.kill({os.getpid()}, 2)"])
        raise KeyboardInterrupt
    assert not any(map(alive, group))
    assert child.returncode == -signal.SIGKILL
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_stop_means_interrupted(number: signal.Signals, start) -> None:
    enter, pids = start
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), enter(deaf=False):  # noqa: PT012
        group = pids()
        os.kill(os.getpid(), number)
        time.sleep(5)
    assert not any(map(alive, group))
    assert signal.getsignal(number) is before


def test_a_child_that_ends_by_itself_is_waited_for(tmp_path: Path) -> None:
    with child_process("json.tool", tmp_path / "none.json", tmp_path / "log.txt", dict(os.environ), ()) as child:
        assert child.wait() == 2
    assert "none.json" in (tmp_path / "log.txt").read_text(encoding="utf-8")


CALLER = """
import os, sys
from pathlib import Path
from pipelines.local_process import child_process
with child_process("watcher", Path(sys.argv[1]), Path(sys.argv[1]).with_name("log.txt"), dict(os.environ), ()) as child:
    child.wait()
"""
WATCHER = """
from pipelines import local_process
local_process.GRACE_SECONDS = 0.3
local_process.end_with_caller()
"""


@pytest.mark.parametrize("deaf", [False, True])
def test_the_death_of_the_caller_ends_the_whole_group(deaf: bool, start, tmp_path: Path) -> None:
    """A process that does not listen takes the group along after the grace period, children that do not watch too."""
    _, pids = start
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")
    (tmp_path / "watcher.py").write_text(WATCHER + SLEEPER.format(deaf=deaf), encoding="utf-8")
    path = f"{tmp_path}{os.pathsep}{Path(__file__).parents[2]}"
    with subprocess.Popen(
        [sys.executable, tmp_path / "caller.py", tmp_path / "pids.json"], env={**os.environ, "PYTHONPATH": path}
    ) as caller:
        group = pids()
        caller.kill()
    deadline = time.monotonic() + 20
    while any(map(alive, group)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
