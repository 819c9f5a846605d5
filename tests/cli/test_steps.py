"""Each step alone, from the command line: six commands on files do what the pipeline does."""

import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from embedtune.cli.steps import STEPS, config_options
from embedtune.mlflow.connection import TRACKING_VARIABLE
from embedtune.models.card import ModelCard
from embedtune.retrieval.comparison import Comparison
from embedtune.storage.ownership import foreign_files, is_our_file, is_our_folder
from embedtune.training.config import FinetuneConfig

ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torch', 'transformers', 'sentence_transformers', 'kfp'):
            raise ModuleNotFoundError(f'{name} is blocked', name=name)

sys.meta_path.insert(0, Blocker())
from embedtune.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not there yet, and neither is any folder that the commands write into."""
    return tmp_path_factory.mktemp("steps") / "work"


@pytest.fixture(scope="module")
def finished(embedtune, folder, tickets, tiny_model):
    """The first five steps, in this process."""
    rows, documents, pages = folder / "rows", folder / "documents", folder / "pages"
    version = embedtune("resolve-data", "--data-uri", tickets, "--model-backbone", tiny_model)
    commands = {
        "ingest-csv": {
            "uri": tickets,
            "version": version.out.splitlines()[0].removeprefix("data_version: "),
            "rows": rows / "rows.parquet",
            "quarantine": rows / "bad.csv",
        },
        "build-documents": {
            "rows": rows / "rows.parquet",
            "train": documents / "train",
            "evaluation": documents / "evaluation",
            "quarantine": documents / "bad.csv",
            "html": pages / "data.html",
            "markdown": pages / "data.md",
        },
        "finetune": {
            "documents": documents / "train",
            "model": folder / "model",
            "html": folder / "loss" / "loss.html",
            "backbone": tiny_model,
            "backbone-version": version.out.splitlines()[1].removeprefix("backbone_version: "),
            "max-length": 32,
            "epochs": 1,
            "batch-size": 32,
            "learning-rate": 1e-3,
        },
        "evaluate-retrieval": {
            "model": folder / "model",
            "evaluation": documents / "evaluation",
            "scores": folder / "scores",
            "html": folder / "report" / "report.html",
            "markdown": folder / "report" / "report.md",
            "title": "Tickets",
        },
    }
    results = {"resolve-data": version}
    for name, options in commands.items():
        results[name] = embedtune(name, *(word for key, value in options.items() for word in (f"--{key}", value)))
    return results


@pytest.fixture(scope="module")
def registered(finished, folder) -> subprocess.CompletedProcess[str]:
    """The last step, in a process that has what the data image has."""
    words = ["--model", folder / "model", "--scores", folder / "scores", "--model-name", "tickets"]
    reports = ["--reports", folder / "report" / "report.html", "--reports", folder / "report" / "report.md"]
    environment = {name: value for name, value in os.environ.items() if name != TRACKING_VARIABLE}
    command = [sys.executable, "-c", WITHOUT_TORCH, "register-model", *map(str, [*words, *reports])]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_all_steps_succeed(finished) -> None:
    assert {name: (done.code, done.err) for name, done in finished.items() if done.code} == {}


def test_resolve_data_prints_the_versions(finished, tickets) -> None:
    data, backbone, champion, evaluations, started, *placed = finished["resolve-data"].out.splitlines()
    assert data == f"data_version: sha256:{hashlib.sha256(tickets.read_bytes()).hexdigest()}"
    assert re.fullmatch("backbone_version: sha256:[0-9a-f]{64}", backbone)
    assert (champion.strip(), evaluations) == ("champion:", "evaluation_versions: {}")
    assert datetime.fromisoformat(started.removeprefix("started: ")).utcoffset() == timedelta(0)
    assert placed == ["evaluation_gpus: 0", "tolerations: []", "candidates: []"]


def test_ingest_csv_prints_what_it_found(finished) -> None:
    lines = finished["ingest-csv"].out.splitlines()
    assert {"rows: 120", "bad_rows: 0", "layout: labelled", "modalities: text"} <= set(lines)
    assert "delimiter ,, quoting True" in next(line for line in lines if line.startswith("csv: "))


def test_build_documents_prints_numbers_and_no_long_lists(finished, folder) -> None:
    lines = finished["build-documents"].out.splitlines()
    assert {"rows: 120", "layout: labelled", "quarantined: 0", "seed: 42"} <= set(lines)
    assert "label_histogram" not in finished["build-documents"].out
    assert (folder / "documents" / "evaluation" / "summary.json").is_file()
    assert (folder / "pages" / "data.md").read_text(encoding="utf-8").startswith("#")


def test_finetune_writes_a_model_and_its_card(finished, folder, tiny_model) -> None:
    card = ModelCard.load(folder / "model")
    assert card.reading is not None
    assert card.reading.csv is not None
    assert card.reading.csv.columns_used == ("text", "label")
    assert card.train_texts is not None
    assert card.train_texts.texts == card.train_documents
    assert "dimension: 32" in finished["finetune"].out.splitlines()
    assert (card.backbone, card.dimension, card.max_length) == (str(tiny_model), 32, 32)
    version = finished["resolve-data"].out.splitlines()[1].removeprefix("backbone_version: ")
    assert card.backbone_version == version
    assert (
        card.options
        == FinetuneConfig(
            backbone=str(tiny_model),
            max_length=32,
            loss="MultipleNegativesRankingLoss",
            epochs=1,
            batch_size=32,
            learning_rate=1e-3,
            backbone_version=version,
        ).recorded()
    )
    assert (folder / "loss" / "loss.html").stat().st_size > 1000


def test_evaluate_retrieval_prints_the_table_and_the_decision(finished, folder) -> None:
    comparison = Comparison.load(folder / "scores" / "comparison.json")
    out = finished["evaluate-retrieval"].out
    assert f"Base vs tuned, {comparison.queries} queries, {comparison.index_documents} in the index" in out
    ndcg = comparison.difference("ndcg_at_10")
    (line,) = (line for line in out.splitlines() if "nDCG@10 " in line and "│" in line)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        "nDCG@10",
        f"{ndcg.of_against:.3f}",
        f"{ndcg.of_side:.3f}",
        f"{ndcg.value:+.3f}",
        f"{ndcg.lower:+.3f} to {ndcg.upper:+.3f}",
    ]
    verdict = "Better than the base" if comparison.decision.better else "Not shown to be better"
    assert out.splitlines()[-1] == f"{verdict}: {comparison.decision.reason}"
    assert "Tickets" in (folder / "report" / "report.html").read_text(encoding="utf-8")


def test_register_model_needs_no_torch_and_makes_a_database_beside_the_model(registered, folder) -> None:
    assert registered.returncode == 0, registered.stderr
    assert {"name: tickets", "version: 1"} <= set(registered.stdout.splitlines())
    assert (folder / "mlflow.db").is_file()
    kept = {path.name for path in (folder / "artifacts").rglob("*") if path.is_file()}
    assert {"report.html", "report.md", "comparison.json", "queries.csv", "qrels.txt", "tuned.run"} <= kept
    assert "model.safetensors" in kept


def test_wrong_folder_is_one_message(embedtune, folder, finished) -> None:
    done = embedtune(
        "finetune", "--documents", folder / "rows", "--model", folder / "other", "--html", folder / "x.html"
    )
    assert done.code == 1
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    assert not (folder / "other").exists()


@pytest.mark.parametrize("name", STEPS)
def test_every_option_of_a_step_is_explained(name: str, embedtune) -> None:
    done = embedtune(name.replace("_", "-"), "--help")
    assert done.code == 0
    lines = done.out.splitlines()
    described = [(line, below) for line, below in pairwise([*lines, ""]) if line.strip().startswith("--")]
    assert described
    for line, below in described:  # below a long list of choices the explanation takes a line of its own
        assert len(line.split(maxsplit=2)) == 3 or not below.strip().startswith("-"), line


def test_help_is_the_fields_docstring() -> None:
    options = {option.name: option for option in config_options(FinetuneConfig)}
    assert list(options) == [field.name for field in dataclasses.fields(FinetuneConfig)]
    assert options["epochs"].help == "Passes over the training documents; 0 chooses by layout and number of rows."
    assert (options["epochs"].type, options["epochs"].default) == (int, 0)


def test_missing_option_is_named(embedtune) -> None:
    done = embedtune("ingest-csv", "--rows", "rows.parquet", "--quarantine", "bad.csv")
    assert done.code == 2
    assert "--uri" in done.err


def test_value_outside_its_range_is_one_message(embedtune, tmp_path: Path) -> None:
    done = embedtune(
        "finetune", "--documents", tmp_path, "--model", tmp_path / "model", "--html", tmp_path / "x", "--epochs", -1
    )
    assert (done.code, done.err) == (1, "Error: --epochs is -1; accepted: 0 (chosen by the number of rows) or more.\n")


def test_json_option(embedtune, tickets, tmp_path: Path) -> None:
    options = json.dumps({"header": "perhaps"})
    done = embedtune(
        "ingest-csv",
        "--uri",
        tickets,
        "--rows",
        tmp_path / "r",
        "--quarantine",
        tmp_path / "q",
        "--csv-options",
        options,
    )
    assert (done.code, done.err) == (
        1,
        "Error: --csv-options: CSV option header='perhaps' is not accepted. Choose one of auto, yes, no.\n",
    )


def test_what_the_steps_write_is_known_as_ours(finished, folder) -> None:
    pages = ("loss/loss.html", "report/report.html", "report/report.md", "pages/data.html", "pages/data.md")
    files = ("rows/rows.parquet", "rows/bad.csv", "documents/bad.csv", *pages)
    assert [name for name in files if not is_our_file(folder / name)] == []
    for name in ("documents/train", "documents/evaluation", "model", "scores"):
        assert (is_our_folder(folder / name), foreign_files(folder / name)) == (True, [])


def test_the_same_again_replaces_what_the_steps_wrote_and_nothing_else(embedtune, tickets, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("rows", "quarantine", "train", "evaluation", "html", "markdown")}

    def build() -> str:
        options = [word for name in list(files)[1:] for word in (f"--{name}", files[name])]
        return embedtune("build-documents", "--rows", files["rows"], *options).err

    for _ in range(2):
        reading = ("--rows", files["rows"], "--quarantine", files["quarantine"])
        assert embedtune("ingest-csv", "--uri", tickets, *reading).code == 0
        assert "Error" not in build()
    for name in ("train/notes.txt", "html", "markdown"):
        path = tmp_path / name
        before = path.read_bytes() if path.exists() else None
        path.write_text("mine", encoding="utf-8")
        assert f"where there is something that embedtune did not write: {path}. Give another path" in build()
        assert path.read_text(encoding="utf-8") == "mine"
        path.unlink() if before is None else path.write_bytes(before)
    files["evaluation"] = files["train"]
    assert "one would replace the other" in build()
    files["evaluation"] = files["rows"]
    assert "which would replace what --rows reads" in build()
