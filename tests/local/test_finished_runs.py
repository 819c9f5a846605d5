"""The whole pipeline on small data: what is there when it is through."""

import csv
import hashlib
import json
import os
import shlex
import sqlite3
import sys
from pathlib import Path

import pytest
import pytrec_eval

from embedtune.cli.main import main
from embedtune.cli.steps import STEPS
from embedtune.models.card import ModelCard
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.metric_names import METRIC_NAMES
from embedtune.retrieval.score_files import TREC_FILES
from tests.trec_names import trec_names

ROOT = Path(__file__).parents[2]
STRAIGHT = ("resolve_data", "ingest_csv", "build_documents", "finetune", "evaluate_retrieval", "register_model")
BY_FILE = ("ingest_csv", "build_shard")
BY_FILE_ALONE = ("list_sources", "plan_documents", "build_shard", "merge_documents")


@pytest.fixture(params=["resumed", "pairs"])
def run(request: pytest.FixtureRequest):
    """The last run on labelled texts, and one on pairs."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def comparison(run) -> Comparison:
    return Comparison.load(run.output / "scores" / "comparison.json")


@pytest.mark.parametrize("name", ["first", "pairs"])
def test_run_succeeds_and_shows_each_step_once_in_order(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    assert run.code == 0, run.err
    assert run.steps == [f"✓ {step}" for step in STRAIGHT]
    assert list(run.summary["step_seconds"]) == list(STRAIGHT)
    assert sum(run.summary["step_seconds"].values()) < run.summary["seconds"]


def test_a_run_by_file_succeeds_and_shows_each_file(sharded) -> None:
    assert sharded.code == 0, sharded.err
    shown = [line.split()[1] for line in sharded.err.splitlines() if line.startswith("✓")]
    others = ("build_documents", "finetune_candidate", "choose_candidate", "explain_failure")
    steps = [step for step in STEPS if step not in others]
    expected = [step for step in steps for _ in range(2 if step in BY_FILE else 1)]
    assert shown == expected
    assert "ingest_csv (2)" in sharded.err


def test_a_run_by_file_has_the_documents_of_a_run_over_one_file(sharded, first) -> None:
    """The base model's numbers are the same to the last digit; training draws its batches in another order."""
    for name in ("queries", "index_documents"):
        assert sharded.summary[name] == first.summary[name]
    assert sharded.summary["training"]["documents"] == first.summary["training"]["documents"]
    for metric in METRIC_NAMES:
        assert sharded.summary["metrics"][metric]["base"] == first.summary["metrics"][metric]["base"]
    assert "</html>" in (sharded.output / "data.html").read_text(encoding="utf-8")


def steps_again(first) -> tuple[str, ...]:
    """The steps that run again on the same data: a version that became champion meanwhile is compared with."""
    evaluated = ("evaluate_retrieval",) if first.summary["registered"]["promoted"] else ()
    return ("resolve_data", *evaluated, "register_model")


def test_a_run_by_file_again_takes_its_steps_from_the_cache(sharded, sharded_again) -> None:
    assert sharded_again.code == 0, sharded_again.err
    assert list(sharded_again.summary["step_seconds"]) == list(steps_again(sharded))
    assert sharded_again.summary["registered"]["version"] == sharded.summary["registered"]["version"]


def test_a_sweep_goes_on_where_a_combination_comes_to_no_model_and_judges_the_best_once(swept) -> None:
    assert swept.code == 0, swept.err
    steps = [step for step in STEPS if step not in (*BY_FILE_ALONE, "finetune", "explain_failure")]
    place = steps.index("finetune_candidate")
    shown = [line.split()[1] for line in swept.err.splitlines() if line.startswith("✓")]
    assert shown == [*steps[:place], "finetune_candidate", *steps[place:]]
    failed, good = swept.summary["sweep"]["candidates"]
    assert (failed["tried"], good["tried"]) == ({"model_freeze": "no-such-layer"}, {"model_freeze": ""})
    assert failed["score"] is None
    assert "matches no layer" in failed["failure"]
    assert (swept.summary["sweep"]["chosen"], swept.summary["sweep"]["flags"]) == (good["tried"], "--model-freeze ''")
    validation = ModelCard.load(swept.output / "model").validation
    assert validation is not None
    assert validation.scores[-1].value == good["score"]
    assert json.loads((swept.output / "sweep" / "sweep.json").read_text(encoding="utf-8"))["chosen"] == 1
    assert "</html>" in (swept.output / "sweep.html").read_text(encoding="utf-8")
    assert not list((swept.output / "checkpoints").rglob("*.safetensors"))
    assert "Flags:      --model-freeze ''" in swept.out


def test_everything_is_at_its_place(run) -> None:
    made = {path.name for path in run.output.iterdir()}
    assert made >= {"summary.json", "model", "report.html", "data.html", "scores", "mlflow.db", "artifacts", "runs"}
    assert not [name for name in made if name.endswith(".partial")]
    for page in ("report.html", "data.html"):
        assert "</html>" in (run.output / page).read_text(encoding="utf-8")


def test_the_model_is_on_the_disk_once_and_all_can_read_it(run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    modes = [(tmp_path / name).stat().st_mode for name in ("file", "folder")]
    assert {str(path) for path in run.output.rglob("*") if path.stat().st_mode != modes[path.is_dir()]} == set()
    weights = run.output / "model" / "model.safetensors"
    copies = [path for path in run.output.rglob("model.safetensors") if path.stat().st_size == weights.stat().st_size]
    same = [path for path in copies if path.samefile(weights)]
    assert {path.relative_to(run.output).parts[0] for path in same} == {"model", "runs", "artifacts"}


def test_nothing_stays_behind(run, processes_of) -> None:
    assert processes_of(run.output) == []
    assert list(run.scratch.iterdir()) == []
    assert not list((run.output / "checkpoints").rglob("*.safetensors"))


def test_summary_says_what_the_comparison_says(run, comparison: Comparison) -> None:
    summary = run.summary
    assert {name: set(entry) for name, entry in summary["metrics"].items()} == {
        name: {"name", "base", "tuned", "difference", "lower", "upper"} for name in METRIC_NAMES
    }
    for name in METRIC_NAMES:
        found = comparison.difference(name)
        assert summary["metrics"][name] == {
            "name": name,
            "base": found.of_against,
            "tuned": found.of_side,
            "difference": found.value,
            "lower": found.lower,
            "upper": found.upper,
        }
    assert summary["decision"] == {**vars(comparison.decision), "reasons": list(comparison.decision.reasons)}
    assert summary["queries"] == comparison.queries
    assert summary["index_documents"] == comparison.index_documents
    assert summary["confidence"] == comparison.confidence == 0.95


def test_summary_names_model_data_and_parameters(run) -> None:
    summary, card = run.summary, ModelCard.load(run.output / "model")
    assert summary["model"] == {"path": str(run.output / "model"), "dimension": 32, "backbone": card.backbone}
    assert summary["training"]["documents"] == card.train_documents
    assert summary["training"]["loss"] == card.history[-1].loss
    assert summary["parameters"]["data_uri"] == summary["data"]["uri"]
    assert summary["parameters"]["train_batch_size"] == card.options["batch_size"] == 32
    digest = hashlib.sha256(Path(summary["data"]["uri"]).read_bytes()).hexdigest()
    assert summary["data"]["version"] == f"sha256:{digest}"


def test_model_loads_and_is_not_the_base_model(run, tiny_model_folder: Path) -> None:
    from sentence_transformers import SentenceTransformer

    models = [SentenceTransformer(str(path), device="cpu") for path in (run.output / "model", tiny_model_folder)]
    tuned, base = (model.encode(["refund case 3"]) for model in models)
    assert tuned.shape == (1, 32)
    assert abs(tuned - base).max() > 0.01


def read_qrels(path: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, document, relevance = line.split()
        found.setdefault(query, {})[document] = int(relevance)
    return found


def read_run(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, document, _, score, _ = line.split()
        found.setdefault(query, {})[document] = float(score)
    return found


def test_trec_eval_comes_to_the_same_scores(run, comparison: Comparison) -> None:
    measures = {key: measure for key, measure in trec_names(10).items() if key in METRIC_NAMES}
    qrels, *runs = (run.output / "scores" / name for name in TREC_FILES)
    evaluator = pytrec_eval.RelevanceEvaluator(read_qrels(qrels), set(measures.values()))
    for side, path in zip(("base", "tuned"), runs, strict=False):
        scores = evaluator.evaluate(read_run(path))
        assert len(scores) == comparison.queries
        for name, trec_name in measures.items():
            mean = sum(score[trec_name] for score in scores.values()) / len(scores)
            assert mean == pytest.approx(comparison.value(name, side), abs=1e-6), (side, name)


def test_scores_of_the_queries_have_the_means_of_the_comparison(run, comparison: Comparison) -> None:
    with (run.output / "scores" / "queries.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == comparison.queries
    for side in ("base", "tuned"):
        for name in METRIC_NAMES:
            mean = sum(float(row[f"{side}_{name}"]) for row in rows) / len(rows)
            assert mean == pytest.approx(comparison.value(name, side), abs=1e-9)


def test_terminal_shows_table_decision_and_places(run, comparison: Comparison) -> None:
    assert f"Base vs tuned, {comparison.queries} queries" in run.out
    verdict = "Promoted" if run.summary["registered"]["promoted"] else "Not promoted"
    assert f"{verdict}: {run.summary['registered']['reason']}" in run.out.splitlines()
    assert f"Report:     {run.output / 'report.html'}" in run.out.splitlines()
    registered = run.summary["registered"]
    aliases = ", ".join(registered["aliases"])
    line = f"Registered: {registered['name']}, version {registered['version']} ({aliases})"
    assert line in run.out.splitlines()


def test_model_is_in_the_registry(run) -> None:
    registered = run.summary["registered"]
    assert registered["tracking_uri"] == f"sqlite:///{run.output}/mlflow.db"
    with sqlite3.connect(run.output / "mlflow.db") as database:
        versions = database.execute("select name, version, run_id from model_versions").fetchall()
        aliases = database.execute("select alias, version from registered_model_aliases").fetchall()
    version = registered["version"]
    assert (registered["name"], version, registered["run_id"]) in versions
    assert [found for _, found, _ in versions] == list(range(1, version + 1))
    assert sorted(alias for alias, found in aliases if found == version) == registered["aliases"]
    assert "challenger" in registered["aliases"]
    assert ("champion" in registered["aliases"]) is registered["promoted"]


@pytest.mark.parametrize("name", ["pairs", "sharded"])
def test_the_version_names_the_run_by_its_folder_and_no_image(name: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue(name)
    assert run.summary["registered"]["version"] == 1
    with sqlite3.connect(run.output / "mlflow.db") as database:
        tags = dict(database.execute("select key, value from model_version_tags where version = 1"))
    assert tags["pipeline_run"] == run.folder.name
    assert "image" not in tags


def test_gain_that_was_asked_for_and_not_reached(pairs) -> None:
    assert pairs.summary["decision"]["better"] is False
    assert pairs.summary["decision"]["metric"] == "mrr_at_10"
    assert pairs.summary["registered"]["aliases"] == ["challenger"]
    assert "Not promoted" in pairs.out


def test_verbose_shows_the_log(pairs, first) -> None:
    assert "Executing task 'finetune'" in pairs.err
    assert "Executing task" not in first.err
    assert "\x1b" not in pairs.err


def test_same_again_takes_the_steps_from_the_cache_and_says_so(first, again) -> None:
    assert again.code == 0, again.err
    ran = steps_again(first)
    assert again.steps == [f"✓ {step}" if step in ran else f"✓ {step} unchanged," for step in STRAIGHT]
    assert list(again.summary["step_seconds"]) == list(ran)


def test_same_again_tells_what_the_steps_had_told(first, again) -> None:
    told = [event["text"] for event in first.events if event["event"] == "note" and "champion" not in event["text"]]
    again_told = [text for event in again.events if event["event"] == "cached" for text in event["notes"]]
    assert "120 rows" in again_told[0]
    assert again_told == told[: len(again_told)]
    assert set(again_told) <= set(again.notes)


def test_a_second_run_leaves_the_first_ones_results_where_it_says(first, again) -> None:
    assert again.summary["run"] == str(again.folder) != first.summary["run"]
    assert first.summary["previous"] is None
    assert again.summary["previous"] == str(first.folder / "summary.json")
    before = json.loads((first.folder / "summary.json").read_text(encoding="utf-8"))
    assert before["seconds"] == first.summary["seconds"]
    assert "</html>" in Path(before["report"]).read_text(encoding="utf-8")
    assert Path(before["report"]).parent == Path(before["model"]["path"]).parent == first.folder


def test_same_again_comes_to_the_same_and_registers_nothing_new(first, again) -> None:
    same = ("model", "training", "data", "parameters", "registered")
    assert {key: again.summary[key] for key in same} == {key: first.summary[key] for key in same}
    for name, before in first.summary["metrics"].items():
        assert {key: again.summary["metrics"][name][key] for key in before} == before


def test_command_that_is_printed_searches(run, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    (line,) = (line for line in run.out.splitlines() if line.startswith("Search:"))
    program, *words = shlex.split(line.removeprefix("Search:"))
    assert os.access(ROOT / program, os.X_OK)
    assert words[words.index("--index") + 1] == run.summary["data"]["uri"]
    words[words.index("your query")] = "the voucher desk, counter 7"
    monkeypatch.setattr(sys, "argv", [program, *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code in (0, None)
    scores = [float(line.split()[0]) for line in capsys.readouterr().out.splitlines()]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)
