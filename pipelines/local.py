"""Run a pipeline on this machine: the compiled components, through kfp.local, in a child process."""

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedtune.cluster.failures import FAILED_WORDS
from embedtune.errors import ConfigError, EmbedtuneError
from embedtune.mlflow.connection import TRACKING_VARIABLE, check_registry, local_tracking_uri
from embedtune.progress import EVENTS_VARIABLE
from embedtune.steps.finetune import CHECKPOINTS_VARIABLE
from embedtune.storage.atomic import atomic_folder, atomic_path, link_or_copy, write_text_whole
from pipelines.compiling import PIPELINES
from pipelines.local_display import Display
from pipelines.local_events import new_lines, read_events
from pipelines.local_folder import CACHE, CHECKPOINTS, RunFolder
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

    folder: Path
    """The folder of this run alone."""
    outputs: dict[str, Any]
    """The pipeline's outputs: paths of artifacts, values of parameters."""
    step_seconds: dict[str, float]
    """Wall time of each step that ran; a step that is missing was taken from the cache."""
    seconds: float
    tracking_uri: str


def check_run(name: str, arguments: dict[str, object], output: Path) -> None:
    """Check a run before anything is written.

    Args:
        name: Key of PIPELINES.
        arguments: Parameter values.
        output: Folder for everything the run writes.

    Raises:
        ConfigError: an argument is not accepted.
        StorageError: data_uri is no address, or carries credentials.
    """
    PIPELINES[name].check(arguments)
    _check_texts([str(output.resolve()), *(value for value in arguments.values() if isinstance(value, str))])


def run_locally(name: str, arguments: dict[str, object], folder: RunFolder, caching: bool, verbose: bool) -> LocalRun:
    """Run a pipeline and show its progress.

    Steps whose inputs did not change since an earlier run into the same folder are not run again, and a training that
    was stopped goes on from its last checkpoint.

    Args:
        name: Key of PIPELINES.
        arguments: Parameter values, which `check_run` accepts.
        folder: Where the run writes.
        caching: Whether results of earlier runs may be used.
        verbose: Show what kfp and the steps print.

    Raises:
        StorageError: the folder cannot be written.
        RegistryError: MLflow cannot be written or reached.
        RunFailedError: a step failed.
        KeyboardInterrupt: the run was stopped; its processes are gone.
    """
    request = {
        "pipeline": name,
        "arguments": arguments,
        "output": str(folder.output.resolve()),
        "pipeline_root": str(folder.path.resolve()),
        "cache": str((folder.output / CACHE).resolve()),
        "caching": caching,
        "outputs": str(folder.outputs.resolve()),
    }
    write_text_whole(folder.request, json.dumps(request))
    started = time.monotonic()
    environment = _environment(folder)
    check_registry(environment[TRACKING_VARIABLE])
    with Display(verbose) as display:
        follower = _Follower(folder, display, verbose)
        code = _follow(folder, environment, follower, display)
        display.finish(code == 0)
    if code != 0:
        raise RunFailedError(_failure(follower.error, display.running, folder.log))
    return LocalRun(
        folder=folder.path,
        outputs=json.loads(folder.outputs.read_text(encoding="utf-8")),
        step_seconds=display.seconds,
        seconds=time.monotonic() - started,
        tracking_uri=environment[TRACKING_VARIABLE],
    )


def _check_texts(texts: list[str]) -> None:
    """Refuse what kfp.local 2.17 would change: it reads `{{$` as its own."""
    for text in texts:
        if "{{$" in text:
            raise ConfigError(
                f"{text!r} contains '{{{{$', which the local runner of kfp 2.17 would replace. "
                "Use another name or path."
            )


def _environment(folder: RunFolder) -> dict[str, str]:
    defaults = {
        TRACKING_VARIABLE: local_tracking_uri(folder.output),
        CHECKPOINTS_VARIABLE: str((folder.output / CHECKPOINTS).resolve()),
        "TOKENIZERS_PARALLELISM": "false",
    }
    ours = {
        EVENTS_VARIABLE: str(folder.events.resolve()),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(folder.scratch),  # a killed step leaves its checkpoints behind
        "JINA_HUB_ROOT": str(folder.scratch / "jina"),  # else below this process's TMPDIR, where it would stay
    }
    return {**defaults, **os.environ, **ours}


def _follow(folder: RunFolder, environment: dict[str, str], follower: "_Follower", display: Display) -> int:
    """Run the child to its end, showing what it does, and return its exit code."""
    try:
        with child_process("pipelines.local_child", folder.request, folder.log, environment, (folder.lock,)) as child:
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

    def __init__(self, folder: RunFolder, display: Display, verbose: bool) -> None:
        self._folder = folder
        self._display, self._verbose = display, verbose
        self._event_offset = self._log_offset = 0
        self.error: dict[str, Any] | None = None

    def read(self) -> None:
        """Show everything that came since the last call."""
        self._event_offset, events = read_events(self._folder.events, self._event_offset)
        for event in events:
            if event["event"] in ("start", "error"):
                self.error = event if event["event"] == "error" else None
            self._display.show(event)
        if self._verbose:
            self._log_offset, lines = new_lines(self._folder.log, self._log_offset)
            for line in lines:
                self._display.print(line)


def _failure(error: dict[str, Any] | None, running: str, log: Path) -> str:
    text = _COLOUR.sub("", log.read_text(encoding="utf-8", errors="replace"))
    if error is not None:
        what = f"The step {error['step']} failed: {error['message']}"
        told = f"{error['step']}{FAILED_WORDS}"  # the line that a pod would leave repeats the message
        lines = [line for line in _own_lines(text, explained=error["explained"]) if not line.startswith(told)]
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
    """Put a run's output at a place where people look for it, replacing what is there as a whole.

    The files there are the very files of the run, under a second name, where the file system can do that: nothing
    that embedtune runs ever changes a file of a finished step.

    Args:
        source: File or folder that a step wrote.
        target: Where people look for it.

    Raises:
        StorageError: the place cannot be written.
    """
    if source.is_dir():
        with atomic_folder(target) as part:
            shutil.copytree(source, part, copy_function=link_or_copy, dirs_exist_ok=True)
    else:
        with atomic_path(target) as part:
            link_or_copy(source, part)
    return target
