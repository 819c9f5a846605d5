"""Run a pipeline on this machine: the compiled components, through kfp.local, in a child process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.errors import ConfigError, EmbedtuneError
from embedtune.progress import EVENTS_VARIABLE
from embedtune.registry.tracking import TRACKING_VARIABLE, local_tracking_uri
from embedtune.steps.finetune import CHECKPOINTS_VARIABLE
from pipelines.compiling import PIPELINES, steps_of
from pipelines.local_display import Display

_POLL_SECONDS = 0.1
_GRACE_SECONDS = 60.0
"""How long a stopped run may take to write its checkpoint."""
_LOG_LINES = 20


class RunFailedError(EmbedtuneError):
    """A step of a local run failed; the message says which and why."""


@dataclass(frozen=True)
class LocalRun:
    """A finished run."""

    outputs: dict[str, Any]
    """The pipeline's outputs: paths of artifacts, values of parameters."""
    step_seconds: dict[str, float]
    """Wall time of each step that ran; a step that is missing was taken from the cache."""
    seconds: float
    tracking_uri: str


def run_locally(name: str, arguments: dict[str, object], output: Path, caching: bool, verbose: bool) -> LocalRun:
    """Run a pipeline and show its progress.

    Steps whose inputs did not change since an earlier run into the same folder are not run again, and a training that
    was stopped goes on from its last checkpoint.

    Args:
        name: Key of PIPELINES.
        arguments: Parameter values.
        output: Folder for everything the run writes.
        caching: Whether results of earlier runs may be used.
        verbose: Show what kfp and the steps print.

    Raises:
        ConfigError: an argument is not accepted.
        RunFailedError: a step failed.
        KeyboardInterrupt: the run was stopped; its processes are gone.
    """
    PIPELINES[name].check(arguments)
    _check_texts([str(output.resolve()), *(value for value in arguments.values() if isinstance(value, str))])
    work = output / "runs"
    work.mkdir(parents=True, exist_ok=True)
    events, log, outputs = work / "events.jsonl", work / "log.txt", work / "outputs.json"
    for path in (events, outputs):
        path.unlink(missing_ok=True)
    environment = _environment(output, events)
    request = {
        "pipeline": name,
        "arguments": arguments,
        "pipeline_root": str(work.resolve()),
        "caching": caching,
        "outputs": str(outputs.resolve()),
    }
    (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
    started = time.monotonic()
    with (
        Display(steps_of(PIPELINES[name]), verbose) as display,
        _child(work / "request.json", log, environment) as child,
    ):
        follower = _Follower(events, log, display, verbose)
        while child.poll() is None:
            follower.read()
            time.sleep(_POLL_SECONDS)
        follower.read()
        display.finish(child.returncode == 0)
    if child.returncode != 0 or not outputs.exists():
        raise RunFailedError(_failure(follower.error, display.running, log, child.returncode))
    return LocalRun(
        outputs=json.loads(outputs.read_text(encoding="utf-8")),
        step_seconds=display.seconds,
        seconds=time.monotonic() - started,
        tracking_uri=environment[TRACKING_VARIABLE],
    )


def _check_texts(texts: list[str]) -> None:
    """Refuse what kfp.local 2.17 would change: it replaces `python3` by a path, and reads `{{$` as its own."""
    for text in texts:
        for forbidden in ("python3", "{{$"):
            if forbidden in text:
                raise ConfigError(
                    f"{text!r} contains {forbidden!r}, which the local runner of kfp 2.17 would replace. "
                    "Use another name or path."
                )


def _environment(output: Path, events: Path) -> dict[str, str]:
    defaults = {
        TRACKING_VARIABLE: local_tracking_uri(output),
        CHECKPOINTS_VARIABLE: str((output / "checkpoints").resolve()),
        "TOKENIZERS_PARALLELISM": "false",
    }
    return {**defaults, **os.environ, EVENTS_VARIABLE: str(events.resolve()), "PYTHONUNBUFFERED": "1"}


@contextmanager
def _child(request: Path, log: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child in a process group of its own; leave no process behind, whatever happens."""
    command = [sys.executable, "-m", "pipelines.local_child", str(request)]
    with log.open("wb") as file:
        child = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    try:
        yield child
    finally:
        _stop_group(child)


def _stop_group(child: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GRACE_SECONDS
    number = signal.SIGTERM
    while True:
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        for _ in range(20):
            child.poll()
            if not _group_alive(child.pid):
                break
            time.sleep(_POLL_SECONDS)
        else:
            if time.monotonic() > deadline:
                number = signal.SIGKILL
            continue
        break
    child.wait()


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class _Follower:
    """Reads what is new in the event file and the log."""

    def __init__(self, events: Path, log: Path, display: Display, verbose: bool) -> None:
        self._events, self._log = events, log
        self._display, self._verbose = display, verbose
        self._event_offset = self._log_offset = 0
        self.error: dict[str, str] | None = None

    def read(self) -> None:
        """Show everything that came since the last call."""
        self._event_offset, lines = _new_lines(self._events, self._event_offset)
        for line in lines:
            event = json.loads(line)
            if event["event"] == "error":
                self.error = event
            self._display.show(event)
        if self._verbose:
            self._log_offset, lines = _new_lines(self._log, self._log_offset)
            for line in lines:
                self._display.print(line)


def _new_lines(path: Path, offset: int) -> tuple[int, list[str]]:
    if not path.exists():
        return offset, []
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return offset + len(whole), whole.decode("utf-8", errors="replace").splitlines()


def _failure(error: dict[str, str] | None, running: str, log: Path, code: int) -> str:
    if error is not None and not error["kind"].endswith("Error"):
        error = {**error, "message": f"{error['kind']}: {error['message']}"}
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    tail = "\n".join(f"    {line[:300]}" for line in lines[-_LOG_LINES:])
    if error is None:
        reason = f"its process ended with code {code} and no word; perhaps memory ran out"
        return f"The step {running or 'before the first'} failed: {reason}.\n\nLast lines of {log}:\n{tail}"
    return f"The step {error['step']} failed: {error['message']}\n\nThe whole log is {log}."


def publish(source: Path, target: Path) -> Path:
    """Put a run's output at a fixed place, without a copy where the disk allows; it is replaced whole.

    Args:
        source: File or folder inside the run.
        target: Where people look for it.
    """
    partial = target.with_name(f".{target.name}.partial")
    if source.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(source, partial, copy_function=_link_or_copy)
        shutil.rmtree(target, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)
        _link_or_copy(str(source), str(partial))
    partial.replace(target)
    return target


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
