"""Training throughput on images: the pipeline's trainer against sentence-transformers' own, side by side.

Both train the same model on the same pairs of JPEGs of 224 x 224 with the same loss, batch size and rate, decode the
images anew in each epoch and use no worker processes. Each side is a process of its own that measures its loop alone;
they take turns, and the one that begins changes from round to round. What is told is the median ratio and the spread of
each side's rounds, which is the noise of the machine. `--model resnet` is so small that reading and preparing the
images is most of the work; with `--model vit` (a ViT of 5.5 million parameters at 224 x 224) it is little.
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

from benchmarks.data import prepare
from benchmarks.images import make_images
from benchmarks.scratch_models import write_resnet, write_vit
from embedtune.training.config import FinetuneConfig

_MODELS = {"resnet": write_resnet, "vit": write_vit}
_LABELS = 64
_SIDES = ("plain", "ours")


def main() -> None:
    """Print both sides, round by round, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=tuple(_MODELS), default="resnet")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--side", choices=_SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side is not None:
        config = FinetuneConfig(
            backbone=str(options.folder / "backbone"),
            loss="MultipleNegativesRankingLoss",
            epochs=options.epochs,
            learning_rate=1e-3,
        )
        print(json.dumps({"plain": _plain, "ours": _ours}[options.side](options.folder, config)))
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), options)


def _compare(folder: Path, options: argparse.Namespace) -> None:
    _write_labelled(folder / "images", options.images)
    prepare(str(folder / "images"), folder, seed=42)
    _MODELS[options.model](None, folder / "backbone")
    print(f"{options.images} images, {options.model}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    rates: dict[str, list[float]] = {side: [] for side in _SIDES}
    for number in range(options.rounds):
        for side in _SIDES if number % 2 == 0 else reversed(_SIDES):
            rates[side].append(_run(side, folder, options)["rate"])
        told = "; ".join(f"{side} {rates[side][-1]:.1f} images/s" for side in _SIDES)
        print(f"round {number + 1}: {told}; ratio {rates['ours'][-1] / rates['plain'][-1]:.2f}", flush=True)
    ratios = [ours / plain for ours, plain in zip(rates["ours"], rates["plain"], strict=True)]
    print(f"training throughput, embedtune / plain: {statistics.median(ratios):.2f} (at least 0.9 is the aim)")
    for side in _SIDES:
        spread = (max(rates[side]) - min(rates[side])) / statistics.median(rates[side])
        print(f"{side}: fastest less slowest round, {spread:.0%} of the median; load {os.getloadavg()[0]:.1f}")


def _run(side: str, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.image_training", "--side", side, "--folder", str(folder)]
    command += ["--epochs", str(options.epochs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _write_labelled(folder: Path, count: int) -> None:
    """Write images into a folder for each label; what they show is unlike, which costs the same time."""
    folder.mkdir()
    make_images(folder, count)
    for number, path in enumerate(sorted(folder.glob("*.jpg"))):
        label = folder / f"label{number % _LABELS:02}"
        label.mkdir(exist_ok=True)
        path.rename(label / path.name)


def _ours(folder: Path, config: FinetuneConfig) -> dict[str, float]:
    from embedtune.steps.finetune import finetune

    with tempfile.TemporaryDirectory() as scratch:
        card = finetune(config, folder / "train", Path(scratch, "model"), Path(scratch, "loss.html"))
    return {"rate": card.texts_per_second}


def _plain(folder: Path, config: FinetuneConfig) -> dict[str, float]:
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    model = SentenceTransformer(config.backbone)
    with tempfile.TemporaryDirectory() as scratch:
        pairs = _pairs(folder / "train", config, Path(scratch))
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size // 2,  # pairs of two images
            learning_rate=config.learning_rate,
            warmup_ratio=config.training.warmup,
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
        )
        trainer = SentenceTransformerTrainer(
            model=model, args=arguments, train_dataset=pairs, loss=MultipleNegativesRankingLoss(model)
        )
        started = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - started
    return {"rate": 2 * len(pairs) * config.epochs / seconds}


def _pairs(documents: Path, config: FinetuneConfig, scratch: Path) -> Any:
    """Return the pairs of our first epoch as a data set that decodes an image when it is asked for."""
    import numpy as np
    from datasets import Dataset, Features, Image

    from embedtune.training.batches import PairBatches
    from embedtune.training.examples import TrainingSet

    examples = TrainingSet.read(documents, scratch)
    rows = np.concatenate(list(PairBatches(examples, config.batch_size, config.seed).epoch(0)))
    columns = {
        name: [{"bytes": examples.contents.stored(position), "path": None} for position in rows[:, side]]
        for side, name in enumerate(("anchor", "positive"))
    }
    return Dataset.from_dict(columns, features=Features(dict.fromkeys(columns, Image(mode="RGB"))))


if __name__ == "__main__":
    main()
