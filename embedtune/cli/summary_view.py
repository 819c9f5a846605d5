"""The data page as a person reads it on a terminal, and as a program reads it."""

import dataclasses
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from embedtune.documents.summary import DataSummary
from embedtune.errors import EmbedtuneError
from embedtune.records.layouts import Layout, Modality
from embedtune.reports.data import (
    DataReport,
    all_set_aside,
    histograms,
    joined_groups,
    judged_gains,
    kind_of_data,
    split_rows,
)
from embedtune.reports.numbers import compact, count, percent
from embedtune.reports.text import shorten

_BAR_WIDTH = 30
_MOST_LINES = 10
_FULL, _PARTS = "█", " ▏▎▍▌▋▊▉"


def print_report(report: DataReport, console: Console) -> None:
    """Print the counts, histograms and examples of a report.

    Args:
        report: What to print; its texts may be hostile.
        console: Where to print it.
    """
    summary = report.summary
    rejected = sum(rows for _, rows, _ in report.rejected)
    console.print(Text(f"{count(summary.rows)} rows of {kind_of_data(summary)}", style="bold"))
    for warning in summary.warnings[:_MOST_LINES]:
        console.print(Text.assemble(("! ", "bold yellow"), shorten(warning, 400)))
    if summary.reading is not None:
        console.print(Text(f"Read as: {shorten(summary.reading.how(), 600)}"))
        for note in summary.reading.notes[:_MOST_LINES]:
            console.print(Text(shorten(note, 400)))
    console.print(
        f"{count(summary.duplicates)} merged into an earlier one with the same content, "
        f"{count(summary.quarantined + rejected)} set aside"
    )
    _print_split(report, console)
    _print_bars(console, "Most frequent labels", "documents", summary.label_histogram[:_MOST_LINES])
    gain_name = "Score" if summary.layout == Layout.SCORED else "Relevance"
    gains = [(f"{gain:.3g}", pairs) for gain, pairs in judged_gains(summary)]
    _print_bars(console, f"{gain_name} of the judged pairs", "pairs", gains)
    for histogram in histograms(summary):
        bars = [(bar.name, bar.count) for bar in histogram.bars]
        _print_bars(console, f"{histogram.title}, up to", histogram.unit, bars)
    _print_table(console, "Largest groups of connected rows", ("joined by", "documents"), joined_groups(summary))
    _print_table(console, "Set aside", ("reason", "rows", "the first one"), all_set_aside(report))
    _print_table(console, "Examples", _example_columns(summary), summary.examples)


def report_json(data: str, report: DataReport) -> str:
    """Return a report as a JSON object in ASCII, which any terminal and pipe takes.

    Args:
        data: What was looked at.
        report: What was found.
    """
    summary, reading = report.summary, report.summary.reading
    return json.dumps(
        {
            "data": data,
            "refusal": None if report.refusal is None else str(report.refusal),
            "warnings": summary.warnings,
            "layout": summary.layout,
            "modalities": summary.modalities,
            "rows": summary.rows,
            "duplicates": summary.duplicates,
            "reading": None if reading is None else {"told": reading.how(), **dataclasses.asdict(reading)},
            "labels": dict(summary.label_histogram),
            "split": {
                "rule": summary.split_rule,
                "reason": summary.split_reason,
                **{part: dataclasses.asdict(getattr(summary, part)) for part in ("train", "query", "index")},
            },
            "set_aside": [
                {"reason": reason, "rows": rows, "first": first} for reason, rows, first in all_set_aside(report)
            ],
        },
        indent=2,
    )


def refusal_json(data: str, error: EmbedtuneError) -> str:
    """Return the same of data of which nothing can be shown.

    Args:
        data: What was looked at.
        error: Why.
    """
    return json.dumps({"data": data, "refusal": str(error)}, indent=2)


def _print_split(report: DataReport, console: Console) -> None:
    summary = report.summary
    has_texts, plain = Modality.TEXT in summary.modalities, summary.layout == Layout.PLAIN
    table = _open_table(console, "Trial split" if report.is_trial else "Split")
    columns = ["documents", *([] if plain else ["labels" if summary.layout == Layout.LABELLED else "groups"])]
    columns += ["median words", "95 % up to"] if has_texts else []
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    for row in split_rows(summary):
        part = row.split
        numbers = [part.documents, *([] if plain else [part.labels])]
        numbers += [part.words_median, part.words_p95] if has_texts else []
        table.add_row(row.name, *map(count, numbers))
    console.print(table)
    console.print(Text(shorten(summary.split_reason, 400)))
    if len(split_rows(summary)) > 1:
        console.print(
            f"Leaks: {count(summary.shared_contents)} of {count(summary.compared_contents)} held-out contents are in "
            f"training too. Relevant per query: {compact(summary.relevant_per_query)} on average."
        )
    if not plain:
        console.print(f"Largest group of connected rows: {percent(summary.largest_group_share)} of all documents.")


def _print_bars(console: Console, title: str, unit: str, bars: Sequence[tuple[str, int]]) -> None:
    if not bars:
        return
    table = _open_table(console, title)
    table.add_column("", overflow="ellipsis", max_width=30)
    table.add_column(unit, justify="right")
    table.add_column("")
    most = max(number for _, number in bars)
    for name, number in bars:
        table.add_row(Text(shorten(name, 40)), count(number), Text(_bar(number / most), style="blue"))
    console.print(table)


def _print_table(
    console: Console, title: str, columns: tuple[str, ...], rows: tuple[tuple[str | int, ...], ...]
) -> None:
    if not rows:
        return
    table = _open_table(console, title)
    for column, cell in zip(columns, rows[0], strict=False):
        table.add_column(column, justify="right" if isinstance(cell, int) else "left")
    for row in rows[:_MOST_LINES]:
        cells = (count(cell) if isinstance(cell, int) else shorten(cell, 160) for cell in row[: len(columns)])
        table.add_row(*map(Text, cells))
    console.print(table)
    if len(rows) > _MOST_LINES:
        console.print(f"and {count(len(rows) - _MOST_LINES)} more")


def _example_columns(summary: DataSummary) -> tuple[str, ...]:
    if summary.layout == Layout.PLAIN:
        return ("text",)
    if summary.layout == Layout.LABELLED:
        return ("content", "label")
    return ("first", "second") if summary.layout in (Layout.SCORED, Layout.TEXT_IMAGE) else ("query", "document")


def _open_table(console: Console, title: str) -> Table:
    """Print a title and return the table to print below it."""
    console.print(Text(f"\n{title}", style="bold"))
    return Table(box=None, pad_edge=False, header_style="dim")


def _bar(share: float) -> str:
    eighths = max(round(share * _BAR_WIDTH * 8), 1) if share > 0 else 0
    return _FULL * (eighths // 8) + _PARTS[eighths % 8].strip()
