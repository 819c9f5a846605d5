"""The whole pipeline against a plain sentence-transformers script: same data, batch size, epochs and learning rate.

Each round runs both, one after the other; what is printed are the rounds and the medians. The script's time is that of
the whole process (imports, evaluation before and after, saving), as ours is that of the whole `run`. With `--before`,
an earlier state of this repository runs in each round too.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import CSVS, DATASETS, Prepared, prepare
from embedtune.documents.build import BuildOptions
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.training.config import FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.pair_batches import PairBatches


def main() -> None:
    """Print both sides, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="support_tickets", choices=CSVS)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--before", type=Path, help="checkout of an earlier commit to run as well")
    options = parser.parse_args()
    config = FinetuneConfig(loss="MultipleNegativesRankingLoss", epochs=5, learning_rate=1e-4)
    rows, before = [], []
    for number in range(1, options.rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            csv = DATASETS[options.data].write(Path(folder))
            prepared = prepare(csv, Path(folder), BuildOptions(seed=config.seed))
            plain = _run_plain(prepared, config, Path(folder))
            ours = _run_ours(csv, config, Path(folder) / "ours", Path.cwd())
            rows.append((plain, ours))
            print(f"round {number}: plain {_show(plain)}; embedtune {_show(ours)}", flush=True)
            if options.before is not None:
                earlier = _run_ours(csv, config, Path(folder) / "before", options.before)
                before.append(ours["texts_per_second"] / earlier["texts_per_second"])
                print(f"round {number}: before {_show(earlier)}", flush=True)
    speed = statistics.median(ours["texts_per_second"] / plain["texts_per_second"] for plain, ours in rows)
    spare = statistics.median(1.25 * plain["wall"] + 10 - ours["wall"] for plain, ours in rows)
    print(f"training throughput, embedtune / plain: {speed:.2f} (at least 1 is the aim)")
    print(f"wall time below 1.25 x plain + 10 s by: {spare:+.1f} s (at least 0 is the aim)")
    if before:
        print(f"training throughput, embedtune / before: {statistics.median(before):.2f}")


def _show(side: dict[str, Any]) -> str:
    return f"{side['texts_per_second']:.1f} texts/s, {side['wall']:.1f} s in all"


def _run_plain(prepared: Prepared, config: FinetuneConfig, folder: Path) -> dict[str, Any]:
    data = folder / "plain.json"
    data.write_text(json.dumps(_plain_data(prepared, config)), encoding="utf-8")
    output = folder / "plain"
    wall = _timed([sys.executable, "-m", "benchmarks.plain_script", str(data), str(output)], Path.cwd())
    return {"wall": wall, **json.loads((output / "plain.json").read_text(encoding="utf-8"))}


def _run_ours(csv: str, config: FinetuneConfig, output: Path, checkout: Path) -> dict[str, Any]:
    choices = {
        "--data-uri": csv,
        "--output": output,
        "--train-loss": config.loss,
        "--train-epochs": config.epochs,
        "--train-learning-rate": config.learning_rate,
        "--train-batch-size": config.batch_size,
        "--model-max-length": config.max_length,
    }
    flags = [text for name, value in choices.items() for text in (name, str(value))]
    wall = _timed([sys.executable, "-m", "pipelines", "run", "finetune", *flags], checkout)
    summary = json.loads((output / "summary.json").read_text(encoding="utf-8"))
    return {"wall": wall, "texts_per_second": summary["training"]["texts_per_second"]}


def _timed(command: list[str], checkout: Path) -> float:
    started = time.perf_counter()
    path = {**os.environ, "PYTHONPATH": str(checkout.resolve())}
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=checkout, env=path)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - started


def _plain_data(prepared: Prepared, config: FinetuneConfig) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as scratch:
        examples = TrainingSet.read(prepared.train, Path(scratch))
        batches = list(PairBatches(examples, config.batch_size, config.seed).epoch(0))
        texts = [examples.contents.text(position) for position in np.concatenate(batches).ravel()]
    queries, index = (
        BuiltFolder.open(prepared.evaluation).table(Split.QUERY),
        BuiltFolder.open(prepared.evaluation).table(Split.INDEX),
    )
    index_rows = list(zip(index["id"].to_pylist(), index["label"].to_pylist(), strict=True))
    return {
        "anchors": texts[0::2],
        "positives": texts[1::2],
        "queries": dict(zip(queries["id"].to_pylist(), queries["text"].to_pylist(), strict=True)),
        "index": dict(zip(index["id"].to_pylist(), index["text"].to_pylist(), strict=True)),
        "relevant": {
            query: [document for document, other in index_rows if other == label]
            for query, label in zip(queries["id"].to_pylist(), queries["label"].to_pylist(), strict=True)
        },
        "max_length": config.max_length,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "warmup": round(config.training.warmup * len(batches) * config.epochs),
        "seed": config.seed,
    }


if __name__ == "__main__":
    main()
