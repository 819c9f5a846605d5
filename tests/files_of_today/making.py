"""What embedtune makes of the sources, each through the steps that a run takes."""

import json
import os
from pathlib import Path

from embedtune import push
from embedtune.documents.build import BuildOptions
from embedtune.steps.build_documents import build_documents
from embedtune.steps.build_shard import BuildShardConfig, build_shard
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.merge_documents import MergeDocumentsConfig, merge_documents
from embedtune.steps.plan_documents import plan_documents
from embedtune.steps.sources import data_version, sources_of
from embedtune.training.checkpoints import CheckpointStore, training_digest

READ = {
    "labelled": ("labelled.csv", {"encoding": "cp1252"}),
    "sampled": ("labelled.csv", {"encoding": "cp1252", "sampling_rate": 0.6, "size": 20, "seed": 3}),
    "few": ("few.csv", {}),
    "pairs": ("pairs.csv", {}),
    "matches": ("matches.csv", {}),
    "scored": ("scored.csv", {}),
    "plain": ("plain.csv", {}),
    "text-image": ("captions/captions.csv", {}),
    "addresses": ("captions/captions.csv", {"convert_to_blob": False}),
    "shapes": ("shapes", {"point_cloud_size": 8}),
    "beir": ("beir", {}),
    "array": ("array.protobuf-array", {}),
    "several": ("several", {}),
}
"""Source and CSV options of each rows file."""

BUILT = {
    **{name: (name, {}) for name in READ if name != "sampled"},
    "few": ("few", {"split": "stratified"}),
    "labelled-by-groups": ("labelled", {"split": "group", "eval_share": 0.4, "seed": 7}),
    "pairs-of-another-seed": ("pairs", {"seed": 43}),
}
"""Rows file and options of each build."""

ROWS, BAD, ASIDE = "rows.parquet", "bad.csv", "aside.csv"
TRAIN, EVALUATION, PLAN = "train", "evaluation", "plan"
DATASETS, CHECKPOINTS = "datasets", "checkpoints"
SHARDED = "sharded"
SETTINGS: dict[str, object] = {
    "options": {"epochs": 3, "learning_rate": 1e-4, "augment": []},
    "data": "sha256:00",
    "backbone": "ä",
    "torch": "2.13.0",
}
"""Of a training whose checkpoint is kept."""


def make_files(sources: Path, folder: Path) -> dict[str, str]:
    """Make every file.

    Args:
        sources: What `write_sources` wrote.
        folder: An empty folder.

    Returns:
        The versions of the sources and of the datasets.
    """
    versions = {}
    for name, (source, options) in READ.items():
        uri = str(sources / source)
        versions[name] = data_version(uri)
        read(uri, folder / name, options, versions[name])
    for name, (rows, options) in BUILT.items():
        build(folder / rows / ROWS, folder / name, options)
    _make_sharded(sources / "several", folder / SHARDED)
    versions |= _push(sources, folder)
    _keep_checkpoint(folder / CHECKPOINTS)
    return versions


def read(uri: str, folder: Path, options: dict[str, object], version: str = "") -> None:
    """Read a source as the ingest step does."""
    folder.mkdir(parents=True, exist_ok=True)
    config = IngestCSVConfig(uri, version, csv_options=json.dumps(options), max_bad_share=0.2)
    ingest_csv(config, folder / ROWS, folder / BAD)


def build(rows: Path, folder: Path, options: dict[str, object]) -> None:
    """Build Documents as the step does, without the pages."""
    folder.mkdir(parents=True, exist_ok=True)
    pages = folder / "data.html", folder / "data.md"
    outputs = folder / TRAIN, folder / EVALUATION, folder / ASIDE
    build_documents(BuildOptions(**{"max_bad_share": 0.2, **options}), rows, *outputs, *pages)
    for page in pages:
        page.unlink()


def _make_sharded(source: Path, folder: Path) -> None:
    """Read and build each file of a folder by itself."""
    folder.mkdir()
    rows = []
    for number, each in enumerate(sources_of(str(source), "")):
        read(each.uri, folder / f"read-{number}", {}, each.version)
        rows.append(folder / f"read-{number}" / ROWS)
    plan_documents(BuildOptions(max_bad_share=0.2), tuple(rows), folder / PLAN, folder / ASIDE)
    build_parts(rows, folder / PLAN, folder)


def build_parts(rows: list[Path], plan: Path, folder: Path) -> None:
    """Build the part of each rows file of a plan, and put them together."""
    parts = [(folder / f"{TRAIN}-{number}", folder / f"{EVALUATION}-{number}") for number in range(len(rows))]
    for number, (path, outputs) in enumerate(zip(rows, parts, strict=True)):
        build_shard(BuildShardConfig(str(path), str(number)), plan, *outputs)
    config = MergeDocumentsConfig(*(tuple(map(str, side)) for side in zip(*parts, strict=True)))
    pages = folder / "data.html", folder / "data.md"
    merge_documents(config, plan, folder / TRAIN, folder / EVALUATION, *pages)
    for page in pages:
        page.unlink()


def use_datasets(folder: Path) -> None:
    """Keep datasets in this folder from now on."""
    os.environ |= {"EMBEDTUNE_DATASETS": str(folder), "EMBEDTUNE_USER": "ada"}


def _push(sources: Path, folder: Path) -> dict[str, str]:
    use_datasets(folder / DATASETS)
    pushed = {
        "rows": push(sources / "pairs.csv", "rows"),
        "array": push(sources / "array.protobuf-array", "array"),
        "built": push(folder / "labelled" / TRAIN, "built"),
    }
    return {f"dataset {name}": data_version(f"dataset://{found.reference}") for name, found in pushed.items()}


def _keep_checkpoint(folder: Path) -> None:
    checkpoint = folder.with_name("checkpoint-3")
    (checkpoint / "model").mkdir(parents=True)
    (checkpoint / "model" / "weights.bin").write_bytes(bytes(range(200)))
    (checkpoint / "trainer_state.json").write_text('{"step": 3}')
    store = CheckpointStore(str(folder), training_digest(SETTINGS), folder / "scratch")
    store.keep(checkpoint)
    store.settle()
