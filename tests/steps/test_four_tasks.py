"""Every kind of content goes through the steps: read, divided, trained on, judged; with tiny models."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedtune.documents.build import BuildOptions
from embedtune.models.card import ModelCard
from embedtune.models.loading import load_model
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.correlation import spearman
from embedtune.retrieval.held_out import read_held_out
from embedtune.steps.build_documents import build_documents
from embedtune.steps.evaluate_retrieval import COMPARISON_FILE, EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.training.config import FinetuneConfig

CONFIG = {"epochs": 1, "batch_size": 16, "max_length": 0, "learning_rate": 1e-3}


class Run:
    """The outputs of the steps in a folder."""

    def __init__(self, folder: Path, source: Path, csv_options: dict[str, object], **config: object) -> None:
        self.folder = folder
        folder.mkdir()
        rows = folder / "rows.parquet"
        ingest_csv(IngestCSVConfig(str(source), csv_options=json.dumps(csv_options)), rows, folder / "q.csv")
        train, self.evaluation = folder / "train", folder / "evaluation"
        pages = folder / "data.html", folder / "data.md"
        build_documents(BuildOptions(), rows, train, self.evaluation, folder / "aside.csv", *pages)
        training = FinetuneConfig(**{**CONFIG, **config})
        self.card: ModelCard = finetune(training, train, folder / "model", folder / "loss.html", "")
        outputs = folder / "scores", folder / "report.html", folder / "report.md"
        options = EvaluateRetrievalConfig(batch_size=16, min_gain=0.0)
        self.comparison = evaluate_retrieval(options, folder / "model", self.evaluation, *outputs)
        assert Comparison.load(folder / "scores" / COMPARISON_FILE) == self.comparison


def class_folders(folder: Path) -> Path:
    """Squares of one of four colours, each with noise of its own, in a folder for each colour."""
    generator = np.random.default_rng(0)
    colours = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (40, 60, 220), "grey": (120, 120, 120)}
    for name, colour in colours.items():
        (folder / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.clip(colour + generator.integers(-30, 30, (24, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, tiny_models: Callable[[str], Path]) -> Run:
    folder = tmp_path_factory.mktemp("images")
    return Run(folder / "run", class_folders(folder / "data"), {}, backbone=str(tiny_models("vit")), loss="SupConLoss")


class TestImages:
    """Labelled images, ViT."""

    def test_are_compared(self, images: Run) -> None:
        comparison = images.comparison
        assert (comparison.query_kind, comparison.index_kind) == ("image", "image")
        assert comparison.queries + comparison.index_documents <= 12
        assert comparison.metric("ndcg_at_10").tuned > 0.5

    def test_have_no_texts_to_cut(self, images: Run) -> None:
        assert images.card.train_texts is None
        assert (images.comparison.query_texts, images.comparison.base_index_texts) == (None, None)

    def test_examples_name_files_and_documents(self, images: Run) -> None:
        for example in images.comparison.examples:
            assert example.query.endswith(".png")
            assert len(example.id) == 32
            assert all(hit.text.endswith(".png") and len(hit.id) == 32 for hit in example.base + example.tuned)


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Run:
    folder = tmp_path_factory.mktemp("scored")
    letters = "abcdefghijklmnopqrstuvwxyz"
    rows = [("first", "second", "score")]
    for number in range(150):
        start, shared = number % 20, number % 6
        first = letters[start : start + 6]
        rows.append((f"{first} {number}", f"{first[:shared]}{letters[::-1][: 6 - shared]} {number}", str(shared / 5)))
    with (folder / "scored.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return Run(folder / "run", folder / "scored.csv", {}, backbone=str(tiny_model_folder), loss="CoSENTLoss")


class TestScores:
    """Pairs of texts with scores."""

    def test_spearman_decides(self, scored: Run) -> None:
        comparison = scored.comparison
        assert [metric.name for metric in comparison.metrics][:3] == ["spearman", "pearson", "ndcg_at_10"]
        assert comparison.decision.metric == "spearman"
        assert "Spearman's correlation" in comparison.decision.reason
        assert 20 <= comparison.pairs <= 40

    def test_it_is_that_of_the_held_out_pairs(self, scored: Run, tmp_path: Path) -> None:
        held_out = read_held_out(scored.evaluation, tmp_path)
        pairs = held_out.documents.scored
        assert pairs is not None
        model = load_model(str(scored.folder / "model"), 0)
        sides = (list(contents) for contents in (held_out.queries, held_out.index))
        queries, index = (model.encode(side, normalize_embeddings=True) for side in sides)
        cosines = (queries[pairs.queries] * index[pairs.documents]).sum(axis=1).astype(float)
        expected = spearman(cosines, pairs.scores)
        assert scored.comparison.metric("spearman").tuned == pytest.approx(expected, abs=1e-3)

    def test_pages_say_so(self, scored: Run) -> None:
        pages = [(scored.folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md")]
        assert all(f"{scored.comparison.pairs} held-out pairs with scores" in page for page in pages)
