"""Starts the processes of a training, and ends all of them when one ends. Imports no torch.

A process of its own for each GPU, children of the step: who stops the step stops them, and they do not outlive it.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune import errors
from embedtune.cpus import divided_threads
from embedtune.errors import EmbedtuneError, StoppedError, TrainingError, explain
from embedtune.progress import EVENTS_VARIABLE
from embedtune.training.stopping import told_to_stop

_INTERVAL = 0.05
"""Seconds between two looks at the processes."""
_LAST_WORDS = 2000
"""Characters of its log that are shown of a process that ended without a word."""


@dataclass(frozen=True)
class _Member:
    """One of the processes."""

    rank: int
    process: "subprocess.Popen[bytes]"


def run_together(command: Sequence[str], environments: Sequence[Mapping[str, str]], job: Mapping[str, object]) -> None:
    """Run a command in several processes until all have ended well.

    The first one's output is this process's; of the others nothing is seen, unless they fail. SIGTERM and Ctrl-C reach
    all of them, as SIGTERM.

    Args:
        command: What each runs, followed by a folder, the number of the process from 0, and the number of processes.
            Each reads `job.json` of the folder, and tells by `tell_error` what ends it. It ends when its standard
            input does, for then this process is gone.
        environments: What each process has in its environment beside all that is in this one's.
        job: What they are to do.

    Raises:
        EmbedtuneError: what the first of them that failed raised, as the nearest class of `embedtune.errors`.
        TrainingError: one of them was killed.
    """
    told: list[int] = []
    with tempfile.TemporaryDirectory(prefix="embedtune-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        members: list[_Member] = []

        def hand_on(number: int) -> None:
            told.append(number)
            _stop(members)

        try:
            with told_to_stop(hand_on):
                for rank, environment in enumerate(environments):
                    members.append(
                        _start([*command, name, str(rank), str(len(environments))], rank, environment, folder)
                    )
                if told:
                    _stop(members)
                failed = _wait(members)
        finally:
            for member in members:
                _end(member)
        words = _words(folder)
        if words and words[0]["kind"]:
            raise _explained(words[0])
        if failed and not told:
            raise _unexplained(failed, words, len(members), folder)
    if told:
        os.kill(os.getpid(), told[0])
        if failed:
            raise StoppedError("Stopped while nothing was being trained: run again.")


def tell_error(folder: Path, rank: int, error: BaseException, trace: str) -> None:
    """Leave the error that ends a process for the one that started it.

    Args:
        folder: The folder that it was given.
        rank: Its number.
        error: What ends it.
        trace: How that came about.
    """
    message = explain(error)
    kind = _kind(error)
    if message and not kind:
        kind = EmbedtuneError.__name__
    if not kind:
        message = f"{type(error).__name__}: {error}"
    words = {"time": time.monotonic(), "kind": kind, "message": message or str(error), "trace": trace}
    path = folder / f"{rank}.part"
    path.write_text(json.dumps(words), encoding="utf-8")
    path.replace(folder / f"{rank}.json")


def _kind(error: BaseException) -> str:
    """Return the name of the nearest class by which the error can be raised again elsewhere; '' where there is none."""
    known = (kind for kind in type(error).__mro__ if kind is MemoryError or vars(errors).get(kind.__name__) is kind)
    return next((kind.__name__ for kind in known), "")


def _start(command: list[str], rank: int, environment: Mapping[str, str], folder: Path) -> _Member:
    variables = {**os.environ, **divided_threads(int(command[-1])), **environment, "TMPDIR": str(folder)}
    code = str(Path(errors.__file__).parents[1])  # the code that is running here, wherever it was imported from
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, (code, variables.get("PYTHONPATH"))))
    if rank:
        variables.pop(EVENTS_VARIABLE, None)
    with (folder / f"{rank}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log if rank else None,
            stderr=log if rank else None,
            env=variables,
            process_group=0,  # else a terminal's Ctrl-C would reach them beside what is handed on
        )
    return _Member(rank, process)


def _stop(members: list[_Member]) -> None:
    for member in members:
        member.process.terminate()


def _wait(members: list[_Member]) -> list[_Member]:
    """Wait until all have ended well, or one has not; return those that have not."""
    while True:
        codes = [member.process.poll() for member in members]
        if any(codes):
            return [member for member, code in zip(members, codes, strict=True) if code]
        if None not in codes:
            return []
        time.sleep(_INTERVAL)


def _end(member: _Member) -> None:
    member.process.kill()
    member.process.wait()
    if member.process.stdin is not None:
        member.process.stdin.close()


def _words(folder: Path) -> list[dict[str, Any]]:
    """Return what they told: what a person can act on before all else, for those who wait for a lost one fail too."""
    told = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("[0-9]*.json")]
    return sorted(told, key=lambda words: (not words["kind"], words["time"]))


def _explained(words: Mapping[str, Any]) -> Exception:
    kind = MemoryError if words["kind"] == MemoryError.__name__ else getattr(errors, words["kind"])
    error: Exception = kind(words["message"])
    return error


def _unexplained(failed: list[_Member], words: list[dict[str, Any]], count: int, folder: Path) -> Exception:
    silent = [member for member in failed if not (folder / f"{member.rank}.json").exists()]
    if silent:
        return TrainingError(_without_a_word(silent[0], count, folder))
    error = RuntimeError(words[0]["message"])
    error.add_note(words[0]["trace"])
    return error


def _without_a_word(member: _Member, count: int, folder: Path) -> str:
    code = member.process.returncode
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    log = (folder / f"{member.rank}.log").read_text(encoding="utf-8", errors="replace")[-_LAST_WORDS:].strip()
    return (
        f"Process {member.rank + 1} of the {count} that train together was {how}, without a word. SIGKILL is most "
        "often memory that ran out: give the task more (train_memory on a cluster), or lower gpu_count."
        + (f" The end of its log: {log}" if log else "")
    )
