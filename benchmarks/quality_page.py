"""The results of `benchmarks.quality` as the tables of docs/quality.md."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.data import DATASETS, written
from embedtune.retrieval.metric_names import written_name

_START, _END = "<!-- results: made by benchmarks.quality -->\n", "<!-- end of results -->\n"
_RESULT_COLUMNS = (
    "data",
    "seed",
    "device",
    "metric",
    "base",
    "tuned",
    "difference (95 % interval)",
    "over",
    "decision",
)
_RUN_COLUMNS = (
    "data",
    "seed",
    "given",
    "loss",
    "epochs",
    "rate",
    "batch",
    "trained on",
    "training, run",
    "load",
    "device",
    "commit, day",
)

_MAPS = ("map_at_20", "map_at_10")
"""Shown beside what decides for _WITH_MAP; the first that was computed."""
_WITH_MAP = ("fashion_mnist", "emoji_images", "meshes")


def with_tables(page: str, results: Sequence[dict[str, Any]]) -> str:
    """Return a page with the text between its two marks made anew."""
    names = list(DATASETS)
    ordered = sorted(results, key=lambda result: (names.index(result["data"]), result["device"], result["seed"]))
    before, _, rest = page.partition(_START)
    scores = _table(_RESULT_COLUMNS, (row for result in ordered for row in _result_rows(result)))
    runs = _table(_RUN_COLUMNS, map(_run_row, ordered))
    starts = _table(("data", "what they are", "model to start from"), map(_data_row, names))
    return f"{before}{_START}\n{scores}\n{runs}\n{starts}\n{_END}{rest.partition(_END)[2]}"


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return the results in a file of JSON lines, none where it is not there."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _table(columns: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _result_rows(result: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    by_name = {metric["name"]: metric for metric in result["metrics"]}
    over = f"{result['queries']} queries, {result['index_documents']} in the index"
    pairs = f"{result['pairs']} pairs with scores"
    decision = "better" if result["better"] else "not shown to be better"
    yield _row(result, by_name[result["decides"]], "", pairs if result["pairs"] else over, decision)
    shown = next((name for name in _MAPS if name in by_name), None)
    if shown is not None and result["data"] in _WITH_MAP:
        yield _row(result, by_name[shown], "", over, "")
    for direction in result["directions"]:
        metric = next(metric for metric in direction["metrics"] if metric["name"] == "ndcg_at_10")
        over = f"{direction['queries']} queries, {direction['index_documents']} in the index"
        yield _row(result, metric, f"{direction['name']}: ", over, "")


def _row(result: dict[str, Any], metric: dict[str, Any], before: str, over: str, decision: str) -> tuple[str, ...]:
    return (
        result["data"],
        str(result["seed"]),
        result["device"],
        before + written_name(metric["name"]),
        f"{metric['base']:.3f}",
        f"{metric['tuned']:.3f}",
        f"{metric['difference']:+.3f} ({metric['lower']:+.3f} to {metric['upper']:+.3f})",
        over,
        decision,
    )


def _run_row(result: dict[str, Any]) -> tuple[str, ...]:
    training = result["training"]
    given = ", ".join(f"`{key}={written(value)}`" for key, value in result["parameters"].items())
    return (
        result["data"],
        str(result["seed"]),
        given if given else "nothing: all defaults",
        training["loss"],
        str(training["epochs"]),
        f"{training['learning_rate']:g}",
        str(training["batch_size"]),
        f"{result['train_documents']:,}",
        f"{result['training_seconds']}, {result['seconds']} s",
        f"{result['load_before']:g}",
        result["device"],
        f"{result['commit']}, {result['date']}",
    )


def _data_row(name: str) -> tuple[str, ...]:
    return name, DATASETS[name].what, DATASETS[name].model
