"""What a local run came to: files at fixed places, `summary.json`, and the table on the terminal."""

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from embedtune.cli.tables import comparison_table, promotion_line
from embedtune.models.card import ModelCard
from embedtune.registry.champion import Champion
from embedtune.retrieval.comparison import Comparison
from embedtune.steps.evaluate_retrieval import COMPARISON_FILE
from embedtune.storage.atomic import write_text_whole
from pipelines.local import LocalRun, publish

_SQLITE = "sqlite:///"


def publish_run(run: LocalRun, arguments: dict[str, object], output: Path) -> dict[str, Any]:
    """Put a run's results at fixed places in the output folder and write `summary.json`.

    Args:
        run: The finished run.
        arguments: The parameters it was started with.
        output: The run's folder.

    Returns:
        The content of `summary.json`.
    """
    outputs = run.outputs
    model = publish(Path(outputs["model"]), output / "model")
    report = publish(Path(outputs["report"]), output / "report.html")
    data_page = publish(Path(outputs["data_page"]), output / "data.html")
    scores = publish(Path(outputs["scores"]), output / "scores")
    comparison = Comparison.load(scores / COMPARISON_FILE)
    card = ModelCard.load(model)
    summary = {
        "decision": dataclasses.asdict(comparison.decision),
        "metrics": {metric.name: dataclasses.asdict(metric) for metric in comparison.metrics},
        "queries": comparison.queries,
        "queries_without_relevant": comparison.queries_without_relevant,
        "index_documents": comparison.index_documents,
        "confidence": comparison.confidence,
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
            "champion": outputs["champion"] if outputs["champion"] else None,
            "run_id": outputs["run_id"],
            "tracking_uri": run.tracking_uri,
        },
        "data": {"uri": arguments["data_uri"], "version": outputs["data_version"]},
        "report": str(report),
        "data_page": str(data_page),
        "scores": str(scores),
        "parameters": arguments,
        "seconds": run.seconds,
        "step_seconds": run.step_seconds,
    }
    write_text_whole(output / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False))
    return summary


def print_summary(summary: dict[str, Any]) -> None:
    """Show the comparison, the decision, and where everything is."""
    console = Console(highlight=False, soft_wrap=True)
    comparison = Comparison.load(Path(summary["scores"]) / COMPARISON_FILE)
    registered = summary["registered"]
    console.print()
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
        "Search": f'{_program("embedtune")} search --model {summary["model"]["path"]} --index FILE.csv "your query"',
    }
    for name, value in facts.items():
        console.print(f"{name + ':':<12}{value}", markup=False)


def _champion(champion: dict[str, Any] | None) -> str:
    return "none" if champion is None else Champion(**{**champion, "version": int(champion["version"])}).told()


def _mlflow_command(tracking_uri: str) -> str:
    if not tracking_uri.startswith(_SQLITE):
        return tracking_uri
    database = os.path.relpath(tracking_uri.removeprefix(_SQLITE))
    return f"{_program('mlflow')} ui --backend-store-uri {_SQLITE}{database}"


def _program(name: str) -> str:
    """Return how to start a program of this Python environment from here."""
    path = Path(sys.executable).parent / name
    return os.path.relpath(path) if path.exists() else name
