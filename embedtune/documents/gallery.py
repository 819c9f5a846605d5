"""A few images or meshes of the data, drawn small: what a person looks at before training on them."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedtune.documents.distinct_contents import Numbers
from embedtune.documents.schema import LABEL_COLUMN, SCORE_COLUMN, ContentColumns, Split, SplitColumns
from embedtune.documents.shards.folder import BuiltFolder
from embedtune.documents.summary import DataSummary
from embedtune.documents.tiles import Tile, draw_tile
from embedtune.records.layouts import Modality
from embedtune.text import shortened

_MOST_SHARDS = 6
"""Bounds what is read, perhaps over a network: a shard of images or meshes has 32 MiB."""

_MOST_GROUPS = 10
_MOST_TILES = {Modality.IMAGE: 100, Modality.MESH: 40}
_MOST_IN_GROUP = {Modality.IMAGE: 24, Modality.MESH: 4}
_CAPTION_CHARACTERS = 300


@dataclass(frozen=True, eq=False)
class Picture:
    """One image or mesh, drawn."""

    tile: Tile
    caption: str = ""
    """The text that it belongs to, '' where there is none."""
    readable: bool = True
    """False: the content could not be drawn."""


@dataclass(frozen=True, eq=False)
class PictureGroup:
    """Pictures that belong together."""

    title: str
    """Their label or score, '' where there is none."""
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures of some of the training Documents, all of one size."""

    modality: Modality
    groups: tuple[PictureGroup, ...]


def draw_gallery(train: Path, summary: DataSummary) -> Gallery | None:
    """Draw some of the training Documents; equal Documents and seed give the equal gallery.

    Of labelled data these are Documents of the most frequent labels, of other layouts those that belong together. Only
    a few of the shards are read.

    Args:
        train: Folder of training documents.
        summary: What the build said of them.

    Returns:
        The pictures, or None for texts and for contents that are not loaded.

    Raises:
        StorageError: the folder is not complete, or a shard is damaged or out of reach.
    """
    built = BuiltFolder.open(train)
    form = built.columns(Split.TRAIN)
    media = [content for content in form.contents if content.modality is not Modality.TEXT and content.loaded]
    if not media:
        return None
    shards = built.shards(Split.TRAIN)
    chosen = np.unique(np.linspace(0, len(shards) - 1, _MOST_SHARDS).round().astype(np.int64)).tolist()
    tables = (built.shard(shards[number]) for number in chosen)
    draw = np.random.default_rng(summary.seed)
    if form.is_parent:
        groups = _parents(tables, len(chosen), form, draw)
    elif built.manifest.layout.has_labels:
        groups = _labelled(tables, media[0], [label for label, _ in summary.label_histogram[:_MOST_GROUPS]], draw)
    else:
        groups = _connected(next(tables), media[0], draw)
    return Gallery(media[0].modality, tuple(groups))


def _labelled(
    tables: Iterable[pa.Table], content: ContentColumns, labels: Sequence[str], draw: np.random.Generator
) -> list[PictureGroup]:
    """Draw Documents of each label; further tables are read only where a label has not enough yet."""
    limit = min(_MOST_IN_GROUP[content.modality], _MOST_TILES[content.modality] // max(len(labels), 1))
    found: list[list[Picture]] = [[] for _ in labels]
    for table in tables:
        numbers = pc.fill_null(pc.index_in(table[LABEL_COLUMN], pa.array(labels, pa.large_string())), -1).to_numpy()
        for number, pictures in enumerate(found):
            rows = _choose(np.flatnonzero(numbers == number), limit - len(pictures), draw)
            pictures += [_draw(table, content, row) for row in rows]
        if all(len(pictures) == limit for pictures in found):
            break
    return [PictureGroup(label, tuple(pictures)) for label, pictures in zip(labels, found, strict=True) if pictures]


def _connected(table: pa.Table, content: ContentColumns, draw: np.random.Generator) -> list[PictureGroup]:
    """Draw Documents that are in one component, which is their label."""
    counts = pc.value_counts(table[LABEL_COLUMN])
    several = np.flatnonzero(counts.field("counts").to_numpy() > 1)
    labels = counts.field("values").take(pa.array(_choose(several, _MOST_GROUPS, draw), pa.int64())).to_pylist()
    return [PictureGroup("", group.pictures) for group in _labelled([table], content, labels, draw)]


def _parents(
    tables: Iterable[pa.Table], count: int, form: SplitColumns, draw: np.random.Generator
) -> list[PictureGroup]:
    """Draw the contents of pairs: images with the text beside them, or both where both can be drawn."""
    media = [content for content in form.contents if content.modality is not Modality.TEXT]
    texts = [content.column for content in form.contents if content.modality is Modality.TEXT]
    most = _MOST_IN_GROUP[media[0].modality] if texts else _MOST_GROUPS
    groups: list[PictureGroup] = []
    for table in tables:
        for row in _choose(np.arange(len(table)), math.ceil(most / count), draw):
            caption = shortened(table[texts[0]][row].as_py(), _CAPTION_CHARACTERS) if texts else ""
            title = f"score {table[SCORE_COLUMN][row].as_py():.3g}" if form.has_score else ""
            pictures = tuple(dataclasses.replace(_draw(table, content, row), caption=caption) for content in media)
            groups.append(PictureGroup(title, pictures))
    if not texts:
        return groups[:most]
    return [PictureGroup("", tuple(picture for group in groups for picture in group.pictures)[:most])]


def _choose(rows: Numbers, count: int, draw: np.random.Generator) -> list[int]:
    """Return some of the rows in their order, all of them where these are no more."""
    chosen = rows if len(rows) <= count else draw.choice(rows, count, replace=False)
    return sorted(chosen.tolist())


def _draw(table: pa.Table, content: ContentColumns, row: int) -> Picture:
    tile, readable = draw_tile(content.modality, table[content.column][row].as_py())
    return Picture(tile, readable=readable)
