"""Run the pipeline `finetune` with `kfp.local.DockerRunner`: `python -m tests.containers.docker_run REQUEST`.

A process of its own, because kfp.local sets global state. The request is a JSON file: `container` has arguments of
docker's `containers.run`, `arguments` those of the pipeline, `pipeline_root` and `workspace_root` folders, and
`outputs` the file to write.
"""

import json
import os
import sys
from pathlib import Path

from kfp import local
from kfp.dsl import Artifact

from pipelines.compiling import PIPELINES
from pipelines.local_child import drop_retries


def main(request_path: str) -> int:
    """Run what the request says and return the exit code: 1 if a task failed."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    os.umask(0)  # kfp makes the folders into which the container's user writes
    component = PIPELINES["finetune"].component
    drop_retries(component.pipeline_spec)
    local.init(
        local.DockerRunner(**request["container"]),
        pipeline_root=request["pipeline_root"],
        workspace_root=request["workspace_root"],
        raise_on_error=False,  # the log says more
    )
    task = component(**request["arguments"])
    outputs = {name: value.path if isinstance(value, Artifact) else value for name, value in task.outputs.items()}
    Path(request["outputs"]).write_text(json.dumps(outputs), encoding="utf-8")
    return 0 if outputs else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
