"""Further evaluations by address: looked up in the first step, measured in the fifth."""

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedtune.documents.build import BuildOptions, build_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards import read_relevance, read_table
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.catalogue import POINT_MODEL
from embedtune.models.loading import load_model
from embedtune.records.layouts import Layout, Modality
from embedtune.records.rows import RowsFormat, open_rows
from embedtune.retrieval.comparison import Comparison, Probe
from embedtune.retrieval.gate import judge_probe
from embedtune.retrieval.options import EvalOptions
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.steps.evaluate_retrieval import EvaluateRetrievalConfig, evaluate_retrieval
from embedtune.steps.evaluations import evaluation_versions
from embedtune.steps.finetune import finetune
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.steps.push_data import push
from embedtune.steps.resolve_data import resolve_data
from embedtune.steps.run_parameters import RunParameters
from embedtune.training.config import FinetuneConfig
from tests.tiny_data import coloured_squares


def pairs(folder: Path, numbers: range, seed: int) -> tuple[Path, Path]:
    """Training and evaluation documents of pairs; equal numbers make equal texts."""
    folder.mkdir()
    with open_rows(folder / "rows", RowsFormat(Layout.PAIRS, (Modality.TEXT, Modality.TEXT))) as file:
        queries, documents = [f"query {one}" for one in numbers], [f"document {one % 50} {one}" for one in numbers]
        file.write([list(numbers), queries, documents])
    train, evaluation = folder / "train", folder / "evaluation"
    build_documents(folder / "rows", train, evaluation, folder / "aside.csv", BuildOptions(eval_share=0.4, seed=seed))
    return train, evaluation


class Trained:
    """A tuned model with the documents that it was trained and is judged on, and others."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.folder, self.base, self.model = folder, base, folder / "model"
        train, self.evaluation = pairs(folder / "own", range(60), 1)
        _, self.other = pairs(folder / "other", range(20, 100), 2)
        config = FinetuneConfig(backbone=str(base), epochs=1, batch_size=16, max_length=0, learning_rate=1e-3)
        finetune(config, train, self.model, folder / "loss.html")
        self.texts = set(read_table(train, Split.TRAIN)["text"].to_pylist())

    def judge(self, name: str, evaluations: list[str], versions: str = "{}", **options: object) -> Comparison:
        asked = json.dumps({"evaluations": evaluations, **options})
        config = EvaluateRetrievalConfig(eval_options=asked, evaluation_versions=versions)
        outputs = [self.folder / name / part for part in ("scores", "report.html", "report.md")]
        (self.folder / name).mkdir()
        found = evaluate_retrieval(config, self.model, self.evaluation, *outputs)
        assert Comparison.load(outputs[0] / COMPARISON_FILE) == found
        return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_model_folder: Path) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"), tiny_model_folder)


def naive_ndcg(model: str, folder: Path) -> float:
    """Mean nDCG@10 of the queries of a folder, by a loop over all pairs in float64."""
    encoder = load_model(model, 0)
    queries, index = (read_table(folder, split) for split in (Split.QUERY, Split.INDEX))
    ids, texts = index["id"].to_pylist(), index["text"].to_pylist()
    documents = encoder.encode(texts, convert_to_numpy=True).astype(np.float64)
    relevant = {(row["query_id"], row["document_id"]) for row in read_relevance(folder).to_pylist()}
    found = []
    for identifier, text in zip(queries["id"].to_pylist(), queries["text"].to_pylist(), strict=True):
        vector = encoder.encode(text, convert_to_numpy=True).astype(np.float64)
        cosines = [float(vector @ each / np.linalg.norm(vector) / np.linalg.norm(each)) for each in documents]
        order = sorted((-round(cosine, 6), id_) for cosine, id_ in zip(cosines, ids, strict=True) if id_ != identifier)
        hits = [(identifier, id_) in relevant for _, id_ in order[:10]]
        total = sum((identifier, id_) in relevant for id_ in ids)
        if total:
            best = sum(1 / math.log2(rank + 2) for rank in range(min(total, 10)))
            found.append(sum(hit / math.log2(rank + 2) for rank, hit in enumerate(hits)) / best)
    return sum(found) / len(found)


def test_every_side_is_measured_on_every_evaluation(trained: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    found = trained.judge("two", [f"other={trained.other}", f"own={trained.evaluation}"])
    other, own = found.side_tables
    assert (other.name, other.source, own.name) == ("other", str(trained.other), "own")
    values = {each.name: each.values for each in other.metrics}["ndcg_at_10"]
    assert values["base"] == pytest.approx(naive_ndcg(str(trained.base), trained.other), abs=1e-6)
    assert values["tuned"] == pytest.approx(naive_ndcg(str(trained.model), trained.other), abs=1e-6)
    # The same data beside the comparison as in it give the same numbers.
    assert (own.metrics, own.differences) == (found.metrics, found.differences)
    assert (own.queries, own.index_documents) == (found.queries, found.index_documents)
    counts = [len(read_table(trained.other, split)) for split in (Split.QUERY, Split.INDEX)]
    assert f"each model encodes {sum(counts)} of other, {found.queries + found.index_documents} of own" in (
        capsys.readouterr().err
    )
    html, markdown = ((trained.folder / "two" / f"report.{end}").read_text("utf-8") for end in ("html", "md"))
    assert ">On <bdi>other</bdi></h2>" in html
    assert "## On other" in markdown


def test_what_the_tuned_model_was_trained_on_is_counted(trained: Trained) -> None:
    (table,) = trained.judge("counted", [f"other={trained.other}"]).side_tables
    queries, index = (read_table(trained.other, split)["text"].to_pylist() for split in (Split.QUERY, Split.INDEX))
    known = [sum(text in trained.texts for text in texts) for texts in (queries, index)]
    assert min(known) > 0
    assert (table.trained_queries, table.trained_index) == ({"tuned": known[0]}, {"tuned": known[1]})


def test_cutoffs_and_distance_are_those_of_the_comparison(trained: Trained) -> None:
    found = trained.judge("dot", [f"own={trained.evaluation}"], cutoffs=[1, 3], metrics=["recall"], distance="dot")
    (table,) = found.side_tables
    assert {each.name for each in table.metrics} >= {"recall_at_1", "recall_at_3"}
    assert (table.metrics, table.differences) == (found.metrics, found.differences)


def test_a_probe_decides_beside_the_held_out_data(trained: Trained) -> None:
    options = {"probe": "other", "probe_drop": 1.0}
    evaluations = [f"own={trained.evaluation}", f"other={trained.other}"]
    without = trained.judge("no probe", evaluations)
    found = trained.judge("probe", evaluations, **options)
    own, other = found.side_tables
    assert own.probe is None
    assert other.probe is not None
    queries = read_table(trained.other, Split.QUERY)["text"].to_pylist()
    assert other.probe.left_out == sum(text in trained.texts for text in queries) > 0
    assert other.queries == without.side_tables[1].queries - other.probe.left_out
    assert found.decision.reasons == (*without.decision.reasons, *other.probe.reasons)
    strict = trained.judge("strict", evaluations, **{**options, "probe_drop": 0.0})
    expected = judge_probe("other", Probe("ndcg_at_10", 0.0, other.probe.left_out), other.differences)
    assert strict.side_tables[1].probe == expected
    assert not strict.decision.better


def test_an_unknown_probe_is_refused_in_the_first_step(trained: Trained) -> None:
    options = json.dumps({"evaluations": [f"other={trained.other}"], "probe": "othr"})
    with pytest.raises(ConfigError, match=r"probe is 'othr'; .* perhaps 'other' is meant"):
        RunParameters("rows.csv", eval_options=options)


def test_a_pushed_folder_is_measured_by_its_name(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path))
    version = push(trained.other, "production", user="ana").version
    options = ["production=dataset://ana/production"]
    looked_up = evaluation_versions(EvalOptions(evaluations=tuple(options)))
    assert json.loads(looked_up) == {"production": f"dataset:{version}"}
    (table,) = trained.judge("pushed", options, looked_up).side_tables
    (same,) = trained.judge("folder", [f"production={trained.other}"]).side_tables
    assert table.source == f"dataset://ana/production, version dataset:{version}"
    assert table.metrics == same.metrics


def test_the_first_step_finds_the_versions(trained: Trained, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n", encoding="utf-8")
    options = json.dumps({"evaluations": [f"other={trained.other}", f"own={trained.evaluation}"]})
    found = resolve_data(RunParameters(str(rows), model_backbone=POINT_MODEL, eval_options=options))
    versions = json.loads(found.evaluation_versions)
    assert list(versions) == ["other", "own"]
    assert all(version.startswith("sha256:") for version in versions.values())
    assert resolve_data(RunParameters(str(rows), model_backbone=POINT_MODEL)).evaluation_versions == "{}"


def test_data_that_changed_since_are_refused(trained: Trained, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.other, tmp_path / "other")
    entry = f"other={folder}"
    looked_up = evaluation_versions(EvalOptions(evaluations=(entry,)))
    (folder / "summary.json").write_bytes((folder / "summary.json").read_bytes() + b"\n")
    with pytest.raises(StorageError, match=r"changed: version sha256:\w+ was asked for"):
        trained.judge("changed", [entry], looked_up)


@pytest.mark.parametrize("step", ["first", "fifth"])
class TestWhatCannotBeMeasuredOn:
    """Refused where it is looked up, and without that before anything is encoded."""

    def refusal(self, step: str, trained: Trained, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
        name, evaluations = f"refused {folder.name}", (f"side={folder}",)
        shutil.rmtree(trained.folder / name, ignore_errors=True)
        with pytest.raises((InputError, StorageError)) as caught:
            evaluation_versions(EvalOptions(evaluations=evaluations)) if step == "first" else trained.judge(
                name, list(evaluations)
            )
        assert "Index, base model" not in capsys.readouterr().err
        return str(caught.value)

    def test_no_such_folder(self, step, trained, tmp_path, capsys) -> None:
        message = self.refusal(step, trained, tmp_path / "missing", capsys)
        assert str(tmp_path / "missing") in message

    def test_a_folder_of_something_else(self, step, trained, tmp_path, capsys) -> None:
        (tmp_path / "rows.csv").write_text("a,b\n", encoding="utf-8")
        message = self.refusal(step, trained, tmp_path, capsys)
        assert f"Evaluation 'side' at {tmp_path} cannot be read as a folder of documents" in message
        assert "Give the 'evaluation' folder of a build-documents run" in message

    def test_training_documents(self, step, trained, tmp_path, capsys) -> None:
        message = self.refusal(step, trained, trained.folder / "own" / "train", capsys)
        assert "holds train, and no queries with an index to search in" in message

    def test_addresses_alone(self, step, trained, tmp_path, capsys) -> None:
        folder = shutil.copytree(trained.other, tmp_path / "addresses")
        manifest = folder / "manifest.json"
        manifest.write_text(manifest.read_text("utf-8").replace('"loaded": true', '"loaded": false'), encoding="utf-8")
        assert "holds only the addresses of its contents" in self.refusal(step, trained, folder, capsys)


def test_contents_of_another_kind(trained: Trained, tmp_path: Path) -> None:
    ingest_csv(IngestCSVConfig(str(coloured_squares(tmp_path / "squares"))), tmp_path / "rows", tmp_path / "bad.csv")
    folder = tmp_path / "evaluation"
    build_documents(tmp_path / "rows", tmp_path / "train", folder, tmp_path / "aside.csv", BuildOptions())
    with pytest.raises(InputError, match="holds contents of the kind image, but the models are compared on text"):
        trained.judge("kinds", [f"squares={folder}"])


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', "1"])
def test_versions_of_another_form(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"evaluation_versions is .*; accepted: a JSON object with the version of each"
    ):
        EvaluateRetrievalConfig(evaluation_versions=text)
