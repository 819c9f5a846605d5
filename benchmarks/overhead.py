"""What a run costs besides its work: imports, the start of each data step, the local runner per step."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import ROOT

_ROUNDS = 5
_DATA_STEPS = ("resolve_data", "ingest_csv", "build_documents", "register_model")


def main() -> None:
    """Print medians of whole processes."""
    bare = _median("pass")
    print(f"python itself: {bare:.2f} s; below, each is the median of {_ROUNDS} processes less this")
    print(f"import embedtune: {_median('import embedtune') - bare:.3f} s (under 0.2 s is the aim)")
    for step in _DATA_STEPS:
        code = f"import embedtune.steps.{step}, sys; assert 'torch' not in sys.modules"
        print(f"start of {step}: {_median(code) - bare:.2f} s, no torch (under 1 s is the aim)")
    _print_runner()


def _median(code: str) -> float:
    return statistics.median(_seconds([sys.executable, "-c", code]) for _ in range(_ROUNDS))


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    return time.perf_counter() - started


def _print_runner() -> None:
    """Run everything twice; the second time only the uncached steps have something to do."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pipelines", "run", "finetune", "--output", folder, "--train-epochs", "1"]
        command += ["--data-uri", str(ROOT / "examples/recipes_pairs.csv")]
        for name in ("first run", "second run, unchanged data"):
            wall = _seconds(command)
            steps = json.loads(Path(folder, "summary.json").read_text(encoding="utf-8"))["step_seconds"]
            told = ", ".join(f"{step} {seconds:.1f}" for step, seconds in steps.items())
            rest = wall - sum(steps.values())
            print(f"{name}: {wall:.1f} s, of which outside the steps {rest:.1f} s ({rest / 6:.2f} s a step); {told}")


if __name__ == "__main__":
    main()
