"""The process in which `kfp.local` runs a pipeline; started by `pipelines.local`.

A process of its own, because kfp.local sets global state, swaps log handlers and may leave `print` patched.
"""

import json
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType

from kfp import local
from kfp.dsl import Artifact
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from pipelines.compiling import PIPELINES

_FILELESS = ("system.Metrics", "system.ClassificationMetrics")


def main(request_path: str) -> int:
    """Run what the request file says, and write the pipeline's outputs to its `outputs` path.

    Returns:
        Exit code: 0, or 1 if a task failed.
    """
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    # kfp wonders about images without "python" in their name, which this runner does not use anyway.
    warnings.filterwarnings("ignore", message=".*may not be compatible with.*|.*no effect.*", category=Warning)
    signal.signal(signal.SIGTERM, _let_task_end)
    component = PIPELINES[request["pipeline"]].component
    drop_retries(component.pipeline_spec)
    complete_cached_metrics(component.pipeline_spec, Path(request["pipeline_root"]))
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=request["pipeline_root"],
        enable_caching=request["caching"],
        raise_on_error=False,  # what it would raise says less than the log
    )
    task = component(**request["arguments"])
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


def complete_cached_metrics(spec: PipelineSpec, pipeline_root: Path) -> None:
    """Give the Metrics outputs of earlier runs an empty file.

    Their values are metadata and they have no file, which kfp.local 2.17 takes for a lost output: it would run every
    task with Metrics again.

    Args:
        spec: The pipeline.
        pipeline_root: Folder of the runs.
    """
    for component_name, component in spec.components.items():
        task = component_name.removeprefix("comp-")
        for name, definition in component.output_definitions.artifacts.items():
            if definition.artifact_type.schema_title in _FILELESS:
                for folder in pipeline_root.glob(f"{spec.pipeline_info.name}-*/**/{task}"):
                    (folder / name).touch()


def _let_task_end(number: int, frame: FrameType | None) -> None:
    """Go on reading what the running task prints: it was told to stop as well and may be writing a checkpoint."""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
