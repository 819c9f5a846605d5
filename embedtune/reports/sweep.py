"""The page of a sweep: every combination of settings, what came of it, and which was chosen."""

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from embedtune.reports import numbers
from embedtune.reports.rendering import render
from embedtune.reports.text import setting
from embedtune.retrieval.metric_names import DECIDING_CORRELATION, written_name
from embedtune.training.candidates import Candidate, Sweep

_OTHER_RANGE = (DECIDING_CORRELATION, "dcg", "exponential_dcg")
"""Beginnings of the metrics whose values are not between 0 and 1."""


@dataclass(frozen=True)
class SweepReport:
    """What the page of a sweep shows."""

    title: str
    """What the models are for."""
    sweep: Sweep


@dataclass(frozen=True)
class SweepRow:
    """One combination as a table shows it."""

    settings: str
    """What is tried, each with its value."""
    score: float | None
    """The metric; None where there is no model."""
    epoch: str
    """The epoch whose weights the model has, of how many; '' without a model."""
    seconds: float
    failure: str
    """Why there is no model, '' where there is one."""
    chosen: bool


def sweep_html(report: SweepReport) -> str:
    """Return the page of a sweep as one self-contained HTML document."""
    return render("sweep.html", _context(report))


def sweep_markdown(report: SweepReport) -> str:
    """Return the page of a sweep as Markdown."""
    return render("sweep.md", _context(report))


def sweep_rows(sweep: Sweep) -> tuple[SweepRow, ...]:
    """Return a line for each combination, in the order of the grid."""
    return tuple(
        SweepRow(
            settings=settings_of(candidate.tried),
            score=candidate.score,
            epoch=_epoch(candidate),
            seconds=candidate.seconds,
            failure=candidate.failure,
            chosen=place == sweep.chosen,
        )
        for place, candidate in enumerate(sweep.candidates)
    )


def sweep_sentence(sweep: Sweep) -> str:
    """Say which combination was chosen, by what, and how many came to no model."""
    winner, failed = sweep.winner, sum(candidate.validation is None for candidate in sweep.candidates)
    told = f"Of {len(sweep.candidates)} combinations, {settings_of(winner.tried)} was best"
    if winner.validation is not None and winner.score is not None and sweep.before is not None:
        told += f": {written_name(winner.validation.metric)} {winner.score:.4f} on {winner.validation.queries:,} "
        told += f"validation queries, {sweep.before.value:.4f} before the training"
        told += "; none is better than the base" if winner.score <= sweep.before.value else ""
    return f"{told}.{_doubt(sweep)}{f' {failed} came to no model.' if failed else ''}"


def _doubt(sweep: Sweep) -> str:
    """Say which combinations so few queries do not tell from the chosen one, '' where there is none.

    A mean m of n values from 0 to 1 has a standard error of at most sqrt(m (1 - m) / n) (Bhatia and Davis 2000,
    https://doi.org/10.2307/2589180); of metrics that are not of this kind nothing is said.
    """
    validation, best = sweep.winner.validation, sweep.winner.score
    if validation is None or best is None or validation.metric.startswith(_OTHER_RANGE) or not 0 < best < 1:
        return ""
    error = math.sqrt(best * (1 - best) / validation.queries)
    others = (each for place, each in enumerate(sweep.candidates) if place != sweep.chosen)
    close = [settings_of(each.tried) for each in others if each.score is not None and best - each.score < error]
    if not close:
        return ""
    return (
        f" Look here: so few queries do not tell it from {' or '.join(close)}, less than {error:.4f} behind it, which "
        "is what chance may make of such a mean (one standard error, at most). Raise validation_share of "
        "train_options, or keep the defaults."
    )


def settings_of(tried: Mapping[str, Any]) -> str:
    """Return settings in one line, such as 'train_epochs 5, train_warmup 0.2'."""
    return ", ".join(f"{name} {setting(value) if value != '' else repr(value)}" for name, value in tried.items())


def winner_flags(tried: Mapping[str, Any]) -> str:
    """Return settings as flags of `python -m pipelines run finetune`, to be pasted."""
    words: list[str] = []
    nothing: dict[str, dict[str, None]] = {}
    for name, value in tried.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, list):
            words += [word for each in value for word in (f"--{flag}", str(each))]
        elif value is None:  # no flag says nothing; the object that holds the field does
            prefix, _, field = name.partition("_")
            nothing.setdefault(f"--{prefix}-options", {})[field] = None
        else:
            words += [f"--{flag}", str(value)]
    words += [word for flag, fields in nothing.items() for word in (flag, json.dumps(fields))]
    return shlex.join(words)


def _epoch(candidate: Candidate) -> str:
    found = candidate.validation
    return "" if found is None else f"{found.kept} of {found.scores[-1].epoch}"


def _context(report: SweepReport) -> dict[str, object]:
    sweep, validation = report.sweep, report.sweep.winner.validation
    return {
        "report": report,
        "rows": sweep_rows(sweep),
        "sentence": sweep_sentence(sweep),
        "flags": winner_flags(sweep.winner.tried),
        "validation": validation,
        "metric": "" if validation is None else written_name(validation.metric),
        "before": None if sweep.before is None else sweep.before.value,
        "duration": numbers.duration(sum(candidate.seconds for candidate in sweep.candidates)),
    }
