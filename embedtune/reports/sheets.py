"""A sprite sheet: all pictures of a page in one image, of which each place of the page shows a part."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from embedtune.documents.tiles import Tile
from embedtune.reports.rendering import trusted

MAX_SHEET_BYTES = 600_000
"""Greatest size of the image file; base64 adds a third to it. A sheet of photos takes some 300 kB."""

_QUALITIES = (85, 70, 50, 30, 10)
_COLOURS = 32


@dataclass(frozen=True)
class Sheet:
    """A sheet as the page's style sheet shows it: element `tile`, and one class for each place."""

    styles: Markup
    """CSS rules, '' where there is no tile."""
    names: tuple[str, ...]
    """Class of each tile, in the order given."""


def make_sheet(tiles: Sequence[Tile], is_photo: bool) -> Sheet:
    """Put tiles of one shape into one image.

    Args:
        tiles: Colours (height, width, 3), all of one shape.
        is_photo: Whether to save it as JPEG; drawings of few colours become a PNG.
    """
    if not tiles:
        return Sheet(Markup(), ())
    columns = math.ceil(math.sqrt(len(tiles)))
    rows = math.ceil(len(tiles) / columns)
    height, width, _ = tiles[0].shape
    canvas = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        canvas[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    kind, data = ("jpeg", _jpeg(canvas)) if is_photo else ("png", _png(canvas))
    rules = [
        f".tile {{ aspect-ratio: {width} / {height}; background-size: {100 * columns}% {100 * rows}%; "
        f"background-image: url(data:image/{kind};base64,{base64.b64encode(data).decode()}); }}"
    ]
    names = tuple(f"t{number}" for number in range(len(tiles)))
    for number, name in enumerate(names):
        row, column = divmod(number, columns)
        rules.append(f".{name} {{ background-position: {_place(column, columns)} {_place(row, rows)}; }}")
    return Sheet(trusted("\n".join(rules)), names)


def _place(number: int, count: int) -> str:
    """Return the position of one of several parts along an axis, as CSS counts it."""
    return f"{100 * number / (count - 1):.4g}%" if count > 1 else "0"


def _jpeg(canvas: Tile) -> bytes:
    data = b""
    for quality in _QUALITIES:
        data = _saved(canvas, quality)
        if len(data) <= MAX_SHEET_BYTES:
            break
    return data


def _saved(canvas: Tile, quality: int) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(canvas).save(file, "JPEG", quality=quality)
    return file.getvalue()


def _png(canvas: Tile) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    few = Image.fromarray(canvas).quantize(_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    few.save(file, "PNG", optimize=True)
    return file.getvalue()
