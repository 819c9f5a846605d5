"""Defaults on every data set, several seeds: is the tuned model better, and does the run say so honestly?"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.data import DATASETS, available


def main() -> None:
    """Print one line per data set and seed, from `summary.json` of a real run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="42,1,2,3", help="the first is the default, fixed in advance")
    parser.add_argument("--data", default=",".join(DATASETS))
    options = parser.parse_args()
    for name, path in available(options.data.split(",")).items():
        for seed in options.seeds.split(","):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "pipelines", "run", "finetune", "--output", folder]
                done = subprocess.run(
                    [*command, "--data-uri", str(path), "--train-seed", seed],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode != 0:
                    sys.exit(f"{name}, seed {seed}: the run failed:\n{done.stderr[-3000:]}")
                summary = json.loads(Path(folder, "summary.json").read_text(encoding="utf-8"))
            ndcg = summary["metrics"]["ndcg_at_10"]
            verdict = "better" if summary["decision"]["better"] else "not shown to be better"
            print(
                f"{name}, seed {seed}: nDCG@10 {ndcg['base']:.3f} -> {ndcg['tuned']:.3f}, {ndcg['difference']:+.3f} "
                f"({ndcg['lower']:+.3f} to {ndcg['upper']:+.3f}), {summary['queries']} queries, {verdict}, "
                f"{summary['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
