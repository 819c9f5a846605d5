"""Fine-tune with many settings and compare each with the base model: the numbers of `docs/defaults.md`.

python -m benchmarks.training_grid --data recipes_pairs --losses SupConLoss,TripletMarginLoss --rates 5e-5,1e-4
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

from benchmarks.data import DATASETS, available, prepare
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.training.config import FinetuneConfig

_COLUMNS = ("data (queries)", "seed", "loss", "epochs", "batch", "rate", "options", "metric", "base", "tuned")
_COLUMNS += ("difference (95 % interval)", "s")


def main() -> None:
    """Print one Markdown row per combination."""
    default = FinetuneConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATASETS))
    parser.add_argument("--losses", default=default.loss)
    parser.add_argument("--rates", default=str(default.learning_rate))
    parser.add_argument("--epochs", default=str(default.epochs))
    parser.add_argument("--batch-sizes", default=str(default.batch_size))
    parser.add_argument(
        "--options", default=[default.train_options], nargs="+", help="train_options, one JSON object each"
    )
    parser.add_argument("--seeds", default=str(default.seed))
    options = parser.parse_args()
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}")
    for (name, data), seed in itertools.product(
        available(options.data.split(",")).items(), map(int, options.seeds.split(","))
    ):
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            prepared = prepare(data.write(folder), folder, data.build_options(seed))
            backbone = data.write_backbone(folder)
            for loss, epochs, batch, rate, train_options in itertools.product(
                options.losses.split(","),
                map(int, options.epochs.split(",")),
                map(int, options.batch_sizes.split(",")),
                map(float, options.rates.split(",")),
                options.options,
            ):
                config = FinetuneConfig(
                    backbone=backbone,
                    loss=loss,
                    epochs=epochs,
                    batch_size=batch,
                    train_options=train_options,
                    learning_rate=rate,
                    seed=seed,
                )
                _measure(name, config, prepared.train, prepared.evaluation, folder)


def _measure(data: str, config: FinetuneConfig, train: Path, evaluation: Path, folder: Path) -> None:
    started = time.perf_counter()
    model = folder / "model"
    used = finetune(config, train, model, folder / "loss.html").options
    outcome = evaluate_retrieval(
        EvaluateRetrievalConfig(seed=config.seed),
        model,
        evaluation,
        folder / "scores",
        folder / "report.html",
        folder / "report.md",
    )
    found = outcome.difference(outcome.decision.metric)
    print(
        f"| {data} ({outcome.queries}) | {config.seed} | {used['loss']} | {used['epochs']} | {config.batch_size} "
        f"| {used['learning_rate']:g} | {_told(config)} | {found.metric} | {found.of_against:.3f} "
        f"| {found.of_side:.3f} | {found.value:+.3f} ({found.lower:+.3f} to {found.upper:+.3f}) "
        f"| {time.perf_counter() - started:.0f} |",
        flush=True,
    )


def _told(config: FinetuneConfig) -> str:
    given = json.loads(config.train_options)
    return ", ".join(f"{name} {value}" for name, value in given.items())


if __name__ == "__main__":
    main()
