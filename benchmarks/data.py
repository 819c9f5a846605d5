"""The data sets that are measured on, and a prepared copy of each."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import ROOT
from benchmarks.made_data import write_fashion_mnist, write_shapes
from benchmarks.scratch_models import write_pointnet, write_resnet, write_two_towers
from embedtune.documents.build import BuildOptions
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv

_SHARED = ROOT.parent / "shared/data"
_TWENTY = {"cutoffs": [10, 20]}


@dataclass(frozen=True)
class DataSet:
    """Data that are measured on, and what they are trained with."""

    what: str
    """What they are, for the reader of a table."""
    source: Path | None
    """File, folder or pattern that must be there; None where the data are made from nothing."""
    make: Callable[[Path | None, Path], None] | None = None
    """Writes them into a folder, from `source`; None where they are read as they are."""
    backbone: Callable[[Path | None, Path], None] | None = None
    """Writes the model to start from into a folder; None takes the default backbone."""
    model: str = DEFAULT_BACKBONE
    """What the model is, for the reader of a table."""
    given: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the pipeline that are not left to the defaults."""

    @property
    def is_here(self) -> bool:
        """Whether the source is there."""
        return self.source is None or any(self.source.parent.glob(self.source.name))

    def write(self, folder: Path) -> str:
        """Return the address of the data, which are written into `folder` where they are made."""
        if self.make is None:
            return str(self.source)
        self.make(self.source, folder / "data")
        return str(folder / "data")

    def build_options(self, seed: int) -> BuildOptions:
        """Return how a run builds documents of them."""
        names = {"eval_share": "eval_share", "data_max_bad_share": "max_bad_share"}
        given: dict[str, Any] = {field: self.given[name] for name, field in names.items() if name in self.given}
        return BuildOptions(seed=seed, **given)

    def write_backbone(self, folder: Path) -> str:
        """Return the model to start from, which is written into `folder` where it is made."""
        if self.backbone is None:
            return DEFAULT_BACKBONE
        self.backbone(self.source, folder / "backbone")
        return str(folder / "backbone")


DATASETS = {
    "support_tickets": DataSet("916 short texts with 70 labels", ROOT / "examples/support_tickets.csv"),
    "recipes_pairs": DataSet("1,084 pairs of query and document", ROOT / "examples/recipes_pairs.csv"),
    "quora": DataSet("2,000 questions; duplicates share one of 1,008 labels", _SHARED / "quora/questions.csv"),
    "sts": DataSet(
        "1,500 pairs of headlines with a score; 8 have two, and their 16 rows are set aside",
        _SHARED / "sts/headlines-*.csv",
        given={"data_max_bad_share": 0.02},
    ),
    "fashion_mnist": DataSet(
        "900 grey images of 28 x 28 in 10 classes",
        _SHARED / "fashion-mnist",
        make=write_fashion_mnist,
        backbone=write_resnet,
        model="ResNet, random weights",
        given={"train_epochs": 40, "train_learning_rate": 1e-3, "eval_options": _TWENTY},
    ),
    "emoji_images": DataSet(
        "1,063 colour images of 64 x 64 in 93 sub-categories; 15 have two and are set aside",
        _SHARED / "emoji/image-label.csv",
        backbone=write_resnet,
        model="ResNet, random weights",
        given={
            "train_epochs": 30,
            "train_learning_rate": 1e-3,
            "train_loss": "SupConLoss",
            "train_options": {"augment": ["flip", "crop", "colour"]},
            "data_max_bad_share": 0.02,
            "eval_options": _TWENTY,
        },
    ),
    "emoji_texts": DataSet(
        "1,489 pairs of a short text and an image",
        _SHARED / "emoji/text-image.csv",
        backbone=write_two_towers,
        model="CLIP of two small towers, random weights",
        given={"train_epochs": 30, "train_learning_rate": 1e-3, "train_batch_size": 256},
    ),
    "meshes": DataSet(
        "400 meshes of 10 shapes, each turned at random",
        None,
        make=write_shapes,
        backbone=write_pointnet,
        model="PointNet++ of a quarter of the width, random weights",
        given={"eval_share": 0.4, "train_options": {"augment": ["rotate"]}, "eval_options": _TWENTY},
    ),
}
"""By name; one that is absent is passed over with a word."""

CSVS = ("support_tickets", "recipes_pairs", "quora")
"""Texts that are a single file."""


@dataclass(frozen=True)
class Prepared:
    """A data set, split."""

    train: Path
    evaluation: Path


def available(names: list[str]) -> dict[str, DataSet]:
    """Return those of the named data sets that are here, and say which are not."""
    for name in names:
        if not DATASETS[name].is_here:
            print(f"({name} is not here and is left out)")
    return {name: DATASETS[name] for name in names if DATASETS[name].is_here}


def prepare(uri: str, folder: Path, options: BuildOptions) -> Prepared:
    """Ingest and split data."""
    folder.mkdir(parents=True, exist_ok=True)
    ingest_csv(IngestCSVConfig(uri=uri), folder / "rows.parquet", folder / "bad.csv")
    prepared = Prepared(folder / "train", folder / "evaluation")
    build_documents(
        options,
        folder / "rows.parquet",
        prepared.train,
        prepared.evaluation,
        folder / "contradictions.csv",
        folder / "data.html",
        folder / "data.md",
    )
    return prepared


def flags_of(parameters: Mapping[str, object]) -> list[str]:
    """Return parameters of the pipeline as words of its command."""
    return [word for name, value in parameters.items() for word in (f"--{name.replace('_', '-')}", written(value))]


def written(value: object) -> str:
    """Return the value of a parameter as its command takes it."""
    return json.dumps(value) if isinstance(value, dict) else str(value)
