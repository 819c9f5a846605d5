"""Every kind of content goes through the steps: read, divided, trained on, judged; with tiny models."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions
from embedtune.errors import InputError
from embedtune.models.card import ModelCard
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_model
from embedtune.models.roles import EncodingRole
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.correlation import spearman
from embedtune.retrieval.evaluation_set import Vectors
from embedtune.retrieval.held_out import read_held_out
from embedtune.retrieval.measuring import deciding_score
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.steps.build_documents import build_documents
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.training.config import FinetuneConfig
from embedtune.training.validation_set import read_examples
from tests.tiny_data import coloured_squares, named_colours, scored_pairs, solids

CONFIG = {
    "epochs": 1,
    "batch_size": 16,
    "max_length": 0,
    "learning_rate": 1e-3,
    "train_options": '{"validation_share": 0.25}',
}


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
        options = EvaluateRetrievalConfig(eval_options='{"batch_size": 16}', min_gain=0.0)
        self.comparison = evaluate_retrieval(options, folder / "model", self.evaluation, *outputs)
        assert Comparison.load(folder / "scores" / COMPARISON_FILE) == self.comparison


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, tiny_models: Callable[[str], Path]) -> Run:
    folder = tmp_path_factory.mktemp("images")
    return Run(
        folder / "run", coloured_squares(folder / "data"), {}, backbone=str(tiny_models("vit")), loss="SupConLoss"
    )


class TestImages:
    """Labelled images, ViT."""

    def test_are_compared(self, images: Run) -> None:
        comparison = images.comparison
        assert (comparison.query_kind, comparison.index_kind) == ("image", "image")
        assert comparison.queries + comparison.index_documents <= 12
        assert comparison.value("ndcg_at_10", "tuned") > 0.5

    def test_a_loss_without_numbers_of_its_own_learned_none(self, images: Run) -> None:
        assert images.card.learned == {}

    def test_have_no_texts_to_cut(self, images: Run) -> None:
        assert images.card.train_texts is None
        assert {(side.query_texts, side.index_texts) for side in images.comparison.sides} == {(None, None)}

    def test_examples_name_files_and_documents(self, images: Run) -> None:
        comparison = images.comparison
        for content in comparison.contents:
            assert (content.text[-4:], content.kind, len(content.id)) == (".png", "image", 32)
        shown = {(content.kind, content.id) for content in comparison.contents}
        hits = [hit for example in comparison.examples for found in example.results for hit in found.hits]
        assert {(each.kind, each.id) for each in (*comparison.examples, *hits)} == shown

    def test_page_shows_them(self, images: Run) -> None:
        page = (images.folder / "report.html").read_text(encoding="utf-8")
        hits = [hit for one in images.comparison.examples for found in one.results for hit in found.hits]
        (name,) = (content.text for content in images.comparison.contents if content.id == hits[0].id)
        assert page.count('role="img" aria-label=') == len(hits) + len(images.comparison.examples)
        assert page.count("data:image/jpeg;base64,") == 1
        assert f'role="img" aria-label="{name}"' in page
        assert len(page) < 1_000_000


@pytest.fixture(scope="module", params=[("clip", "clip-vision"), ("siglip", "clip-text")], ids="-".join)
def tower(request, tmp_path_factory: pytest.TempPathFactory, tiny_models: Callable[[str], Path]) -> tuple[str, Run]:
    kind, name = request.param
    folder = tmp_path_factory.mktemp(name)
    if name == "clip-vision":
        source, loss = coloured_squares(folder / "data"), "SupConLoss"
    else:
        source, loss = scored_pairs(folder / "scored.csv"), "CoSENTLoss"
    return name, Run(folder / "run", source, {}, backbone=str(tiny_models(kind)), loss=loss)


class TestOneTower:
    """Data of one kind and a backbone that reads two: the tower that they need is trained, judged and kept."""

    def test_is_chosen_and_told(self, tower: tuple[str, Run]) -> None:
        name, run = tower
        assert run.card.options["model_options"]["select_model"] == name
        assert run.card.chosen["select_model"].startswith(f"Tower (select_model ''): {name}")
        model = load_model(str(run.folder / "model"), 0)
        assert model.modalities == [{"clip-text": "text", "clip-vision": "image"}[name]]
        assert model.get_embedding_dimension() == run.card.dimension

    def test_is_compared_with_the_whole_backbone(self, tower: tuple[str, Run]) -> None:
        kinds = {"clip-text": "text", "clip-vision": "image"}
        comparison = tower[1].comparison
        assert comparison.query_kind == comparison.index_kind == kinds[tower[0]]
        values = comparison.metrics[0].values
        assert values["base"] != values["tuned"]

    def test_that_reads_other_data_is_refused_before_anything_is_loaded(self, tower: tuple[str, Run]) -> None:
        name, run = tower
        other = {"clip-text": "clip-vision", "clip-vision": "clip-text"}[name]
        config = FinetuneConfig(backbone="nowhere", model_options=json.dumps({"select_model": other}))
        with pytest.raises(InputError, match=f"select_model is '{other}', .* What fits: {name}."):
            finetune(config, run.folder / "train", run.folder / "other", run.folder / "loss.html", "")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Run:
    folder = tmp_path_factory.mktemp("scored")
    return Run(
        folder / "run", scored_pairs(folder / "scored.csv"), {}, backbone=str(tiny_model_folder), loss="CoSENTLoss"
    )


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
        assert scored.comparison.value("spearman", "tuned") == pytest.approx(expected, abs=1e-3)

    def test_pages_say_so(self, scored: Run) -> None:
        pages = [(scored.folder / name).read_text(encoding="utf-8") for name in ("report.html", "report.md")]
        assert all(f"{scored.comparison.pairs} held-out pairs with scores" in page for page in pages)


@pytest.fixture(scope="module")
def text_image(tmp_path_factory: pytest.TempPathFactory, tiny_models: Callable[[str], Path]) -> Run:
    folder = tmp_path_factory.mktemp("text-image")
    options = {"task": "text-to-image", "convert_to_blob": True}
    return Run(
        folder / "run", named_colours(folder / "data"), options, backbone=str(tiny_models("clip")), loss="CLIPLoss"
    )


class TestTextsAndImages:
    """Texts search images and images search texts, CLIP."""

    def test_texts_search_images(self, text_image: Run) -> None:
        comparison = text_image.comparison
        assert (comparison.query_kind, comparison.index_kind) == ("text", "image")
        assert comparison.queries == comparison.index_documents == 8
        assert [(side.name, side.query_texts.texts, side.index_texts) for side in comparison.sides] == [
            ("base", 8, None),
            ("tuned", 8, None),
        ]
        assert text_image.card.train_texts.texts == 24

    def test_the_learned_factor_is_kept(self, text_image: Run) -> None:
        kept = ModelCard.load(text_image.folder / "model").learned
        assert kept.keys() == {"log_scale"}
        assert kept["log_scale"] == pytest.approx(math.log(1 / 0.07), abs=0.1)
        assert kept["log_scale"] != pytest.approx(math.log(1 / 0.07), abs=1e-6)

    def test_and_images_texts(self, text_image: Run, tmp_path: Path) -> None:
        (direction,) = text_image.comparison.directions
        assert (direction.name, direction.queries, direction.index_documents) == ("image-to-text", 8, 8)
        held_out = read_held_out(text_image.evaluation, tmp_path)
        model = load_model(str(text_image.folder / "model"), 0)
        sides = (list(contents) for contents in (held_out.queries, held_out.index))
        texts, images = (model.encode(side, normalize_embeddings=True) for side in sides)
        places = []
        for row, column in enumerate((images @ texts.T).round(6)):
            (text,) = (one for one in range(8) if row in held_out.documents.judgments.relevant(one)[0])
            places.append(1 + int((column > column[text]).sum()))
        found = {metric.name: metric.values["tuned"] for metric in direction.metrics}
        assert found["mrr_at_10"] == pytest.approx(np.mean([1 / place for place in places]), abs=0.02)
        page = (text_image.folder / "report.html").read_text(encoding="utf-8")
        assert "<h3>image-to-text</h3>" in page
        assert "<script>alert" not in page


@pytest.fixture(scope="module")
def meshes(tmp_path_factory: pytest.TempPathFactory, tiny_models: Callable[[str], Path]) -> Run:
    folder = tmp_path_factory.mktemp("meshes")
    source, options = solids(folder / "data"), {"create_point_clouds": True, "point_cloud_size": 64}
    return Run(folder / "run", source, options, backbone=str(tiny_models("pointnet")), loss="SupConLoss")


class TestMeshes:
    """Labelled meshes, PointNet."""

    def test_are_compared(self, meshes: Run) -> None:
        comparison = meshes.comparison
        assert (comparison.query_kind, comparison.index_kind) == ("mesh", "mesh")
        assert comparison.queries > 0
        assert comparison.value("ndcg_at_10", "tuned") > 0.3

    def test_examples_name_files(self, meshes: Run) -> None:
        assert all(content.text.endswith(".off") for content in meshes.comparison.contents)

    def test_page_shows_drawings(self, meshes: Run) -> None:
        page = (meshes.folder / "report.html").read_text(encoding="utf-8")
        assert page.count("data:image/png;base64,") == 1
        assert '<section aria-labelledby="examples" class="meshes">' in page


@pytest.mark.parametrize(
    ("task", "metric"),
    [("images", "ndcg_at_10"), ("scored", "spearman"), ("text_image", "ndcg_at_10"), ("meshes", "ndcg_at_10")],
)
def test_validation_measures_as_an_evaluation_does(request, tmp_path: Path, task: str, metric: str) -> None:
    run: Run = request.getfixturevalue(task)
    found, model = run.card.validation, load_model(str(run.folder / "model"), 0)
    assert found is not None
    assert (found.metric, found.kept, len(found.scores)) == (metric, 1, 2)
    _, validation = read_examples(run.folder / "train", tmp_path, FinetuneConfig(**CONFIG))
    assert validation is not None
    held_out = validation.held_out
    assert (found.queries, found.documents) == (len(held_out.queries), len(held_out.index))
    queries = encode_contents(model, held_out.queries, EncodingRole.QUERY, 4, "")
    index = encode_contents(model, held_out.index, validation.index_role, 4, "")
    expected = deciding_score(held_out.documents, Vectors(queries, index), validation.metric)
    assert found.scores[-1].value == pytest.approx(expected, abs=1e-3)
    pages = [(run.folder / name).read_text(encoding="utf-8") for name in ("loss.html", "report.html", "report.md")]
    assert all(f"{found.scores[0].value:.3f} before training, " in page for page in pages)
