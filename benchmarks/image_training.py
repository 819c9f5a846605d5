"""Training throughput on images: the pipeline's trainer against sentence-transformers' own, side by side.

Both train the same model on the same pairs of JPEGs of 224 x 224 with the same loss, batch size and rate, decode the
images anew in each epoch and use no worker processes. Each side is a process of its own that measures its loop alone;
they take turns, and the one that begins changes from round to round. CPU time is told beside the rate, since on a
machine that does other things at the same time only that can be compared; the spread of the rounds is the noise.
`--model resnet` is so small that reading and preparing the images is much of the work; with `--model vit` (a ViT of 5.5
million parameters at 224 x 224) it is little.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.data import prepare
from benchmarks.images import make_images
from benchmarks.scratch_models import write_resnet, write_vit
from embedtune.documents.build import BuildOptions
from embedtune.training.config import FinetuneConfig

if TYPE_CHECKING:
    from embedtune.models.contents import Indices
    from embedtune.training.examples import TrainingSet

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
    prepare(str(folder / "images"), folder, BuildOptions())
    _MODELS[options.model](None, folder / "backbone")
    print(f"{options.images} images, {options.model}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}", flush=True)
    rounds: dict[str, list[dict[str, float]]] = {side: [] for side in _SIDES}
    for number in range(options.rounds):
        for side in _SIDES if number % 2 == 0 else reversed(_SIDES):
            rounds[side].append(_run(side, folder, options))
        print(f"round {number + 1}: {'; '.join(_show(side, rounds[side][-1]) for side in _SIDES)}", flush=True)
    for name, unit in (("rate", "images a second"), ("rate_of_cpu", "images a CPU second")):
        values = {side: [each[name] for each in rounds[side]] for side in _SIDES}
        ratio = statistics.median(ours / plain for plain, ours in zip(values["plain"], values["ours"], strict=True))
        told = ", ".join(f"{side} {min(values[side]):.1f} to {max(values[side]):.1f}" for side in _SIDES)
        print(f"{unit}, embedtune / plain: {ratio:.2f} (at least 0.9 is the aim); {told}")
    print(f"load {os.getloadavg()[0]:.1f}")


def _show(side: str, measured: dict[str, float]) -> str:
    return f"{side} {measured['rate']:.1f} images/s, {measured['rate_of_cpu']:.1f} a CPU second"


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
    from embedtune.models.loading import load_model
    from embedtune.training.checkpoints import CheckpointStore
    from embedtune.training.examples import TrainingSet
    from embedtune.training.trainer import train

    with tempfile.TemporaryDirectory() as scratch:
        examples = TrainingSet.read(folder / "train", Path(scratch))
        model, store = load_model(config.backbone, 0), CheckpointStore("", "", Path(scratch))
        return _timed(lambda: train(model, examples, config, store), _images(examples, config))


def _plain(folder: Path, config: FinetuneConfig) -> dict[str, float]:
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from embedtune.training.examples import TrainingSet

    with tempfile.TemporaryDirectory() as scratch:
        examples = TrainingSet.read(folder / "train", Path(scratch))
        model, pairs = SentenceTransformer(config.backbone), _pairs(examples, config)
        arguments = SentenceTransformerTrainingArguments(
            output_dir=scratch,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size // 2,  # pairs of two images
            learning_rate=config.learning_rate,
            save_strategy="no",
            disable_tqdm=True,
            report_to="none",
        )
        loss = MultipleNegativesRankingLoss(model)
        return _timed(
            lambda: SentenceTransformerTrainer(model=model, args=arguments, train_dataset=pairs, loss=loss).train(),
            _images(examples, config),
        )


def _timed(train: Callable[[], object], images: int) -> dict[str, float]:
    """Time a training from the model and the data to its end, by the clock and by the CPU."""
    started, cpu_started = time.perf_counter(), time.process_time()
    train()
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
    return {"rate": images / seconds, "rate_of_cpu": images / cpu_seconds}


def _images(examples: "TrainingSet", config: FinetuneConfig) -> int:
    """Return how many images a training embeds."""
    return config.epochs * sum(batch.size for batch in _batches(examples, config))


def _batches(examples: "TrainingSet", config: FinetuneConfig) -> "list[Indices]":
    from embedtune.training.pair_batches import PairBatches

    return list(PairBatches(examples, config.batch_size, config.seed).epoch(0))


def _pairs(examples: "TrainingSet", config: FinetuneConfig) -> Any:
    """Return the pairs of our first epoch as a data set that decodes an image when it is asked for."""
    import numpy as np
    from datasets import Dataset, Features, Image

    rows = np.concatenate(_batches(examples, config))
    columns = {
        name: [{"bytes": examples.contents.stored(position), "path": None} for position in rows[:, side]]
        for side, name in enumerate(("anchor", "positive"))
    }
    return Dataset.from_dict(columns, features=Features(dict.fromkeys(columns, Image(mode="RGB"))))


if __name__ == "__main__":
    main()
