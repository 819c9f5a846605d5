"""What a local run came to, at fixed places."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from embedtune.models.card import LossPoint, ModelCard
from embedtune.retrieval.comparison import Decision
from embedtune.retrieval.metric_names import METRIC_NAMES
from embedtune.training.config import FinetuneConfig
from pipelines.local import LocalRun
from pipelines.summary import print_summary, publish_run
from tests.comparisons import COST, two_sides, with_champion

NUMBERS = [(name, 0.5, 0.6, 0.1, 0.05, 0.15) for name in METRIC_NAMES]
COMPARISON = two_sides(NUMBERS, Decision(True, "nDCG@10 rose by 0.1.", "ndcg_at_10", 0.0), queries_without_relevant=1)
CARD = ModelCard(
    backbone="tiny",
    backbone_digest="sha256:00",
    dimension=32,
    max_length=64,
    layout="labelled",
    train_documents=12,
    data_digest="sha256:11",
    options=dataclasses.asdict(FinetuneConfig()),
    history=(LossPoint(1, 0.5, 2.0), LossPoint(2, 1.0, 1.5)),
    seconds=3.0,
    texts_per_second=8.0,
    versions={"torch": "2.13.0"},
    parity_max_difference=0.0,
)


CHAMPION = {"version": 3, "metric": "ndcg_at_10", "value": 0.6, "queries": "10", "evaluation_digest": "sha256:ee"}


def run_in(output: Path, aliases: str, champion: dict[str, object], number: int = 1) -> LocalRun:
    folder = output / "runs" / str(number)
    steps = folder / "steps"
    for name in ("model", "scores"):
        (steps / name).mkdir(parents=True)
    CARD.save(steps / "model")
    COMPARISON.save(steps / "scores" / "comparison.json")
    for name in ("report", "data_page"):
        (steps / name).write_text(f"<html>{number}", encoding="utf-8")
    outputs = {name: str(steps / name) for name in ("model", "scores", "report", "data_page")}
    values = {"name": "tickets", "version": 3.0, "aliases": aliases, "reason": "Version 4 is newer.", "run_id": "r1"}
    outputs |= {**values, "champion": champion, "data_version": "sha256:22"}
    return LocalRun(folder, outputs, {"finetune": 3.0}, 5.0, "http://mlflow:5000")


ARGUMENTS: dict[str, object] = {"data_uri": "x.csv", "data_csv_options": "{}"}


@pytest.mark.parametrize(
    ("text", "aliases", "shown", "champion", "promoted", "told"),
    [
        (
            "challenger, champion",
            ["challenger", "champion"],
            "challenger, champion",
            CHAMPION,
            True,
            "version 3 (nDCG@10 0.6000 over 10 queries)",
        ),
        (
            "",
            [],
            "a newer version has its aliases",
            {**CHAMPION, "version": 4.0, "value": 0.71},
            False,
            "version 4 (nDCG@10 0.7100 over 10 queries)",
        ),
        ("challenger", ["challenger"], "challenger", {}, False, "none"),
    ],
)
def test_registration_is_told_as_the_registry_has_it(
    text: str,
    aliases: list[str],
    shown: str,
    champion: dict[str, object],
    promoted: bool,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    summary = publish_run(run_in(tmp_path, text, champion), ARGUMENTS, tmp_path)
    assert summary == json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert summary["registered"] == {
        "name": "tickets",
        "version": 3,
        "aliases": aliases,
        "reason": "Version 4 is newer.",
        "promoted": promoted,
        "champion": champion if champion else None,
        "run_id": "r1",
        "tracking_uri": "http://mlflow:5000",
    }
    print_summary(summary)
    lines = capsys.readouterr().out.splitlines()
    assert f"Registered: tickets, version 3 ({shown})" in lines
    assert "MLflow:     http://mlflow:5000" in lines
    assert f"Champion:   {told}" in lines
    assert f"{'Promoted' if promoted else 'Not promoted'}: Version 4 is newer." in lines


def test_metrics_keep_their_names_and_a_champion_adds_some(tmp_path: Path) -> None:
    run = run_in(tmp_path, "challenger", CHAMPION)
    names = {"name": "ndcg_at_10", "base": 0.5, "tuned": 0.6, "difference": 0.1, "lower": 0.05, "upper": 0.15}
    assert publish_run(run, ARGUMENTS, tmp_path)["metrics"]["ndcg_at_10"] == names
    scored = with_champion(COMPARISON, dict.fromkeys(METRIC_NAMES, 0.5))
    scored.save(Path(run.outputs["scores"]) / "comparison.json")
    more = {"champion": 0.5, "difference_to_champion": 0.1, "lower_to_champion": 0.09, "upper_to_champion": 0.11}
    assert publish_run(run, ARGUMENTS, tmp_path)["metrics"]["ndcg_at_10"] == pytest.approx({**names, **more})


def test_the_printed_search_is_of_the_data_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = '{"header": "no"}'
    arguments = {"data_uri": "my data/a & b.csv", "data_csv_options": options}
    print_summary(publish_run(run_in(tmp_path / "my run", "challenger", CHAMPION), arguments, tmp_path / "my run"))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Search:"))
    words = shlex.split(line.removeprefix("Search:"))
    model = str(tmp_path / "my run" / "model")
    assert words[1:] == [
        "search", "--model", model, "--index", "my data/a & b.csv", "--csv-options", options, "your query",
    ]  # fmt: skip


@pytest.mark.parametrize(("queries", "index"), [("image", "image"), ("text", "image"), ("image", "text")])
def test_no_search_is_printed_that_would_be_refused(
    queries: str, index: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_in(tmp_path, "challenger", CHAMPION)
    dataclasses.replace(COMPARISON, query_kind=queries, index_kind=index).save(
        Path(run.outputs["scores"]) / "comparison.json"
    )
    print_summary(publish_run(run, ARGUMENTS, tmp_path))
    assert [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()][-5:] == [
        "Report", "Model", "Registered", "Champion", "MLflow",
    ]  # fmt: skip


def test_the_report_links_to_the_data_page_beside_it(tmp_path: Path) -> None:
    run = run_in(tmp_path, "challenger", CHAMPION)
    Path(run.outputs["report"]).write_text("<p><!-- the data page --></p>", encoding="utf-8")
    publish_run(run, {"data_uri": "x.csv"}, tmp_path)
    for folder in (tmp_path, run.folder):
        assert '<a href="data.html">' in (folder / "report.html").read_text(encoding="utf-8")
    assert "<a " not in Path(run.outputs["report"]).read_text(encoding="utf-8")


def test_a_second_run_replaces_what_the_first_published_and_both_keep_their_own(tmp_path: Path) -> None:
    for number in (1, 2):
        summary = publish_run(run_in(tmp_path, "challenger", CHAMPION, number), ARGUMENTS, tmp_path)
    names = ["data.html", "model", "report.html", "scores", "summary.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*names, "runs"])
    assert ModelCard.load(tmp_path / "model") == CARD
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "<html>2"
    for number in (1, 2):
        folder = tmp_path / "runs" / str(number)
        assert sorted(path.name for path in folder.iterdir()) == sorted([*names, "steps"])
        assert (folder / "report.html").read_text(encoding="utf-8") == f"<html>{number}"
        own = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        assert own["model"]["path"] == str(folder / "model")
        assert own["run"] == str(folder)
    assert summary["model"]["path"] == str(tmp_path / "model")
    assert summary["run"] == str(tmp_path / "runs" / "2")
    assert summary["previous"] == str(tmp_path / "runs" / "1" / "summary.json")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"run": 7}', '{"run": "runs/gone"}'])
def test_a_summary_that_names_no_run_that_is_there_has_no_successor(text: str, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(text, encoding="utf-8")
    assert publish_run(run_in(tmp_path, "", CHAMPION), ARGUMENTS, tmp_path)["previous"] is None


def test_a_result_is_there_once(tmp_path: Path) -> None:
    run = run_in(tmp_path, "", CHAMPION)
    publish_run(run, ARGUMENTS, tmp_path)
    for name in ("model/embedtune.json", "scores/comparison.json"):
        (found,) = {(path / name).stat().st_ino for path in (tmp_path, run.folder, run.folder / "steps")}
        assert found


def test_commands_that_are_printed_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "my & your $HOME"
    monkeypatch.chdir(tmp_path)
    asked = {"data_uri": "it's [a] b/*.csv", "data_csv_options": '{"dialect": "pipe"}'}
    run = dataclasses.replace(run_in(output, "", {}), tracking_uri=f"sqlite:///{output}/mlflow.db")
    print_summary(publish_run(run, asked, output))
    lines = capsys.readouterr().out.splitlines()
    search, mlflow = [shlex.split(line) for line in lines if line.startswith(("MLflow:", "Search:"))][::-1]
    assert mlflow[2:] == ["ui", "--backend-store-uri", "sqlite:///my & your $HOME/mlflow.db"]
    model, options = ["--model", str(output / "model")], ["--csv-options", '{"dialect": "pipe"}']
    assert search[2:] == ["search", *model, "--index", "it's [a] b/*.csv", *options, "your query"]


def test_what_a_promotion_costs_is_told_where_a_champion_was_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_in(tmp_path, "challenger", CHAMPION)
    scored = dataclasses.replace(COMPARISON, migration=COST)
    scored.save(Path(str(run.outputs["scores"])) / "comparison.json")
    summary = publish_run(run, ARGUMENTS, tmp_path)
    assert summary["migration"] == dataclasses.asdict(COST)
    print_summary(summary)
    line = "New index:  1,800,000 documents to embed again, 2 h 0 min on NVIDIA H100 80GB HBM3"
    assert line in capsys.readouterr().out.replace("\u00a0", " ").splitlines()
