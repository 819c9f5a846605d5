"""The process in which `kfp.local` runs a pipeline; started by `pipelines.local`.

A process of its own, because kfp.local sets global state, swaps log handlers and may leave `print` patched.
"""

import json
import sys
import warnings
from pathlib import Path

from kfp import local
from kfp.dsl import Artifact

from pipelines.compiling import PIPELINES


def main(request_path: str) -> None:
    """Run what the request file says, and write the pipeline's outputs to its `outputs` path."""
    request = json.loads(Path(request_path).read_text(encoding="utf-8"))
    # kfp wonders about images without "python" in their name, which this runner does not use anyway.
    warnings.filterwarnings("ignore", message=".*may not be compatible with.*|.*no effect.*", category=Warning)
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=request["pipeline_root"],
        enable_caching=request["caching"],
    )
    task = PIPELINES[request["pipeline"]].component(**request["arguments"])
    outputs = {name: value.path if isinstance(value, Artifact) else value for name, value in task.outputs.items()}
    Path(request["outputs"]).write_text(json.dumps(outputs), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
