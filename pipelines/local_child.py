"""The process in which `kfp.local` runs a pipeline; started by `pipelines.local`.

A process of its own, because kfp.local sets global state, swaps log handlers and may leave `print` patched.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from types import FrameType

from kfp import local
from kfp.dsl import Artifact
from kfp.local import cache, placeholder_utils, subprocess_task_handler
from kfp.local.status import Status
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from embedtune.progress import EVENTS_VARIABLE
from pipelines.compiling import PIPELINES
from pipelines.local_cache import NOTES, CheckedCache
from pipelines.local_events import read_events
from pipelines.local_process import end_with_caller, inherited_files

INDENT = "    "
"""What kfp.local puts before every line that a step prints."""


class StepHandler(subprocess_task_handler.SubprocessTaskHandler):
    """Runs a step as kfp.local does, but in a process that ends with the run, and without changing its arguments.

    kfp 2.17 puts the path of Python into every argument that has 'python3' in it, and starts a shell in between.
    """

    def run(self) -> Status:
        """Run the step, print what it prints, and keep its notes beside its outputs."""
        code, *arguments = self.full_command[3:]  # after sh, -ec and the shell's script
        with tempfile.TemporaryDirectory() as folder:
            module = Path(folder, "component.py")
            module.write_text(code, encoding="utf-8")
            process = subprocess.Popen(
                [sys.executable, "-m", "pipelines.local_step", "--component_module_path", module, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **self.env_vars, "_KFP_RUNTIME": "true"},
                pass_fds=inherited_files(),
            )
            with process:
                for line in process.stdout:
                    sys.stdout.write(f"{INDENT}{line}")
        if process.returncode < 0:
            sys.stdout.write(f"{INDENT}The process was ended by {signal.Signals(-process.returncode).name}.\n")
        if process.returncode != 0:
            return Status.FAILURE
        executor_input = json.loads(arguments[arguments.index("--executor_input") + 1])
        _keep_notes(process.pid, Path(executor_input["outputs"]["outputFile"]).with_name(NOTES))
        return Status.SUCCESS


def _keep_notes(process: int, target: Path) -> None:
    events = read_events(Path(os.environ[EVENTS_VARIABLE]), 0)[1]
    notes = [event["text"] for event in events if event["event"] == "note" and event["process"] == process]
    target.write_text(json.dumps(notes), encoding="utf-8")


def main(request_path: str) -> int:
    """Run what the request file says, and write the pipeline's outputs to its `outputs` path.

    Returns:
        Exit code: 0, or 1 if a task failed.
    """
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    # kfp wonders about images without "python" in their name, which this runner does not use anyway.
    warnings.filterwarnings("ignore", message=".*may not be compatible with.*|.*no effect.*", category=Warning)
    signal.signal(signal.SIGTERM, _let_task_end)
    end_with_caller()
    component = PIPELINES[request["pipeline"]].component
    drop_retries(component.pipeline_spec)
    train_one_at_a_time(component.pipeline_spec)
    subprocess_task_handler.SubprocessTaskHandler = StepHandler
    checked = CheckedCache(Path(request["cache"]), Path(request["output"])) if request["caching"] else None
    cache.get_local_cache = lambda: checked
    # What kfp.local puts for the run's id would be a random number; this is where the run can be looked at.
    placeholder_utils.make_random_id = lambda: Path(request["pipeline_root"]).name
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=request["pipeline_root"],
        raise_on_error=False,  # what it would raise says less than the log
    )
    try:
        task = component(**request["arguments"])
    finally:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)  # the caller may be gone
    outputs = {name: value.path if isinstance(value, Artifact) else value for name, value in task.outputs.items()}
    if not outputs:
        return 1
    Path(request["outputs"]).write_text(json.dumps(outputs), encoding="utf-8")
    return 0


def drop_retries(spec: PipelineSpec) -> None:
    """Make every task run once: what fails here fails again, and kfp.local really waits between attempts."""
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")


def train_one_at_a_time(spec: PipelineSpec) -> None:
    """Let a loop that trains run one task after the other: each takes the whole machine, and its memory."""
    trains = {name for name, part in spec.components.items() if "finetune-candidate" in part.dag.tasks}
    for dag in (spec.root.dag, *(component.dag for component in spec.components.values())):
        for task in dag.tasks.values():
            if task.component_ref.name in trains:
                task.iterator_policy.parallelism_limit = 1


def _let_task_end(number: int, frame: FrameType | None) -> None:
    """Go on reading what the running task prints: it was told to stop as well and may be writing a checkpoint."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
