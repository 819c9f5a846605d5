"""The champion is scored on today's held-out data; what keeps it from that is a reason, and no failure."""

import dataclasses
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from mlflow import MlflowClient
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from sentence_transformers import SentenceTransformer

from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.errors import ConfigError
from embedtune.mlflow.artifacts import folder_on_disk
from embedtune.mlflow.connection import TRACKING_VARIABLE, connect
from embedtune.mlflow.layout import DESCRIPTION, DIGESTS, MODEL_FOLDER
from embedtune.mlflow.versions import find_version
from embedtune.models.card import CARD_FILE
from embedtune.models.catalogue import POINT_MODEL
from embedtune.models.contents import Contents
from embedtune.models.registered import RegisteredName, registered_version
from embedtune.records.layouts import Modality
from embedtune.registry.register import register_model
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.evaluation_set import EvaluationSet
from embedtune.retrieval.gate import Incumbent
from embedtune.retrieval.held_out import HeldOut
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.steps.champion import champion_now, score_champion
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.finetune import finetune
from embedtune.steps.register_model import RegisterModelConfig
from embedtune.steps.register_model import register_model as register_model_step
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters
from embedtune.training.config import FinetuneConfig
from tests.registry.conftest import _no_platform_run, make_request, model_folder, registry
from tests.steps.test_train_steps import documents

__all__ = ["_no_platform_run", "make_request", "model_folder", "registry"]

QUERIES, INDEX = ["where is it", "how much"], ["on the way", "ten euros", "nobody knows"]


def held_out(contents: tuple[Contents, Contents] | None = None) -> HeldOut:
    ids = ["q0", "q1"], ["d0", "d1", "d2"]
    judgments = Judgments.from_pairs(*ids, ids[0], ids[1][:2], [1.0, 1.0])
    data = EvaluationSet(ids[0], QUERIES, ["", ""], ids[1], INDEX, judgments)
    return HeldOut(data, *(contents or (Contents.of_texts(QUERIES), Contents.of_texts(INDEX))))


@pytest.fixture
def client(registry) -> MlflowClient:
    return connect(registry.tracking_uri)


@pytest.fixture
def champion(client: MlflowClient, make_request, request: pytest.FixtureRequest) -> Iterator[tuple[str, Path]]:
    """A champion's version and the folder in which MLflow keeps its files."""
    name = f"served {request.node.name}"[:60].replace("[", " ").rstrip(" ]")
    made = register_model(make_request(name))
    assert made.promoted
    found = find_version(client, f"models:/{name}/{made.version}")
    folder = folder_on_disk(client, found.address)
    yield registered_version(found), folder
    client.delete_registered_model(name)
    client.delete_logged_model(folder.parent.name)


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an MLflow where nothing listens."""
    with socket.socket() as bound:  # and never listening: the port refuses connections as long as it is held
        bound.bind(("127.0.0.1", 0))
        server = f"http://127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv(TRACKING_VARIABLE, server)
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0")
        yield server


def obstacle(version: str, data: HeldOut | None = None) -> str:
    found = score_champion(version, held_out() if data is None else data, EvalOptions(batch_size=8))
    assert (found.encoded, found.incumbent.version) == (None, "1")
    return found.incumbent.obstacle


class TestWhichOne:
    def test_is_known_by_name_version_and_time(self, champion, capsys: pytest.CaptureFixture[str]) -> None:
        version, _ = champion
        name = RegisteredName.parse(version).name
        assert champion_now(name) == version
        assert f"Champion of {name} is version 1; it is scored" in capsys.readouterr().err

    def test_there_is_none(self, registry, capsys: pytest.CaptureFixture[str]) -> None:
        assert champion_now("nobody") == ""
        assert "nobody has no champion yet" in capsys.readouterr().err

    def test_cannot_be_known(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.delenv(TRACKING_VARIABLE, raising=False)
        assert champion_now("nobody") == ""
        told = capsys.readouterr().err
        assert "Whether nobody has a champion cannot be found out" in told
        assert "replaces no champion. There is no MLflow to work with" in told

    def test_where_nothing_listens(self, silent_server: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert champion_now("nobody") == ""
        told = capsys.readouterr().err
        assert f"and replaces no champion. MLflow at {silent_server} failed: " in told
        assert told.endswith("Check that the server runs and can be reached from here.\n")

    def test_a_first_run_in_a_folder_makes_no_database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(TRACKING_VARIABLE, f"sqlite:///{tmp_path}/mlflow.db")
        assert champion_now("nobody") == ""
        assert list(tmp_path.iterdir()) == []

    def test_is_an_output_of_the_first_step(self, champion, tmp_path: Path) -> None:
        (tmp_path / "data.csv").write_text("a,b\n", encoding="utf-8")
        version, _ = champion
        config = RunParameters(
            str(tmp_path / "data.csv"),
            model_backbone=POINT_MODEL,
            register_model_name=RegisteredName.parse(version).name,
        )
        assert resolve_data(config).champion == version
        assert resolve_data(dataclasses.replace(config, register_model_name="nobody")).champion == ""

    @pytest.mark.parametrize("name", ["models:/shop/3", "registered:shop/3", "shop", "registered:a/b@1"])
    def test_of_another_form_is_refused_at_once(self, name: str) -> None:
        with pytest.raises(ConfigError, match="names no registered version; accepted: what resolve-data returned"):
            EvaluateRetrievalConfig(champion=name)


class TestScore:
    def test_of_none(self) -> None:
        found = score_champion("", held_out(), EvalOptions(batch_size=8))
        assert (found.incumbent, found.encoded) == (Incumbent(), None)

    def test_is_that_of_its_vectors(self, champion) -> None:
        version, folder = champion
        found = score_champion(version, held_out(), EvalOptions(batch_size=8))
        assert found.incumbent == Incumbent("1")
        assert found.model == f"{RegisteredName.parse(version).name}, version 1"
        model = SentenceTransformer(str(folder / MODEL_FOLDER), device="cpu")
        assert found.encoded.queries == pytest.approx(model.encode(QUERIES), abs=1e-5)
        assert found.encoded.index == pytest.approx(model.encode(INDEX), abs=1e-5)

    def test_of_one_whose_files_are_gone(self, champion, capsys: pytest.CaptureFixture[str]) -> None:
        version, folder = champion
        shutil.rmtree(folder)
        told = obstacle(version)
        assert told.startswith(f"The files of {RegisteredName.parse(version).uri} are gone from ")
        assert f"The champion, version 1, could not be scored. {told}" in capsys.readouterr().err

    def test_of_one_that_lost_a_file(self, champion) -> None:
        version, folder = champion
        (folder / MODEL_FOLDER / "model.safetensors").unlink()
        assert "is damaged: its file model.safetensors is gone" in obstacle(version)

    def test_of_one_without_a_card(self, champion) -> None:
        version, folder = champion
        forget(folder, CARD_FILE)
        uri = RegisteredName.parse(version).uri
        assert obstacle(version).startswith(f"{uri} holds no embedtune.json, so it is not a model that embedtune")

    def test_of_one_that_cannot_be_loaded(self, champion) -> None:
        version, folder = champion
        forget(folder, "tokenizer.json", "vocab.txt", "tokenizer_config.json")
        assert "Backbone 'models:/served test_of_one" in obstacle(version)

    def test_of_one_that_gives_no_numbers(self, champion) -> None:
        version, folder = champion
        path = folder / MODEL_FOLDER / "model.safetensors"
        weights = {name: np.full_like(values, np.nan) for name, values in load_file(path).items()}
        rewrite(folder, path, weights)
        assert "champion query vectors hold NaN or infinite values" in obstacle(version)

    def test_of_one_that_is_compared_by_what_nothing_is_ranked_by(self, champion) -> None:
        version, folder = champion
        path = folder / MODEL_FOLDER / "config_sentence_transformers.json"
        config = json.loads(path.read_text(encoding="utf-8"))
        path.unlink()
        path.write_text(json.dumps({**config, "similarity_fn_name": "manhattan"}), encoding="utf-8")
        describe_again(folder)
        uri = RegisteredName.parse(version).uri
        assert obstacle(version) == (
            f"eval_options: {uri} compares its vectors by manhattan, by which nothing is ranked here; set distance to "
            "one of cosine, dot, euclidean to rank by that."
        )
        found = score_champion(version, held_out(), EvalOptions(batch_size=8, distance="cosine"))
        assert (found.incumbent, found.encoded.index.shape) == (Incumbent("1"), (3, 32))

    def test_of_one_that_reads_something_else(self, champion) -> None:
        version, _ = champion
        images = tuple(Contents([(Modality.IMAGE, pa.chunked_array([pa.array([b"x"] * n)]))]) for n in (2, 3))
        told = obstacle(version, held_out(images))
        assert told.endswith("reads text, but the held-out contents are image. Compare models that read the same.")

    def test_of_one_that_was_deleted(self, champion, client: MlflowClient) -> None:
        version, _ = champion
        client.delete_model_version(RegisteredName.parse(version).name, "1")
        assert "is not in MLflow at" in obstacle(version)

    def test_where_mlflow_is_out_of_reach(self, champion, monkeypatch: pytest.MonkeyPatch) -> None:
        version, _ = champion
        monkeypatch.delenv(TRACKING_VARIABLE)
        assert obstacle(version).startswith("There is no MLflow to work with")

    def test_where_mlflow_comes_back(
        self, registry, champion, silent_server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        version, _ = champion
        waits: list[float] = []

        def come_back(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 2:
                monkeypatch.setenv(TRACKING_VARIABLE, registry.tracking_uri)

        monkeypatch.setattr("embedtune.mlflow.patience.sleep", come_back)
        found = score_champion(version, held_out(), EvalOptions(batch_size=8))
        assert (found.incumbent, found.encoded.index.shape, waits) == (Incumbent("1"), (3, 32), [10, 30])
        told = f"{RegisteredName.parse(version).uri} is out of reach; asking again in 30 s. MLflow at {silent_server}"
        assert told in capsys.readouterr().err

    def test_where_mlflow_stays_away(self, champion, silent_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
        version, _ = champion
        waits: list[float] = []
        monkeypatch.setattr("embedtune.mlflow.patience.sleep", waits.append)
        assert obstacle(version).startswith(f"MLflow at {silent_server} failed: ")
        assert waits == [10, 30, 60, 120]

    def test_a_registration_waits_for_mlflow(
        self, registry, make_request, silent_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = make_request("waited for")
        request.comparison.save(tmp_path / COMPARISON_FILE)
        waits: list[float] = []

        def come_back(seconds: float) -> None:
            waits.append(seconds)
            monkeypatch.setenv(TRACKING_VARIABLE, registry.tracking_uri)

        monkeypatch.setattr("embedtune.mlflow.patience.sleep", come_back)
        made = register_model_step(RegisterModelConfig("waited for"), request.model_folder, tmp_path, ())
        assert (made.name, made.version, waits) == ("waited for", 1, [10])


def forget(folder: Path, *names: str) -> None:
    """Register without some files, as another program may have done."""
    path = folder / DESCRIPTION
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name in names:
        if found["metadata"][DIGESTS].pop(name, None) is not None:
            found["model_size_bytes"] -= (folder / MODEL_FOLDER / name).stat().st_size
    path.write_text(yaml.safe_dump(found), encoding="utf-8")


def rewrite(folder: Path, path: Path, weights: dict[str, np.ndarray]) -> None:
    """Register other weights."""
    path.unlink()  # MLflow may hold the test's own model folder under a second name
    save_file(weights, path, {"format": "pt"})
    describe_again(folder)


def describe_again(folder: Path) -> None:
    """Register the files as they are now."""
    description = folder / DESCRIPTION
    found = yaml.safe_load(description.read_text(encoding="utf-8"))
    found["metadata"][DIGESTS] = dict.fromkeys(found["metadata"][DIGESTS], "")
    sizes = [(folder / MODEL_FOLDER / name).stat().st_size for name in found["metadata"][DIGESTS]]
    found["model_size_bytes"] = sum(sizes)
    description.write_text(yaml.safe_dump(found), encoding="utf-8")


def check_migration(folder: Path, scored: Comparison, counted: int) -> None:
    """Check what a promotion costs, in the comparison, in the file of the map and on the page."""
    cost = scored.migration
    assert cost is not None
    assert cost.agreement is not None
    assert (cost.documents, cost.is_known, cost.dimension) == (scored.index_documents, False, 32)
    assert cost.per_second > 0
    assert cost.device
    assert (cost.agreement.metric, cost.agreement.queries) == ("recall_at_10", counted)
    assert cost.agreement.champion == scored.value("recall_at_10", "champion")
    with safe_open(folder / "scores" / "to-champion.safetensors", "numpy") as file:
        found = file.get_tensor("map")
        assert (file.metadata()["champion_version"], file.metadata()["distance"]) == ("1", "cosine")
    assert (found.dtype, found.shape) == (np.float32, (32, 32))
    assert np.allclose(found @ found.T, np.eye(32), atol=1e-5)
    for page in ("report.html", "report.md"):
        assert "What a promotion costs" in (folder / page).read_text(encoding="utf-8")


def test_queries_that_the_champion_was_trained_on_are_left_out_against_it_alone(
    tiny_model_folder: Path, tmp_path: Path, make_request, client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same rows, split by another seed: the champion was trained on most of what the new model is judged on."""
    config = FinetuneConfig(backbone=str(tiny_model_folder), epochs=1, batch_size=8, max_length=32)
    old_train, _ = documents(tmp_path, 1)
    train, evaluation = documents(tmp_path, 2)
    finetune(config, old_train, tmp_path / "old", tmp_path / "page.html")
    finetune(config, train, tmp_path / "new", tmp_path / "page.html")
    register_model(make_request("drawn again", model_folder=tmp_path / "old"))
    version = champion_now("drawn again")
    outputs = tmp_path / "scores", tmp_path / "report.html", tmp_path / "report.md"
    alone = evaluate_retrieval(EvaluateRetrievalConfig(), tmp_path / "new", evaluation, *outputs)
    capsys.readouterr()
    scored = evaluate_retrieval(EvaluateRetrievalConfig(champion=version), tmp_path / "new", evaluation, *outputs)

    texts = set(BuiltFolder.open(evaluation).table(Split.QUERY)["text"].to_pylist())
    seen = texts & set(BuiltFolder.open(old_train).table(Split.TRAIN)["text"].to_pylist())
    assert 0 < len(seen) < len(texts)
    champion = scored.side("champion")
    assert (champion.known_queries, champion.model) == (len(seen), "drawn again, version 1")
    assert scored.queries == alone.queries == len(texts)
    assert scored.difference("ndcg_at_10", "champion").units == len(texts) - len(seen)
    assert scored.difference("ndcg_at_10") == alone.difference("ndcg_at_10")
    sentence = f"was itself trained on {len(seen)} of the {len(texts)} held-out queries"
    assert f"Champion drawn again, version 1 {sentence}" in capsys.readouterr().err
    assert any(sentence in warning for warning in scored.warnings)
    assert scored.decision.champion_version == "1"
    assert Comparison.load(tmp_path / "scores" / "comparison.json") == scored
    check_migration(tmp_path, scored, len(texts) - len(seen))
    assert alone.migration is None
    lines = (tmp_path / "scores" / "champion.run").read_text(encoding="utf-8").splitlines()
    assert len({line.split()[0] for line in lines}) == len(texts) - len(seen)
