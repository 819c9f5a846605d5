"""What a local run came to: files at fixed places, `summary.json`, and the table on the terminal."""

import dataclasses
import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from embedtune.cli.tables import comparison_table, promotion_line, sweep_table
from embedtune.models.card import ModelCard
from embedtune.registry.champion import Champion
from embedtune.reports.evaluation import with_data_page
from embedtune.reports.numbers import count, duration
from embedtune.reports.sweep import sweep_sentence, winner_flags
from embedtune.retrieval.comparison import Comparison
from embedtune.retrieval.cost import Migration
from embedtune.retrieval.score_files import COMPARISON_FILE
from embedtune.retrieval.sides import BASE, CHAMPION, MetricValues
from embedtune.storage.atomic import write_text_whole
from embedtune.training.candidates import SWEEP_FILE, Sweep
from pipelines.local import LocalRun, publish
from pipelines.local_folder import DATA_PAGE, MODEL, REPORT, RUNS, SCORES, SUMMARY, SWEEP, SWEEP_PAGE, SWEEP_SUMMARY

_SQLITE = "sqlite:///"


def publish_run(run: LocalRun, arguments: dict[str, object], output: Path) -> dict[str, Any]:
    """Put a run's results and `summary.json` into the run's folder, and at fixed places in the output folder.

    Args:
        run: The finished run.
        arguments: The parameters it was started with.
        output: The output folder, which shows its latest run.

    Returns:
        The content of `summary.json` in the output folder.
    """
    earlier = _earlier(output)
    for folder in (run.folder, output):
        summary = {
            **_publish_results(run, folder),
            **_publish_sweep(run, folder),
            "data": {"uri": arguments["data_uri"], "version": run.outputs["data_version"]},
            "parameters": arguments,
            "seconds": run.seconds,
            "step_seconds": run.step_seconds,
            "run": str(run.folder),
            "previous": earlier,
        }
        write_text_whole(folder / SUMMARY, json.dumps(summary, indent=2, ensure_ascii=False))
    return summary


def _publish_results(run: LocalRun, folder: Path) -> dict[str, Any]:
    outputs = run.outputs
    model = publish(Path(outputs["model"]), folder / MODEL)
    report = _publish_report(Path(outputs["report"]), folder / REPORT)
    data_page = publish(Path(outputs["data_page"]), folder / DATA_PAGE)
    scores = publish(Path(outputs["scores"]), folder / SCORES)
    comparison = Comparison.load(scores / COMPARISON_FILE)
    card = ModelCard.load(model)
    return {
        "decision": {**dataclasses.asdict(comparison.decision), "reasons": list(comparison.decision.reasons)},
        "metrics": {metric.name: _metric(comparison, metric) for metric in comparison.metrics},
        "queries": comparison.queries,
        "queries_without_relevant": comparison.queries_without_relevant,
        "index_documents": comparison.index_documents,
        "confidence": comparison.confidence,
        "migration": None if comparison.migration is None else dataclasses.asdict(comparison.migration),
        "model": {"path": str(model), "dimension": card.dimension, "backbone": card.backbone},
        "training": {
            "documents": card.train_documents,
            "seconds": card.seconds,
            "texts_per_second": card.texts_per_second,
            "loss": card.history[-1].loss if card.history else None,
        },
        "registered": {
            "name": outputs["name"],
            "version": int(outputs["version"]),
            "aliases": [alias for alias in outputs["aliases"].split(", ") if alias],
            "reason": outputs["reason"],
            "promoted": outputs["champion"].get("version") == outputs["version"],
            "champion": _whole_version(outputs["champion"]) if outputs["champion"] else None,
            "run_id": outputs["run_id"],
            "tracking_uri": run.tracking_uri,
        },
        "report": str(report),
        "data_page": str(data_page),
        "scores": str(scores),
    }


def _publish_sweep(run: LocalRun, folder: Path) -> dict[str, Any]:
    """Publish all combinations of a sweep; beside the results of another run those of an earlier one are removed."""
    places = {"sweep": SWEEP, "sweep_page": SWEEP_PAGE, "sweep_summary": SWEEP_SUMMARY}
    if "sweep" not in run.outputs:
        for name in places.values():
            _remove(folder / name)
        return {}
    published = {name: publish(Path(run.outputs[name]), folder / place) for name, place in places.items()}
    found = Sweep.load(published["sweep"] / SWEEP_FILE)
    return {
        "sweep": {
            "chosen": dict(found.winner.tried),
            "flags": winner_flags(found.winner.tried),
            "candidates": [
                {"tried": dict(each.tried), "score": each.score, "failure": each.failure} for each in found.candidates
            ],
            "record": str(published["sweep"] / SWEEP_FILE),
            "page": str(published["sweep_page"]),
        }
    }


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _metric(comparison: Comparison, metric: MetricValues) -> dict[str, Any]:
    """Return a metric of all sides, with the tuned model's difference from the base, and from the champion if any."""
    found = {each.against: each for each in comparison.differences if each.metric == metric.name}
    to_base, to_champion = found[BASE], found.get(CHAMPION)
    facts = {"name": metric.name, **metric.values, "difference": to_base.value}
    facts |= {"lower": to_base.lower, "upper": to_base.upper}
    if to_champion is not None:
        facts |= {
            "difference_to_champion": to_champion.value,
            "lower_to_champion": to_champion.lower,
            "upper_to_champion": to_champion.upper,
        }
    return facts


def _publish_report(source: Path, target: Path) -> Path:
    """Put the report beside the data page, to which it then links."""
    write_text_whole(target, with_data_page(source.read_text(encoding="utf-8"), DATA_PAGE))
    return target


def _earlier(output: Path) -> str | None:
    """Return where the summary of the run before is, None if there was none or it is gone."""
    try:
        run = Path(json.loads((output / SUMMARY).read_text(encoding="utf-8"))["run"])
    except (OSError, ValueError, KeyError, TypeError):  # of an earlier version, or damaged by hand
        return None
    summary = output / RUNS / run.name / SUMMARY
    return str(summary) if summary.is_file() else None


def print_summary(summary: dict[str, Any]) -> None:
    """Show the comparison, the decision, and where everything is."""
    console = Console(highlight=False, soft_wrap=True)
    comparison = Comparison.load(Path(summary["scores"]) / COMPARISON_FILE)
    registered = summary["registered"]
    console.print()
    if "sweep" in summary:
        found = Sweep.load(Path(summary["sweep"]["record"]))
        console.print(sweep_table(found))
        console.print(f"{sweep_sentence(found)}\n", markup=False)
    console.print(comparison_table(comparison))
    console.print(promotion_line(registered["promoted"], registered["reason"]))
    console.print()
    aliases = ", ".join(registered["aliases"]) if registered["aliases"] else "a newer version has its aliases"
    facts = {
        "Report": summary["report"],
        "Model": summary["model"]["path"],
        "Registered": f"{registered['name']}, version {registered['version']} ({aliases})",
        "Champion": _champion(registered["champion"]),
        "MLflow": _mlflow_command(registered["tracking_uri"]),
    }
    if "sweep" in summary:
        facts["Sweep"], facts["Flags"] = summary["sweep"]["page"], summary["sweep"]["flags"]
    if comparison.migration is not None:
        facts["New index"] = _cost(comparison.migration)
    if comparison.query_kind == comparison.index_kind == "text":
        facts["Search"] = _search_command(summary)
    for name, value in facts.items():
        console.print(f"{name + ':':<12}{value}", markup=False)


def _champion(champion: dict[str, Any] | None) -> str:
    return "none" if champion is None else Champion(**champion).told()


def _whole_version(champion: dict[str, Any]) -> dict[str, Any]:
    return {**champion, "version": int(champion["version"])}  # a number in a dict is a float for kfp


def _cost(migration: Migration) -> str:
    number = f"{'' if migration.is_known else 'at least '}{count(migration.documents)}"
    return f"{number} documents to embed again, {duration(migration.hours * 3600)} on {migration.device}"


def _search_command(summary: dict[str, Any]) -> str:
    """Return how to search in the documents of the run's own data."""
    options = summary["parameters"].get("data_csv_options", "{}")
    words = [_program("embedtune"), "search", "--model", summary["model"]["path"], "--index", summary["data"]["uri"]]
    words += [] if options in ("", "{}") else ["--csv-options", options]
    return f'{shlex.join(words)} "your query"'


def _mlflow_command(tracking_uri: str) -> str:
    if not tracking_uri.startswith(_SQLITE):
        return tracking_uri
    database = os.path.relpath(tracking_uri.removeprefix(_SQLITE))
    return shlex.join([_program("mlflow"), "ui", "--backend-store-uri", f"{_SQLITE}{database}"])


def _program(name: str) -> str:
    """Return how to start a program of this Python environment from here."""
    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.exists() else name
