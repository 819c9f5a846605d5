"""Fine-tune with many settings and compare each with the base model: the numbers of `docs/defaults.md`.

python -m benchmarks.training_grid --data recipes_pairs --losses SupConLoss,TripletMarginLoss --rates 5e-5,1e-4
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

from benchmarks.data import DATASETS, prepare
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.training.config import AUTO_LOSS, LOSSES, FinetuneConfig


def main() -> None:
    """Print one Markdown row per combination."""
    default = FinetuneConfig()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=",".join(DATASETS))
    parser.add_argument("--losses", default=",".join((AUTO_LOSS, *LOSSES)))
    parser.add_argument("--rates", default=str(default.learning_rate))
    parser.add_argument("--epochs", default=str(default.epochs))
    parser.add_argument("--batch-sizes", default=str(default.batch_size))
    parser.add_argument("--items", default=str(default.training.items_per_label))
    parser.add_argument("--seeds", default=str(default.seed))
    options = parser.parse_args()
    print("| data | seed | loss | epochs | batch | K | learning rate | base | tuned | difference (95 % interval) | s |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for data, seed in itertools.product(options.data.split(","), map(int, options.seeds.split(","))):
        with tempfile.TemporaryDirectory() as folder:
            prepared = prepare(DATASETS[data], Path(folder), seed)
            for loss, epochs, batch, items, rate in itertools.product(
                options.losses.split(","),
                map(int, options.epochs.split(",")),
                map(int, options.batch_sizes.split(",")),
                map(int, options.items.split(",")),
                map(float, options.rates.split(",")),
            ):
                config = FinetuneConfig(
                    loss=loss,
                    epochs=epochs,
                    batch_size=batch,
                    train_options=json.dumps({"items_per_label": items}),
                    learning_rate=rate,
                    seed=seed,
                )
                _measure(data, config, prepared.train, prepared.evaluation, Path(folder))


def _measure(data: str, config: FinetuneConfig, train: Path, evaluation: Path, folder: Path) -> None:
    started = time.perf_counter()
    model = folder / "model"
    finetune(config, train, model, folder / "loss.html")
    outcome = evaluate_retrieval(
        EvaluateRetrievalConfig(seed=config.seed),
        model,
        evaluation,
        folder / "scores",
        folder / "report.html",
        folder / "report.md",
    )
    ndcg = outcome.metric("ndcg_at_10")
    print(
        f"| {data} ({outcome.queries}) | {config.seed} | {config.loss} | {config.epochs} | {config.batch_size} "
        f"| {config.training.items_per_label} | {config.learning_rate:g} | {ndcg.base:.3f} | {ndcg.tuned:.3f} "
        f"| {ndcg.difference:+.3f} ({ndcg.lower:+.3f} to {ndcg.upper:+.3f}) | {time.perf_counter() - started:.0f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
