"""What an evaluation leaves on disk: the comparison, the files of TREC, and the scores of each query."""

import csv
from dataclasses import fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embedtune.progress import note
from embedtune.retrieval.compare import Evaluation
from embedtune.retrieval.finetuner_metrics import LIMIT, finetuner_scores
from embedtune.retrieval.judgments import Judgments
from embedtune.retrieval.per_label import scores_by_label
from embedtune.retrieval.ranking import Ranking
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED
from embedtune.retrieval.trec import has_whole_gains, write_qrels, write_run
from embedtune.text import spreadsheet_cell

COMPARISON_FILE = "comparison.json"
QUERY_SCORES_FILE = "queries.csv"
LABEL_SCORES_FILE = "labels.csv"
"""Means by label, the worst first; only where queries have labels."""
LABEL_NOISE_FILE = "label-noise.csv"
"""Contents whose label seems to be wrong, see `label_noise`; only where equal labels say what is relevant."""
MAP_FILE = "to-champion.safetensors"
"""Map from the tuned model's vectors to the champion's, see `migration.learn_map`; only where one was scored."""
FINETUNER_FILE = "finetuner.csv"
"""Means by the definitions of Jina Finetuner; only where they were asked for."""
QRELS_FILE = "qrels.txt"
RUN_FILES = {side: f"{side}.run" for side in (BASE, TUNED, CHAMPION)}
"""The run of each side that there may be."""
TREC_FILES = (QRELS_FILE, *RUN_FILES.values())

_MOST_JUDGMENTS = 5_000_000
"""Lines of the qrels file above which it is left out: with large labels it grows with their square."""


def write_scores(folder: Path, outcome: Evaluation) -> None:
    """Write the comparison, the files of TREC and the scores of each query.

    A query that does not count for a side is not in its run, and has no scores of it.

    Raises:
        OSError: a file cannot be written.
    """
    judged = outcome.judged
    outcome.comparison.save(folder / COMPARISON_FILE)
    reason = _why_no_qrels(judged.judgments)
    if reason:
        note(f"{QRELS_FILE} is left out: {reason}.")
    else:
        write_qrels(folder / QRELS_FILE, judged.query_ids, judged.index_ids, judged.judgments)
    for side, result in outcome.results.items():
        rows = np.flatnonzero(outcome.counted[side])
        ranking, ids = _selected(result.ranking, rows), [judged.query_ids[row] for row in rows.tolist()]
        write_run(folder / RUN_FILES[side], ranking, ids, judged.index_ids, side)
    _write_query_scores(folder / QUERY_SCORES_FILE, outcome)
    _write_label_scores(folder / LABEL_SCORES_FILE, outcome)


def write_finetuner_scores(folder: Path, outcome: Evaluation) -> None:
    """Write the means of each side by Finetuner's names and definitions.

    Args:
        folder: Folder of the scores.
        outcome: With rankings of LIMIT results or more.

    Raises:
        OSError: the file cannot be written.
    """
    judgments = outcome.judged.judgments
    columns: dict[str, list[float]] = {}
    names: list[str] = []
    for side, result in outcome.results.items():
        found, counted = result.ranking.indices[:, :LIMIT], outcome.counted[side]
        scores = finetuner_scores(judgments.gains(found) > 0, (found >= 0).sum(axis=1), judgments.relevant_counts())
        names = list(scores)
        if counted.any():
            columns[side] = [float(values[counted].mean()) for values in scores.values()]
    with (folder / FINETUNER_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["metric", *columns])
        writer.writerows(zip(names, *columns.values(), strict=True))


def _selected(ranking: Ranking, rows: NDArray[np.int64]) -> Ranking:
    return Ranking(**{field.name: getattr(ranking, field.name)[rows] for field in fields(ranking)})


def _write_query_scores(path: Path, outcome: Evaluation) -> None:
    columns = {
        f"{side}_{name}": [value if counts else "" for value, counts in zip(scores, outcome.counted[side], strict=True)]
        for side, result in outcome.results.items()
        for name, scores in result.scores.items()
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["query_id", *columns])
        writer.writerows(zip(outcome.judged.query_ids, *columns.values(), strict=True))


def _write_label_scores(path: Path, outcome: Evaluation) -> None:
    deciding = outcome.comparison.decision.metric
    keys = list(outcome.results[TUNED].scores)
    found = scores_by_label(
        outcome.judged.query_labels,
        {side: result.scores for side, result in outcome.results.items()},
        outcome.counted,
        (TUNED, deciding if deciding in keys else keys[0]),
    )
    if not found:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", "queries", *(f"{side}_{key}" for side in outcome.results for key in keys)])
        for each in found:
            means = [each.means.get(side, {}).get(key, "") for side in outcome.results for key in keys]
            writer.writerow([spreadsheet_cell(each.label), each.queries, *means])


def _why_no_qrels(judgments: Judgments) -> str:
    """Return why no qrels file is written, '' if there is no reason."""
    count = int(judgments.relevant_counts().sum())
    if count > _MOST_JUDGMENTS:
        return f"it would have {count} lines, more than {_MOST_JUDGMENTS}"
    if not has_whole_gains(judgments):
        return "its format holds whole gains only, and some of these are fractions, which our nDCG takes as they are"
    return ""
