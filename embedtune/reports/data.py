"""The page of the data step: what was read, how it was split, and what to look at before training on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import dropwhile
from typing import TypeVar

from markupsafe import Markup

from embedtune.documents.gallery import Gallery
from embedtune.documents.summary import READ_WORDS, DataSummary, SplitSummary
from embedtune.errors import EmbedtuneError
from embedtune.records.layouts import Layout, Modality
from embedtune.reports.charts import bar
from embedtune.reports.numbers import amount_of_bytes, count
from embedtune.reports.reading import shown_reading
from embedtune.reports.rendering import render, trusted
from embedtune.reports.sheets import Sheet, make_sheet

Value = TypeVar("Value")

_MAX_ROWS = 20
"""Greatest number of labels, warnings and examples that the page lists."""


_NOUNS: dict[str, str] = {Modality.TEXT: "texts", Modality.IMAGE: "images", Modality.MESH: "meshes"}
_RULES = {"stratified": "Stratified", "group": "By group", "official": "As the source divides it", "none": "None"}


@dataclass(frozen=True, eq=False)
class DataReport:
    """What the page shows."""

    summary: DataSummary
    gallery: Gallery | None = None
    """Pictures of some contents, None for texts."""
    rejected: tuple[tuple[str, int, str], ...] = ()
    """Why rows were set aside when they were read: the reason, how many rows, and the first of them."""
    is_trial: bool = False
    """Whether nothing was built: the split is what a run would make."""
    refusal: EmbedtuneError | None = None
    """Why a run refuses the data, None where it does not."""


@dataclass(frozen=True)
class SplitRow:
    """One line of the table of splits."""

    name: str
    purpose: str
    split: SplitSummary


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    name: str
    count: int
    drawing: Markup
    """SVG."""


@dataclass(frozen=True)
class Histogram:
    """How many contents there are of each size."""

    title: str
    unit: str
    """What the numbers count, such as 'texts'."""
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Shown:
    """One picture of the page."""

    name: str
    """Class of its tile."""
    caption: str
    readable: bool


@dataclass(frozen=True)
class ShownGroup:
    """Pictures that belong together."""

    title: str
    documents: int
    """Of this label, 0 where it is not known."""
    pictures: tuple[Shown, ...]


def data_html(report: DataReport) -> str:
    """Return the data page as one self-contained HTML document."""
    sheet, groups = _pictures(report)
    unreadable = any(not picture.readable for group in groups for picture in group.pictures)
    return render("data.html", {**_context(report), "sheet": sheet, "groups": groups, "unreadable": unreadable})


def data_markdown(report: DataReport) -> str:
    """Return the data page as Markdown, without pictures."""
    return render("data.md", _context(report))


def histograms(summary: DataSummary) -> tuple[Histogram, ...]:
    """Return how long the texts and how large the other contents are."""
    found = []
    if summary.length_histogram:
        found.append(_histogram("Words", "texts", summary.length_histogram, count))
    for media in summary.media:
        is_image = media.modality == Modality.IMAGE
        unit = "images" if is_image else "meshes"
        title = "Longer side in pixels" if is_image else "Points"
        found.append(_histogram(title, unit, media.size_histogram, count))
        found.append(_histogram("Bytes as stored", unit, media.bytes_histogram, amount_of_bytes))
    return tuple(histogram for histogram in found if histogram.bars)


def all_set_aside(report: DataReport) -> tuple[tuple[str, int, str], ...]:
    """Return why rows were set aside while they were read and while they were put together."""
    return tuple(sorted((*report.rejected, *report.summary.set_aside), key=lambda entry: -entry[1]))


def joined_groups(summary: DataSummary) -> tuple[tuple[str, int], ...]:
    """Return the largest groups of connected rows, unless these are nothing but the most frequent labels."""
    groups, labels = summary.largest_groups, summary.label_histogram
    return () if groups and labels and groups[0][1] <= labels[0][1] else groups


def judged_gains(summary: DataSummary) -> tuple[tuple[float, int], ...]:
    """Return how many pairs are judged how, unless all are judged alike."""
    return summary.gain_histogram if len(summary.gain_histogram) > 1 else ()


def kind_of_data(summary: DataSummary) -> str:
    """Name what the rows hold, such as 'images with labels'."""
    nouns = [_NOUNS[modality] for modality in dict.fromkeys(summary.modalities)]
    if summary.layout == Layout.LABELLED:
        return f"{nouns[0]} with labels"
    if summary.layout == Layout.PLAIN:
        return nouns[0]
    both = " and ".join(nouns)
    return {
        Layout.SCORED: f"pairs of {both} with scores",
        Layout.TEXT_IMAGE: f"pairs of {both}",
    }.get(Layout(summary.layout), f"queries with documents, {both}")


def _context(report: DataReport) -> dict[str, object]:
    summary = report.summary
    labelled = summary.layout == Layout.LABELLED
    aside = all_set_aside(report)
    gains = judged_gains(summary)
    refused = () if report.refusal is None else (f"A run refuses these data: {report.refusal}",)
    return {
        "data": summary,
        "is_trial": report.is_trial,
        "reading": shown_reading(summary.reading),
        "kind": kind_of_data(summary),
        "labelled": labelled,
        "plain": summary.layout == Layout.PLAIN,
        "has_texts": Modality.TEXT in summary.modalities,
        "rule": _RULES.get(summary.split_rule, summary.split_rule),
        "rows": split_rows(summary),
        "bars": _bars(summary.label_histogram[:_MAX_ROWS], str),
        "gains": _bars(gains[:_MAX_ROWS], lambda gain: f"{gain:.3g}"),
        "gain_name": "Score" if summary.layout == Layout.SCORED else "Relevance",
        "largest_groups": joined_groups(summary),
        "histograms": histograms(summary),
        "aside": aside[:_MAX_ROWS],
        "aside_rows": summary.quarantined + sum(rows for _, rows, _ in report.rejected),
        "more_reasons": max(len(aside) - _MAX_ROWS, 0),
        "warnings": refused + summary.warnings[:_MAX_ROWS],
        "examples": summary.examples[:_MAX_ROWS],
        "read_words": READ_WORDS,
    }


def split_rows(summary: DataSummary) -> tuple[SplitRow, ...]:
    """Return the parts of the split; only training where nothing is held out."""
    training = SplitRow("Training", "what the model learns from", summary.train)
    if not summary.query.documents and not summary.index.documents:
        return (training,)
    return (
        training,
        SplitRow("Queries", "held out; each one is searched for", summary.query),
        SplitRow("Index", "held out; what the queries search in", summary.index),
    )


def _histogram(title: str, unit: str, entries: tuple[tuple[int, int], ...], write: Callable[[int], str]) -> Histogram:
    # The powers of two between the smallest and the largest content are some dozens at most.
    occurring = tuple(dropwhile(lambda entry: entry[1] == 0, entries))
    return Histogram(title, unit, _bars(occurring, write))


def _bars(entries: Sequence[tuple[Value, int]], name: Callable[[Value], str]) -> tuple[Bar, ...]:
    most = max((number for _, number in entries), default=1)
    return tuple(Bar(name(value), number, trusted(bar(number / most) if number else "")) for value, number in entries)


def _pictures(report: DataReport) -> tuple[Sheet, list[ShownGroup]]:
    if report.gallery is None:
        return make_sheet((), False), []
    pictures = [picture for group in report.gallery.groups for picture in group.pictures]
    sheet = make_sheet([picture.tile for picture in pictures], report.gallery.modality is Modality.IMAGE)
    documents = dict(report.summary.label_histogram)
    names = iter(sheet.names)
    groups = [
        ShownGroup(
            group.title,
            documents.get(group.title, 0),
            tuple(Shown(next(names), picture.caption, picture.readable) for picture in group.pictures),
        )
        for group in report.gallery.groups
    ]
    return sheet, groups
