"""A few images or meshes of the data, drawn: the form in which they reach a page."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedtune.records.layouts import Modality

Tile = npt.NDArray[np.uint8]
"""Colours (height, width, 3)."""


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
