"""The parts of the model steps that need no model; `tests/cli` and `tests/local` run the whole."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from embedtune.documents.build import BuildOptions
from embedtune.documents.build import build_documents as build
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder, read_manifest
from embedtune.documents.shards.tables import write_manifest
from embedtune.errors import ConfigError, InputError, ModelError, StorageError
from embedtune.models.backbones import Backbone, Place
from embedtune.models.card import EpochFacts, LossPoint, ModelCard
from embedtune.models.trained_texts import load_trained, trained_digests
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.facts import provenance_of, training_facts_of
from embedtune.steps.finetune import CHECKPOINTS_VARIABLE, checkpoint_root, finetune
from embedtune.steps.register_model import RegisterModelConfig, register_model
from embedtune.storage.ownership import INVENTORY
from embedtune.training.config import FinetuneConfig

CARD = ModelCard(
    backbone="tiny",
    backbone_digest="sha256:00",
    dimension=32,
    max_length=64,
    layout="labelled",
    train_documents=12,
    data_digest="sha256:11",
    options=dataclasses.asdict(FinetuneConfig(loss="SupConLoss", epochs=3, learning_rate=1e-4, seed=7)),
    history=(LossPoint(1, 0.5, 2.0),),
    seconds=3.0,
    texts_per_second=8.0,
    versions={"torch": "2.13.0"},
    parity_max_difference=1e-7,
)


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("s3://mlpipeline/v2/finetune/RUN/finetune/UUID/model", "s3://mlpipeline/v2/finetune/RUN/finetune/checkpoints"),
        ("minio://b/v2/p/RUN/TASK/UUID/model/", "minio://b/v2/p/RUN/TASK/checkpoints"),
        ("/srv/out/runs/finetune-1/finetune/model", "/srv/out/runs/finetune-1/finetune/checkpoints"),
        ("out/model", "out/checkpoints"),
    ],
)
def test_checkpoints_outlive_the_attempt(uri: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHECKPOINTS_VARIABLE, raising=False)
    assert checkpoint_root(uri) == root


def test_two_attempts_of_a_task_share_their_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CHECKPOINTS_VARIABLE, raising=False)
    roots = {checkpoint_root(f"s3://b/v2/finetune/RUN/finetune/{attempt}/model") for attempt in ("uuid-1", "uuid-2")}
    assert len(roots) == 1


@pytest.mark.parametrize(("value", "root"), [("s3://b/kept", "s3://b/kept"), ("/kept", "/kept"), ("off", "")])
def test_environment_says_where_checkpoints_go(value: str, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CHECKPOINTS_VARIABLE, value)
    assert checkpoint_root("s3://b/v2/finetune/RUN/finetune/UUID/model") == root


def test_what_was_chosen_and_what_an_epoch_was_like_reach_card_and_pages(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, _ = documents(tmp_path, 1)
    config = FinetuneConfig(backbone=str(tiny_model_folder), max_length=32, batch_size=8)
    card = finetune(config, train, tmp_path / "model", tmp_path / "page.html")
    assert (card.options["loss"], card.options["epochs"]) == ("MultipleNegativesRankingLoss", 5)
    assert card.options["learning_rate"] == 1e-4
    assert set(card.chosen) == {"loss", "epochs", "learning_rate", "precision"}
    assert card.epoch == EpochFacts(contents_used=96, rows_per_batch=4.0, negatives=3.0)
    assert ModelCard.load(tmp_path / "model") == card
    told, page = capsys.readouterr().err, (tmp_path / "page.html").read_text(encoding="utf-8")
    for sentence in card.chosen.values():
        assert sentence in told
        assert sentence in page
    assert "An epoch takes 96 of 96 training contents, in batches of 4.0 rows, each told apart from 3.0" in told
    assert "96 contents" in page


def test_a_card_in_the_words_of_the_reports() -> None:
    facts, provenance = training_facts_of(CARD), provenance_of(CARD)
    assert (facts.loss, facts.epochs, facts.learning_rate) == ("SupConLoss", 3, 1e-4)
    assert (facts.seconds, facts.texts_per_second, facts.train_documents) == (3.0, 8.0, 12)
    assert (provenance.versions, provenance.data_digest, provenance.seed) == ({"torch": "2.13.0"}, "sha256:11", 7)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "ndcg@10"}, "metric is 'ndcg@10'"),
        ({"min_gain": 1.5}, "min_gain is 1.5"),
        ({"min_gain": float("nan")}, "min_gain is nan"),
        ({"min_lower_bound": -0.1}, "min_lower_bound is -0.1"),
        ({"eval_options": '{"batch_size": 0}'}, "eval_options: batch_size is 0"),
    ],
)
def test_evaluation_options_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        EvaluateRetrievalConfig(**changes)


def evaluate(model: Path, folder: Path) -> None:
    outputs = [folder / name for name in ("scores", "report.html", "report.md")]
    evaluate_retrieval(EvaluateRetrievalConfig(), model, folder, *outputs)


def test_evaluation_of_a_folder_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no embedtune"):
        evaluate(tmp_path, tmp_path)


def test_registration_with_a_folder_that_holds_no_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Give the 'scores' output of the evaluation step"):
        register_model(RegisterModelConfig("tiny"), tmp_path, tmp_path, ())


def test_of_options_that_a_card_lacks_nothing_is_said() -> None:
    card = dataclasses.replace(CARD, options={"loss": "NewLoss", "epochs": 0.5, "batch_size": "auto", "grain": 1})
    facts = training_facts_of(card)
    assert (facts.loss, facts.epochs, facts.batch_size, facts.learning_rate) == ("NewLoss", 0.5, None, None)
    assert provenance_of(card).seed is None
    card = dataclasses.replace(CARD, options={"loss": 3, "epochs": True, "seed": 1.5})
    facts = training_facts_of(card)
    assert (facts.loss, facts.epochs, provenance_of(card).seed) == (None, None, None)


def documents(folder: Path, seed: int) -> tuple[Path, Path]:
    with open_rows(folder / "rows", RowsFormat(Layout.PAIRS, (Modality.TEXT, Modality.TEXT))) as file:
        numbers = list(range(60))
        file.write([numbers, [f"query {one}" for one in numbers], [f"document {one}" for one in numbers]])
    train, evaluation = folder / f"train {seed}", folder / f"evaluation {seed}"
    build(folder / "rows", train, evaluation, folder / "set_aside.csv", BuildOptions(seed=seed))
    return train, evaluation


def test_a_model_is_never_judged_on_another_split(tmp_path: Path) -> None:
    train, _ = documents(tmp_path, 1)
    _, other = documents(tmp_path, 2)
    (tmp_path / "model").mkdir()
    dataclasses.replace(CARD, data_digest=read_manifest(train).digest).save(tmp_path / "model")
    with pytest.raises(InputError, match=r"may have seen its texts\. Give the 'evaluation' folder"):
        evaluate(tmp_path / "model", other)


@pytest.mark.parametrize(
    "rows_format",
    [RowsFormat(Layout.PLAIN, (Modality.TEXT,)), RowsFormat(Layout.LABELLED, (Modality.MESH,), loaded=False)],
    ids=lambda rows_format: rows_format.layout,
)
def test_what_nothing_can_be_learned_from_is_refused_at_once(tmp_path: Path, rows_format: RowsFormat) -> None:
    write_manifest(tmp_path, rows_format, (), None, "sha256:11")
    CARD.save(tmp_path)
    message = (
        f"{tmp_path}: (of the layout 'plain'.*embedtune push|only the addresses of the contents \\(mesh\\) are there)"
    )
    with pytest.raises(InputError, match=message):
        evaluate(tmp_path, tmp_path)
    with pytest.raises(InputError, match=message):
        finetune(FinetuneConfig(), tmp_path, tmp_path / "new", tmp_path / "page.html")
    assert not (tmp_path / "new").exists()


def test_training_and_evaluation_of_graded_judgments(tiny_model_folder: Path, tmp_path: Path) -> None:
    """Rows of beir with an official test split: positives train, gains above 0 count, the whole corpus is searched."""
    topics = [f"{first}{second}" for first in "abcdefgh" for second in "klmnp"]
    judged = [(f"{one} query", f"{one} answer", 2.0, "train" if row < 30 else "test") for row, one in enumerate(topics)]
    judged += [(f"{one} query", f"{one} half", 1.0, "train" if row < 30 else "test") for row, one in enumerate(topics)]
    judged += [(f"{one} query", f"{one} noise", 0.0, "test") for one in topics[30:]]
    rows_format = RowsFormat(Layout.BEIR, (Modality.TEXT, Modality.TEXT))
    with open_rows(tmp_path / "rows", rows_format) as file:
        file.write([list(range(len(judged))), *zip(*judged, strict=True)])
    train, evaluation = tmp_path / "train", tmp_path / "evaluation"
    build(tmp_path / "rows", train, evaluation, tmp_path / "set_aside.csv", BuildOptions())
    config = FinetuneConfig(backbone=str(tiny_model_folder), epochs=1, batch_size=8, max_length=32)
    card = finetune(config, train, tmp_path / "model", tmp_path / "page.html", "")
    assert card.layout == "beir"
    outputs = (tmp_path / "scores", tmp_path / "report.html", tmp_path / "report.md")
    comparison = evaluate_retrieval(EvaluateRetrievalConfig(), tmp_path / "model", evaluation, *outputs)
    assert (comparison.queries, comparison.queries_without_relevant) == (10, 0)
    assert comparison.index_documents == 90
    gains = [line.split()[3] for line in (tmp_path / "scores" / "qrels.txt").read_text(encoding="utf-8").splitlines()]
    assert sorted(gains) == ["1"] * 10 + ["2"] * 10


def test_scores_appear_whole_or_not_at_all(tiny_model_folder: Path, tmp_path: Path) -> None:
    from embedtune.models.loading import load_model, weights_digest

    train, evaluation = documents(tmp_path, 1)
    model = shutil.copytree(tiny_model_folder, tmp_path / "model")
    digest = weights_digest(load_model(str(tiny_model_folder), 64))
    dataclasses.replace(
        CARD, backbone=str(tiny_model_folder), backbone_digest=digest, data_digest=read_manifest(train).digest
    ).save(model)
    out = tmp_path / "out"
    (out / "scores").mkdir(parents=True)
    (out / "scores" / "stale.run").touch()
    (out / "report.md").mkdir()
    outputs = (out / "scores", out / "pages" / "report.html")
    with pytest.raises(StorageError, match=r"report\.md cannot be written"):
        evaluate_retrieval(EvaluateRetrievalConfig(), model, evaluation, *outputs, out / "report.md")
    assert [path.name for path in (out / "scores").iterdir()] == ["stale.run"]

    comparison = evaluate_retrieval(EvaluateRetrievalConfig(), model, evaluation, *outputs, out / "new" / "report.md")
    names = {"comparison.json", "qrels.txt", "base.run", "tuned.run", "queries.csv", "data.json", INVENTORY}
    assert {path.name for path in (out / "scores").iterdir()} == names
    assert Comparison.load(out / "scores" / COMPARISON_FILE) == comparison
    page = (out / "pages" / "report.html").read_text(encoding="utf-8")
    assert f"The {comparison.queries} of {comparison.queries} queries that the tuned model answers worst" in page


def test_a_page_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"page\.html cannot be written"):
        finetune(FinetuneConfig(), tmp_path, tmp_path / "model", tmp_path / "file" / "page.html")


def test_a_backbone_that_was_trained_on_held_out_queries(
    tiny_model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows, split by another seed: what the first model saw of the second's queries is left out for both."""
    config = FinetuneConfig(backbone=str(tiny_model_folder), epochs=1, batch_size=8, max_length=32)
    first_train, first_evaluation = documents(tmp_path, 1)
    train, evaluation = documents(tmp_path, 2)
    first = tmp_path / "first"
    finetune(config, first_train, first, tmp_path / "page.html")
    outputs = tmp_path / "scores", tmp_path / "report.html", tmp_path / "report.md"
    alone = evaluate_retrieval(EvaluateRetrievalConfig(), first, first_evaluation, *outputs)
    assert (alone.side("base").known_queries, alone.side("base").known_index) == (0, 0)

    finetune(dataclasses.replace(config, backbone=str(first)), train, tmp_path / "second", tmp_path / "page.html")
    capsys.readouterr()
    chained = evaluate_retrieval(EvaluateRetrievalConfig(), tmp_path / "second", evaluation, *outputs)
    held_out = set(BuiltFolder.open(evaluation).table(Split.QUERY)["text"].to_pylist())
    seen = held_out & set(BuiltFolder.open(first_train).table(Split.TRAIN)["text"].to_pylist())
    assert 0 < len(seen) < len(held_out)
    base = chained.side("base")
    assert (base.known_queries, base.known_index) == (len(seen), len(seen))
    assert (chained.queries, chained.index_documents) == (len(held_out) - len(seen), len(held_out))
    sentence = f"was itself trained on {len(seen)} of the {len(held_out)} held-out queries"
    assert sentence in capsys.readouterr().err
    assert sentence in chained.warnings[0]
    assert f"{len(seen)} queries were left out for that" in outputs[1].read_text(encoding="utf-8")
    assert f"because the base model was itself trained on them: {len(seen)} " in outputs[2].read_text(encoding="utf-8")
    assert Comparison.load(tmp_path / "scores" / COMPARISON_FILE) == chained
    queries = (tmp_path / "scores" / "queries.csv").read_text(encoding="utf-8").splitlines()
    assert len(queries) == 1 + chained.queries

    third = dataclasses.replace(config, backbone=str(tmp_path / "second"))
    finetune(third, first_train, tmp_path / "third", tmp_path / "page.html")
    closing = evaluate_retrieval(EvaluateRetrievalConfig(), tmp_path / "third", first_evaluation, *outputs)
    first_held_out = set(BuiltFolder.open(first_evaluation).table(Split.QUERY)["text"].to_pylist())
    assert closing.side("base").known_queries == len(first_held_out - held_out) > 0
    assert closing.queries == len(first_held_out & held_out) > 0
    trained = [load_trained(Backbone(one, str(tmp_path / one), Place.FOLDER)) for one in ("first", "second", "third")]
    texts = [BuiltFolder.open(folder).table(Split.TRAIN)["text"].to_pylist() for folder in (first_train, train)]
    assert trained[0].tolist() == sorted(trained_digests(texts[0]).tolist())
    assert trained[1].tolist() == trained[2].tolist() == sorted({*trained_digests(texts[0] + texts[1]).tolist()})
