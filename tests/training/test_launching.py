"""Processes that work together end together, and what ended them is told once."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from embedtune.errors import EmbedtuneError, FruitlessError, InputError, StorageError, TrainingError, UnfitModelError
from embedtune.training.launching import run_together

MEMBER = """
import errno, json, os, signal, sys, threading
from functools import partial
from pathlib import Path
from embedtune.errors import *
from embedtune.training.launching import tell_error
from embedtune.training.member import _end_with_parent

folder, rank, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sys.excepthook = lambda kind, error, trace: tell_error(folder, rank, error, "the trace")
threading.Thread(target=_end_with_parent, daemon=True).start()
job = json.loads((folder / "job.json").read_text())
exec(job["code"])
"""
WAIT = "signal.pause()"


def run(code: str, *environments: dict[str, str]) -> None:
    run_together([sys.executable, "-c", MEMBER], environments or ({}, {}), {"code": code})


def test_each_has_its_number_and_environment_and_its_share_of_the_threads(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("EMBEDTUNE_EVENTS", str(tmp_path / "events"))
    names = "'DEVICE', 'OMP_NUM_THREADS', 'EMBEDTUNE_EVENTS'"
    code = f"(Path({str(tmp_path)!r}) / str(rank)).write_text(repr([count, *map(os.environ.get, ({names}))]))"
    run(code, {"DEVICE": "a"}, {"DEVICE": "b"}, {"DEVICE": "c"})
    found = [(tmp_path / str(rank)).read_text() for rank in range(3)]
    events = str(tmp_path / "events")
    assert found == [repr([3, "a", "2", events]), repr([3, "b", "2", None]), repr([3, "c", "2", None])]


def test_an_error_of_one_ends_all_and_is_raised_as_it_was():
    with pytest.raises(InputError, match=r"^Line 3 is empty\.$"):
        run(f"if rank: raise InputError('Line 3 is empty.')\n{WAIT}")


@pytest.mark.parametrize(
    ("raised", "kind"),
    [
        ("import embedtune.training.batch_size as m; raise m.TooLargeError(8, 'told')", FruitlessError),
        ("import embedtune.storage.errors as m; raise m.UnreachableError('told')", StorageError),
        ("raise UnfitModelError('told')", UnfitModelError),
        ("raise type('ArrayMemoryError', (MemoryError,), {})('told')", MemoryError),
    ],
    ids=["batch size", "storage", "own", "memory"],
)
def test_an_error_of_another_module_is_raised_as_the_nearest_that_all_know(raised, kind):
    with pytest.raises(kind, match=r"^told$") as caught:
        run(raised, {})
    assert type(caught.value) is kind


def test_what_a_person_can_act_on_goes_before_what_follows_from_it():
    code = (
        "told = folder / '0.json'\n"
        "if not rank: tell_error(folder, rank, RuntimeError('lost'), '')\n"
        "while not told.exists(): pass\n"
        f"if rank: raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), '/x')\n{WAIT}"
    )
    with pytest.raises(EmbedtuneError, match=r"^/x cannot be used: No space left on device\."):
        run(code)


def test_memory_that_ran_out_stays_that():
    with pytest.raises(MemoryError):
        run(f"if rank: raise MemoryError\n{WAIT}")


def test_a_fault_keeps_its_trace():
    with pytest.raises(RuntimeError, match=r"^KeyError: 'x'") as caught:
        run(f"if rank: {{}}['x']\n{WAIT}")
    assert caught.value.__notes__ == ["the trace"]


def test_one_that_is_killed():
    code = f"if rank: print('so far', flush=True); os.kill(os.getpid(), signal.SIGKILL)\n{WAIT}"
    message = (
        r"Process 2 of the 2 .* was killed by SIGKILL, without a word\..* lower gpu_count\. The end of its log: so far$"
    )
    with pytest.raises(TrainingError, match=message):
        run(code)


PARENT = """
import sys
from embedtune.training.launching import run_together
code = sys.argv[2]
run_together([sys.executable, "-c", sys.argv[1]], ({}, {}), {"code": code})
print("went on", flush=True)
"""


def parent(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", PARENT, MEMBER, code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def pids_in(folder: Path) -> list[int]:
    """Wait until both processes have left their number."""
    deadline = time.monotonic() + 60
    while len(found := list(folder.glob("*.pid"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    return [int(path.stem) for path in found]


def gone(pid: int) -> bool:
    """Wait until a process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and ") Z " in Path(f"/proc/{pid}/stat").read_text():
            return True  # nobody in this container may be there to wait for it
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_they_end_with_the_one_that_started_them(tmp_path, number):
    started = parent(f"(Path({str(tmp_path)!r}) / f'{{os.getpid()}}.pid').touch()\n{WAIT}")
    members = pids_in(tmp_path)
    assert len(members) == 2
    started.send_signal(number)
    told, trace = started.communicate(timeout=60)
    assert started.returncode == -number, trace
    assert told == ""
    assert all(map(gone, members))


def test_those_that_are_told_to_stop_may_say_what_they_keep(tmp_path):
    listen = (
        "def stop(*_): raise TrainingError('Stopped at step 3: a checkpoint is kept.')\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"(Path({str(tmp_path)!r}) / f'{{os.getpid()}}.pid').touch()\n{WAIT}"
    )
    started = parent(listen)
    pids_in(tmp_path)
    started.send_signal(signal.SIGTERM)
    _, trace = started.communicate(timeout=60)
    assert started.returncode == 1
    assert trace.count("Stopped at step 3: a checkpoint is kept.") == 1
