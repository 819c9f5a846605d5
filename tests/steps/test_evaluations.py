"""Further evaluations by address: looked up in the first step, measured in the fifth."""

import json
import math
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from embedtune.cli.main import main
from embedtune.documents.build import BuildOptions, build_documents, hold_out_documents
from embedtune.documents.schema import Split
from embedtune.documents.shards.folder import BuiltFolder
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
from tests.tiny_data import coloured_squares, write_rows

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "data.md"


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
        self.texts = set(BuiltFolder.open(train).table(Split.TRAIN)["text"].to_pylist())

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
    queries, index = (BuiltFolder.open(folder).table(split) for split in (Split.QUERY, Split.INDEX))
    ids, texts = index["id"].to_pylist(), index["text"].to_pylist()
    documents = encoder.encode(texts, convert_to_numpy=True).astype(np.float64)
    relevant = {(row["query_id"], row["document_id"]) for row in BuiltFolder.open(folder).relevance().to_pylist()}
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
    counts = [len(BuiltFolder.open(trained.other).table(split)) for split in (Split.QUERY, Split.INDEX)]
    assert f"each model encodes {sum(counts)} of other, {found.queries + found.index_documents} of own" in (
        capsys.readouterr().err
    )
    html, markdown = ((trained.folder / "two" / f"report.{end}").read_text("utf-8") for end in ("html", "md"))
    assert ">On <bdi>other</bdi></h2>" in html
    assert "## On other" in markdown


def test_what_the_tuned_model_was_trained_on_is_counted(trained: Trained) -> None:
    (table,) = trained.judge("counted", [f"other={trained.other}"]).side_tables
    queries, index = (
        BuiltFolder.open(trained.other).table(split)["text"].to_pylist() for split in (Split.QUERY, Split.INDEX)
    )
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
    queries = BuiltFolder.open(trained.other).table(Split.QUERY)["text"].to_pylist()
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


QUERIES = [(f"query {number}", f"document {number % 50} {number}") for number in range(40, 90)]
"""Of today: the numbers to 59 are those of pairs that the model was trained or is judged on."""
MANY = [("query of a hundred answers", f"answer {number}") for number in range(100)]


def test_a_table_of_todays_queries_is_read_and_all_of_it_held_out(
    trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_rows(tmp_path / "today.csv", [("query", "document"), *QUERIES, *MANY, ("", "an answer to nothing")])
    entry = f"today={table}"
    looked_up = evaluation_versions(EvalOptions(evaluations=(entry,)))
    assert "Evaluation today" not in capsys.readouterr().err
    (found,) = trained.judge("today", [entry], looked_up, probe="today", probe_drop=1.0).side_tables
    assert found.source == f"{table}, version {json.loads(looked_up)['today']}"
    learned = sum(query in trained.texts for query, _ in QUERIES)
    assert found.probe is not None
    assert (found.queries, found.probe.left_out, found.index_documents) == (51 - learned, learned, 150)
    assert found.trained_queries == {"tuned": 0}
    assert found.trained_index == {"tuned": sum(document in trained.texts for _, document in QUERIES)}
    (plain,) = trained.judge("today, no probe", [entry]).side_tables
    assert (plain.queries, plain.trained_queries) == (51, {"tuned": learned})
    assert learned > 0
    said = capsys.readouterr().err
    assert "Evaluation today: " in said
    assert "Evaluation today: 1 rows are left out: " in said
    assert "each model encodes 201 of today" in said


def test_it_gives_what_a_folder_of_the_same_pairs_gives(trained: Trained, tmp_path: Path) -> None:
    table = write_rows(tmp_path / "today.csv", [("query", "document"), *QUERIES])
    (found,) = trained.judge("table", [f"today={table}"]).side_tables
    rows, folder = tmp_path / "rows.parquet", tmp_path / "held"
    ingest_csv(IngestCSVConfig(str(table)), rows, tmp_path / "bad.csv")
    hold_out_documents(rows, folder, tmp_path / "aside.csv", BuildOptions())
    values = {each.name: each.values for each in found.metrics}["ndcg_at_10"]
    assert values["tuned"] == pytest.approx(naive_ndcg(str(trained.model), folder), abs=1e-6)
    assert values["base"] == pytest.approx(naive_ndcg(str(trained.base), folder), abs=1e-6)


def test_a_dataset_that_was_pushed_from_a_table_is_held_out_whole(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDTUNE_DATASETS", str(tmp_path / "datasets"))
    table = write_rows(tmp_path / "today.csv", [("query", "document"), *QUERIES])
    push(table, "today", user="ana")
    entry = "today=dataset://ana/today"
    (found,) = trained.judge("named", [entry], evaluation_versions(EvalOptions(evaluations=(entry,)))).side_tables
    (same,) = trained.judge("unnamed", [f"today={table}"]).side_tables
    assert (found.metrics, found.queries, found.index_documents) == (same.metrics, 50, 50)


def test_the_command_of_the_documentation_finds_the_versions(
    tmp_path: Path, tiny_model_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = re.findall(r"^embedtune (resolve-data .*)$", DOCUMENTATION.read_text(encoding="utf-8"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "tickets.csv", [("text", "label")])
    write_rows(tmp_path / "queries.csv", [("query", "document"), *QUERIES])
    (tmp_path / "scifact" / "qrels").mkdir(parents=True)
    texts = [{"_id": str(number), "text": f"text {number}"} for number in range(30)]
    for name in ("corpus", "queries"):
        lines = "".join(f"{json.dumps({**text, 'text': name + text['text']})}\n" for text in texts)
        (tmp_path / "scifact" / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    judged = "".join(f"{number}\t{number}\t1\n" for number in range(30))
    (tmp_path / "scifact" / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["embedtune", *shlex.split(line), "--model-backbone", str(tiny_model_folder)])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    found = re.search(r"evaluation_versions: (.*)", capsys.readouterr().out)
    assert found is not None
    assert list(json.loads(found[1])) == ["today", "general"]


def test_a_table_that_changed_since_is_refused(trained: Trained, tmp_path: Path) -> None:
    table = write_rows(tmp_path / "today.csv", [("query", "document"), *QUERIES])
    looked_up = evaluation_versions(EvalOptions(evaluations=(f"today={table}",)))
    write_rows(table, [("query", "document"), *QUERIES[1:]])
    with pytest.raises(StorageError, match=r"changed: version sha256:\w+ was asked for"):
        trained.judge("changed table", [f"today={table}"], looked_up)


def test_the_images_of_a_source_are_not_loaded_where_it_is_looked_up(tmp_path: Path) -> None:
    folder = coloured_squares(tmp_path / "squares")
    for path in folder.glob("*/*.png"):
        path.write_bytes(b"no image")
    evaluation_versions(EvalOptions(evaluations=(f"squares={folder}",)))


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
        (tmp_path / "rows.csv").write_text("a text\nanother\n", encoding="utf-8")
        message = self.refusal(step, trained, tmp_path, capsys)
        assert f"Evaluation 'side' at {tmp_path} cannot be measured on. Plain texts ask for nothing." in message
        assert "Give a table a header with known names, such as query,document" in message

    def test_a_table_with_too_many_bad_rows(self, step, trained, tmp_path, capsys) -> None:
        rows = [("query", "document"), *QUERIES, *[("", "nothing")] * 5]
        message = self.refusal(step, trained, write_rows(tmp_path / "rows.csv", rows), capsys)
        assert "Evaluation 'side' at" in message
        assert "5 of 55 rows" in message
        assert "All of them are in" not in message
        assert "Mend the rows. What evaluations hold is detected, and at most 1 % of their rows may be bad." in message

    def test_a_damaged_manifest(self, step, trained, tmp_path, capsys) -> None:
        (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
        message = self.refusal(step, trained, tmp_path, capsys)
        assert f"Evaluation 'side' at {tmp_path} cannot be read as a folder of documents" in message
        assert "or the 'evaluation' folder of a build-documents run" in message

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
