"""Whole runs of the pipeline on every data set: is the tuned model better, and does the run say so honestly?

Each run is a line of `benchmarks/quality.jsonl`, which takes the place of an earlier one of the same data, seed, device
and parameters; `docs/quality.md` shows them all. A machine with a GPU adds lines of its own.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.data import DATASETS, available, flags_of
from benchmarks.quality_page import read_results, with_tables
from embedtune.models.card import ModelCard
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.retrieval.sides import BASE, Difference
from pipelines.local_folder import MODEL, SCORES, SUMMARY

_RESULTS = ROOT / "benchmarks/quality.jsonl"
_PAGE = ROOT / "docs/quality.md"
_SAME = ("data", "seed", "device", "parameters")
"""What a result takes the place of another by."""


def main() -> None:
    """Run, keep the results, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="42", help="the default is that of the pipeline, fixed in advance")
    parser.add_argument("--data", default=",".join(DATASETS), help="'' only writes the page")
    options = parser.parse_args()
    for name in available([name for name in options.data.split(",") if name]):
        for seed in map(int, options.seeds.split(",")):
            result = _run(name, seed)
            _keep(result)
            print(_line(result), flush=True)
    _PAGE.write_text(with_tables(_PAGE.read_text(encoding="utf-8"), read_results(_RESULTS)), encoding="utf-8")


def _run(name: str, seed: int) -> dict[str, Any]:
    """Run the pipeline, and return what is kept of it."""
    data = DATASETS[name]
    with tempfile.TemporaryDirectory() as scratch:
        folder, output = Path(scratch), Path(scratch, "out")
        parameters: dict[str, object] = {"data_uri": data.write(folder), "model_backbone": data.write_backbone(folder)}
        parameters |= {"train_seed": seed, **data.given}
        command = [sys.executable, "-m", "pipelines", "run", "finetune", "--output", str(output), *flags_of(parameters)]
        load = os.getloadavg()[0]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        if done.returncode != 0:
            sys.exit(f"{name}, seed {seed}: the run failed:\n{done.stderr[-3000:]}")
        seconds = json.loads((output / SUMMARY).read_text(encoding="utf-8"))["seconds"]
        comparison, card = Comparison.load(output / SCORES / COMPARISON_FILE), ModelCard.load(output / MODEL)
    return {
        "data": name,
        "seed": seed,
        "device": _device(),
        "parameters": dict(data.given),
        "commit": _commit(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "load_before": round(load, 1),
        "seconds": round(seconds),
        "training_seconds": round(card.seconds),
        "training": {key: card.options[key] for key in ("loss", "epochs", "learning_rate", "batch_size")},
        "train_documents": card.train_documents,
        "queries": comparison.queries,
        "index_documents": comparison.index_documents,
        "pairs": comparison.pairs,
        "decides": comparison.decision.metric,
        "better": comparison.decision.better_than_base,
        "metrics": _metrics(comparison.differences),
        "directions": [
            {
                "name": direction.name,
                "queries": direction.queries,
                "index_documents": direction.index_documents,
                "metrics": _metrics(direction.differences),
            }
            for direction in comparison.directions
        ],
    }


def _metrics(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """Return what is kept of the tuned model's differences from the base."""
    return [
        {
            "name": found.metric,
            "base": found.of_against,
            "tuned": found.of_side,
            "difference": found.value,
            "lower": found.lower,
            "upper": found.upper,
        }
        for found in differences
        if found.against == BASE
    ]


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"


def _commit() -> str:
    """Return the commit that is checked out, with a plus where files of the library differ from it."""
    git = ["git", "-C", str(ROOT)]
    commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
    changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", "embedtune", "pipelines"], check=False)
    return commit.stdout.strip() + ("+" if changed.returncode else "")


def _keep(result: dict[str, Any]) -> None:
    others = [other for other in read_results(_RESULTS) if any(other[key] != result[key] for key in _SAME)]
    lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in [*others, result])
    _RESULTS.write_text("".join(lines), encoding="utf-8")


def _line(result: dict[str, Any]) -> str:
    metric = next(metric for metric in result["metrics"] if metric["name"] == result["decides"])
    return (
        f"{result['data']}, seed {result['seed']}: {metric['name']} {metric['base']:.3f} -> {metric['tuned']:.3f}, "
        f"{metric['difference']:+.3f} ({metric['lower']:+.3f} to {metric['upper']:+.3f}), {result['queries']} queries, "
        f"{'better' if result['better'] else 'not shown to be better'}, {result['seconds']} s"
    )


if __name__ == "__main__":
    main()
