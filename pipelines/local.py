"""Run a pipeline on this machine: the compiled components, through kfp.local, in a child process."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.errors import ConfigError, EmbedtuneError, StorageError
from embedtune.progress import EVENTS_VARIABLE
from embedtune.registry.tracking import TRACKING_VARIABLE, local_tracking_uri
from embedtune.steps.finetune import CHECKPOINTS_VARIABLE
from embedtune.storage.atomic import atomic_folder, atomic_path
from pipelines.compiling import PIPELINES, steps_of
from pipelines.local_display import Display
from pipelines.local_process import child_process

_POLL_SECONDS = 0.1
_LOG_LINES = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FAILED_TASK = re.compile(r"Inner task failed: '([\w-]+)'")
_INPUT_MARK, _INPUT_END = "Got executor_input:", "    }"
"""kfp prints a step's input as indented JSON; what the step itself prints follows."""
_INDENT = "    "
_TRACEBACK = "Traceback (most recent call last):"
_KFP_LINE = re.compile(r"-{40,}$|\d\d:\d\d:\d\d\.\d+ - [A-Z]+ - |\s*\[KFP Executor ")
"""What kfp 2.17 logs of a failed pipeline."""


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
        StorageError: the output folder cannot be made.
        RunFailedError: a step failed.
        KeyboardInterrupt: the run was stopped; its processes are gone.
    """
    PIPELINES[name].check(arguments)
    _check_texts([str(output.resolve()), *(value for value in arguments.values() if isinstance(value, str))])
    work = _work_folder(output)
    events, log, outputs = work / "events.jsonl", work / "log.txt", work / "outputs.json"
    for path in (events, outputs):
        path.unlink(missing_ok=True)
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
        tempfile.TemporaryDirectory(prefix="embedtune-") as scratch,
        Display(steps_of(PIPELINES[name]), verbose) as display,
    ):
        environment = _environment(output, events, scratch)
        follower = _Follower(events, log, display, verbose)
        code = _follow(work / "request.json", log, environment, follower, display)
        display.finish(code == 0)
    if code != 0:
        raise RunFailedError(_failure(follower.error, display.running, log))
    return LocalRun(
        outputs=json.loads(outputs.read_text(encoding="utf-8")),
        step_seconds=display.seconds,
        seconds=time.monotonic() - started,
        tracking_uri=environment[TRACKING_VARIABLE],
    )


def _work_folder(output: Path) -> Path:
    work = output / "runs"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"The output folder {output} cannot be made: {error}. Give another --output.") from error
    return work


def _check_texts(texts: list[str]) -> None:
    """Refuse what kfp.local 2.17 would change: it replaces `python3` by a path, and reads `{{$` as its own."""
    for text in texts:
        for forbidden in ("python3", "{{$"):
            if forbidden in text:
                raise ConfigError(
                    f"{text!r} contains {forbidden!r}, which the local runner of kfp 2.17 would replace. "
                    "Use another name or path."
                )


def _environment(output: Path, events: Path, scratch: str) -> dict[str, str]:
    defaults = {
        TRACKING_VARIABLE: local_tracking_uri(output),
        CHECKPOINTS_VARIABLE: str((output / "checkpoints").resolve()),
        "TOKENIZERS_PARALLELISM": "false",
    }
    ours = {
        EVENTS_VARIABLE: str(events.resolve()),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": scratch,  # kfp leaves a folder behind for every task, a killed step its checkpoints
    }
    return {**defaults, **os.environ, **ours}


def _follow(request: Path, log: Path, environment: dict[str, str], follower: "_Follower", display: Display) -> int:
    """Run the child to its end, showing what it does, and return its exit code."""
    try:
        with child_process("pipelines.local_child", request, log, environment) as child:
            _watch(child, follower, display)
    except KeyboardInterrupt:
        follower.read()
        if follower.error is not None:
            display.print(follower.error["message"])
        raise
    follower.read()
    return child.wait()


def _watch(child: subprocess.Popen[bytes], follower: "_Follower", display: Display) -> None:
    try:
        while child.poll() is None:
            follower.read()
            time.sleep(_POLL_SECONDS)
    except KeyboardInterrupt:
        display.print("Stopping; a training writes a checkpoint first. Press Ctrl-C again to stop at once.")
        raise


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
            if event["event"] in ("start", "error"):
                self.error = event if event["event"] == "error" else None
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


def _failure(error: dict[str, Any] | None, running: str, log: Path) -> str:
    text = _COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace"))
    if error is not None:
        what = f"The step {error['step']} failed: {error['message']}"
        lines = _own_lines(text, explained=error["explained"])
    else:
        named = _FAILED_TASK.search(text)
        step = named[1].replace("-", "_") if named is not None else running
        what = f"{f'The step {step}' if step else 'The run'} ended without saying why; perhaps memory ran out."
        own = _own_lines(text, explained=False)
        lines = own if own else [line for line in text.splitlines() if line.strip()]
    tail = "".join(f"\n    {line.rstrip()[:300]}" for line in lines[-_LOG_LINES:])
    last = f"\n\nLast lines of its log:{tail}" if tail else ""
    return f"{what}{last}\n\nThe whole log is {log}."


def _own_lines(text: str, explained: bool) -> list[str]:
    """Return what the last step printed, without kfp's lines, and without the traceback of an explained error."""
    _, _, rest = text.rpartition(_INPUT_MARK)
    if explained:
        rest = rest.partition(_TRACEBACK)[0]
    lines = rest.splitlines()
    end = next((number for number, line in enumerate(lines) if line == _INPUT_END), -1)
    own = lines[end + 1 :]
    return [line.removeprefix(_INDENT) for line in own if line.strip() and not _KFP_LINE.match(line)]


def publish(source: Path, target: Path) -> Path:
    """Copy a run's output to a fixed place, replacing what is there as a whole.

    Args:
        source: File or folder inside the run.
        target: Where people look for it.

    Raises:
        StorageError: the place cannot be written.
    """
    if source.is_dir():
        with atomic_folder(target) as part:
            shutil.copytree(source, part, dirs_exist_ok=True)
    else:
        with atomic_path(target) as part:
            shutil.copy2(source, part)
    return target
