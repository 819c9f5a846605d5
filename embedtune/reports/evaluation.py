"""The page of the evaluation step: is the tuned model better than the one it started from, and by how much."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

from embedtune.documents.summary import DataSummary
from embedtune.models.card import CutTexts, LossPoint, Validation
from embedtune.records.layouts import Modality
from embedtune.reports.advice import next_steps
from embedtune.reports.cells import shown_cells
from embedtune.reports.cut_texts import text_rows
from embedtune.reports.example_groups import ExampleGroup, example_groups
from embedtune.reports.facts import Provenance, TrainingFacts
from embedtune.reports.metric_tables import headlines, metric_tables
from embedtune.reports.numbers import count
from embedtune.reports.reading import shown_reading
from embedtune.reports.rendering import render, trusted
from embedtune.reports.scored_rows import label_rows, query_rows
from embedtune.reports.scripts import inline_script
from embedtune.reports.side_tables import shown_side_tables
from embedtune.reports.training import loss_curve
from embedtune.reports.validation import metric_curve
from embedtune.retrieval.comparison import Comparison, Decision
from embedtune.retrieval.metric_names import written_name
from embedtune.retrieval.sides import BASE, CHAMPION, TUNED

if TYPE_CHECKING:
    from embedtune.documents.tiles import Tile
    from embedtune.retrieval.label_noise import DoubtfulLabel, LabelNoise
    from embedtune.retrieval.weak_spots import WeakSpots

MAX_PAGE_BYTES = 950_000
"""Size that no page comes to; a link to the data page is still added."""

_DATA_PAGE = "<!-- the data page -->"
"""Where a link to the data page goes; a step does not know where that page will be."""

_EXAMPLES_PER_GROUP = 8
_HITS = 5
_DOUBTFUL = 50
"""Labels that seem to be wrong, of which a page shows the surest."""
_SHARES = (1.0, 0.5, 0.25, 0.1, 0.0)
"""Of what is listed, how much a page shows: the first share with which it is small enough."""


@dataclass(frozen=True)
class EvaluationReport:
    """What the evaluation page shows."""

    title: str
    """What was trained on, such as the name of the data."""
    comparison: Comparison
    training: TrainingFacts
    history: tuple[LossPoint, ...]
    """By ascending step; empty where nothing was logged."""
    data: DataSummary | None
    provenance: Provenance
    train_texts: CutTexts | None = None
    """What the model's length did to the training texts, None where nobody counted."""
    pictures: Mapping[str, "Tile"] = field(default_factory=dict)
    """Drawings of images or meshes of the examples, by id, all of one shape; none of texts."""
    weak_spots: "WeakSpots | None" = None
    """Where the tuned model is worst; None where single queries were not looked at."""
    label_noise: "LabelNoise | None" = None
    """Labels that seem to be wrong; None where there are none, or nobody looked."""
    made: str = ""
    """When the evaluation was made, '' where that is not said."""
    validation: Validation | None = None
    """How good the model was after each epoch of its training, None where nothing was held out to tell."""

    @property
    def base_model(self) -> str:
        """What people call the model that training started from."""
        return self.comparison.side(BASE).model


_DISTANCES = {"cosine": "cosine similarity", "dot": "dot product", "euclidean": "Euclidean distance"}

SIDE_NAMES = {BASE: "Base", TUNED: "Tuned", CHAMPION: "Champion"}
"""What the pages call the sides, in the order of their columns."""


def evaluation_html(report: EvaluationReport) -> str:
    """Return the evaluation page as one self-contained HTML document.

    Raises:
        KeyError: The comparison lacks the base, the tuned model, or the metric that was judged.
        ValueError: A metric or a loss is not a finite number.
    """
    page = ""
    for share in _SHARES:
        page = render("evaluation.html", {**_context(report, share), **_pictures(report, share)})
        if len(page.encode("utf-8")) <= MAX_PAGE_BYTES:
            break
    return page


def evaluation_markdown(report: EvaluationReport) -> str:
    """Return the evaluation page as Markdown.

    Raises:
        KeyError: The comparison lacks the base, the tuned model, or the metric that was judged.
        ValueError: A metric or a loss is not a finite number.
    """
    return render("evaluation.md", _context(report, 1.0))


def with_data_page(html: str, address: str) -> str:
    """Return an evaluation page that links to the data page, for a place where both are.

    Args:
        html: What `evaluation_html` returned.
        address: Address of the data page, relative to this one.
    """
    link = f'<span aria-hidden="true">/</span> <a href="{escape(address, quote=True)}">data page</a>'
    return html.replace(_DATA_PAGE, link, 1)


def verdict(comparison: Comparison) -> str:
    """Return the decision in a few words, with the champion that stays where the evaluation knew one."""
    decision, scored = comparison.decision, comparison.has(CHAMPION)
    version = f" version {decision.champion_version}" if decision.champion_version else ""
    if decision.better:
        return f"Better than the base and champion{version}" if scored else "Better than the base"
    found = "Better than the base" if decision.better_than_base else "Not shown to be better"
    if decision.better_than_base and any(table.probe and not table.probe.held for table in comparison.side_tables):
        found = "Probe not held"
    return f"{found}, champion{version} stays" if scored or version else found


def _context(report: EvaluationReport, share: float) -> dict[str, object]:
    """Return what the templates refer to, with a share of the examples, queries and labels."""
    comparison = report.comparison
    sides = tuple(comparison.side(name) for name in SIDE_NAMES if comparison.has(name))
    names = [side.name for side in sides]
    shown = headlines(comparison)
    return {
        "report": report,
        "comparison": comparison,
        "decision": comparison.decision,
        "verdict": verdict(comparison),
        "ranked_by": _ranked_by(comparison),
        "opening": _opening(comparison.decision),
        "drawn": _drawn(comparison),
        "sides": sides,
        "side_names": SIDE_NAMES,
        "primary_name": written_name(comparison.decision.metric),
        "primary": shown[0],
        "headlines": shown,
        "others": [side for side in sides if side.name != TUNED],
        "tables": metric_tables(comparison, names),
        "cells": shown_cells(comparison, names, SIDE_NAMES, report.data),
        "side_tables": shown_side_tables(comparison, names),
        "texts": {(content.kind, content.id): content.text for content in comparison.contents},
        "curve": loss_curve(report.history),
        "metric_curve": metric_curve(report.validation),
        "groups": _groups(report, share),
        "hits": _HITS,
        **_weak_spots(report, share, names),
        "noise": report.label_noise,
        "doubtful": _doubtful(report, share),
        "training": report.training,
        "data": report.data,
        "provenance": report.provenance,
        "warnings": comparison.warnings,
        "next_steps": next_steps(comparison, report.title),
        "text_rows": text_rows(report.train_texts, comparison.sides),
        "reading": shown_reading(None if report.data is None else report.data.reading),
        "script": inline_script("tables.js"),
        "data_page": trusted(_DATA_PAGE),
    }


def _weak_spots(report: EvaluationReport, share: float, sides: Sequence[str]) -> dict[str, object]:
    """Return the lines of queries and labels; none where single queries were not looked at."""
    weak = report.weak_spots
    if weak is None:
        return {"weak": None, "queries": (), "labels": ()}
    queries, labels = weak.queries[: round(share * len(weak.queries))], weak.labels[: round(share * len(weak.labels))]
    return {
        "weak": weak,
        "weak_metric": written_name(weak.metric),
        "queries": query_rows(queries, sides),
        "labels": label_rows(labels, weak.metric, sides),
    }


def _doubtful(report: EvaluationReport, share: float) -> "tuple[DoubtfulLabel, ...]":
    noise = report.label_noise
    return () if noise is None else noise.listed[: round(share * _DOUBTFUL)]


def _opening(decision: Decision) -> str:
    """Return what is said before everything that is against a promotion."""
    return decision.reason.removesuffix(" ".join(decision.reasons)).strip()


def _drawn(comparison: Comparison) -> str:
    """Say what was held out together, which the intervals draw; '' where that is what is counted already."""
    over_base, *over_others = (each for each in comparison.differences if each.metric == comparison.decision.metric)
    counted = comparison.pairs if comparison.pairs else comparison.queries
    said = ""
    if over_base.units != counted or over_base.unit not in ("queries", "pairs"):
        different = "different " if over_base.unit == "queries" else ""
        said = f"; the interval draws {count(over_base.units)} {different}{over_base.unit}"
    fewer = [each for each in over_others if each.units != over_base.units]
    return said + "".join(f"; {count(each.units)} {each.unit} compare it with the {each.against}" for each in fewer)


def _ranked_by(comparison: Comparison) -> str:
    """Say what documents are ranked by; of each model where they differ."""
    found = {side.name: _DISTANCES.get(side.distance, side.distance) for side in comparison.sides}
    if len(set(found.values())) == 1:
        return found[TUNED]
    return " and ".join(f"{distance} ({side})" for side, distance in found.items())


def _groups(report: EvaluationReport, share: float) -> tuple[ExampleGroup, ...]:
    return example_groups(report.comparison.examples, round(share * _EXAMPLES_PER_GROUP))


def _pictures(report: EvaluationReport, share: float) -> dict[str, object]:
    """Return the pictures of the examples that are shown: style rules, the class of each by its id, and their form."""
    meshes = Modality.MESH in (report.comparison.query_kind, report.comparison.index_kind)
    shown = [example for group in _groups(report, share) for example in group.examples]
    ids = {example.id for example in shown}
    ids |= {hit.id for example in shown for results in example.results for hit in results.hits[:_HITS]}
    pictures = {identifier: tile for identifier, tile in report.pictures.items() if identifier in ids}
    styles, tiles = _sheet(pictures, not meshes)
    return {"styles": styles, "tiles": tiles, "meshes": meshes}


def _sheet(pictures: Mapping[str, "Tile"], is_photo: bool) -> tuple[Markup, dict[str, str]]:
    """Return the style rules of the pictures, and the class of each by its id."""
    if not pictures:
        return Markup(), {}
    from embedtune.reports.sheets import make_sheet  # numpy takes time to import, and texts do not need it

    sheet = make_sheet(list(pictures.values()), is_photo)
    return sheet.styles, dict(zip(pictures, sheet.names, strict=True))
