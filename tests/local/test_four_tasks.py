"""The pipeline on each kind of content, from files on a disk to a registered version, with tiny models."""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_data import coloured_squares, named_colours, scored_pairs, solids

TASKS = {
    "text-to-text": ("", "CoSENTLoss", {}, scored_pairs),
    "image-to-image": ("resnet", "SupConLoss", {}, coloured_squares),
    "text-to-image": ("clip", "CLIPLoss", {"task": "text-to-image", "convert_to_blob": True}, named_colours),
    "mesh-to-mesh": ("pointnet", "SupConLoss", {"create_point_clouds": True, "point_cloud_size": 64}, solids),
}
"""Of each task the tiny model, '' for that of texts, the loss, how the data are read, and the data."""


@pytest.fixture(scope="module")
def runs(start, tiny_models: Callable[[str], Path], tiny_model_folder: Path, tmp_path_factory) -> dict[str, Any]:
    """All four, two at a time."""
    folder, started, finished = tmp_path_factory.mktemp("tasks"), {}, {}
    for task, (kind, loss, options, make_data) in TASKS.items():
        source = make_data(folder / f"{task}.csv" if make_data is scored_pairs else folder / f"{task} data")
        words = {
            "--data-uri": source,
            "--data-csv-options": json.dumps(options),
            "--model-backbone": tiny_models(kind) if kind else tiny_model_folder,
            "--model-max-length": 0,
            "--train-loss": loss,
            "--train-epochs": 1,
            "--train-batch-size": 16,
        }
        started[task] = start(folder / task, *(word for pair in words.items() for word in pair))
        if len(started) % 2 == 0:
            finished.update({name: each.finish() for name, each in started.items() if name not in finished})
    return finished


@pytest.fixture(params=TASKS)
def run(request: pytest.FixtureRequest, runs: dict[str, Any]) -> Any:
    return runs[request.param]


def test_comes_to_its_end(run) -> None:
    assert run.code == 0, run.err
    assert run.steps[-1] == "✓ register_model"
    for page in ("report.html", "data.html"):
        assert "</html>" in (run.output / page).read_text(encoding="utf-8")


def test_is_measured_and_registered(run) -> None:
    assert run.summary["metrics"]["ndcg_at_10"]["tuned"] > 0
    assert run.summary["registered"]["aliases"][0] in ("challenger", "champion")
    with sqlite3.connect(run.output / "mlflow.db") as database:
        assert database.execute("select count(*) from model_versions").fetchone() == (1,)


def test_pages_ask_for_nothing_and_run_nothing(run) -> None:
    for page in ("report.html", "data.html"):
        html = (run.output / page).read_text(encoding="utf-8")
        assert "<script>alert" not in html
        assert 'src="http' not in html


def test_scores_are_judged_by_spearman(runs: dict[str, Any]) -> None:
    assert runs["text-to-text"].summary["decision"]["metric"] == "spearman"
    assert {"spearman", "pearson", "ndcg_at_10"} <= runs["text-to-text"].summary["metrics"].keys()
