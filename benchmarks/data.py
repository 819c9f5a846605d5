"""The data sets that are measured on, and a prepared copy of each."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.documents.build import BuildOptions
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv

ROOT = Path(__file__).resolve().parent.parent

DATASETS = {
    "support_tickets": ROOT / "examples/support_tickets.csv",
    "recipes_pairs": ROOT / "examples/recipes_pairs.csv",
    "quora": ROOT.parent / "shared/data/quora/questions.csv",
}
"""Name to CSV; one that is absent is passed over with a word."""


@dataclass(frozen=True)
class Prepared:
    """A data set, split."""

    train: Path
    evaluation: Path


def available(names: list[str]) -> dict[str, Path]:
    """Return those of the named data sets that are here, and say which are not."""
    for name in names:
        if not DATASETS[name].exists():
            print(f"({name} is not here and is left out)")
    return {name: DATASETS[name] for name in names if DATASETS[name].exists()}


def prepare(csv: Path, folder: Path, seed: int) -> Prepared:
    """Ingest and split a CSV with default options."""
    folder.mkdir(parents=True, exist_ok=True)
    ingest_csv(IngestCSVConfig(uri=str(csv)), folder / "rows.parquet", folder / "bad.csv")
    prepared = Prepared(folder / "train", folder / "evaluation")
    build_documents(
        BuildOptions(seed=seed),
        folder / "rows.parquet",
        prepared.train,
        prepared.evaluation,
        folder / "contradictions.csv",
        folder / "data.html",
        folder / "data.md",
    )
    return prepared
