"""Small drawings of images and point clouds, all of one size, for a sheet of them."""

import numpy as np
import numpy.typing as npt

from embedtune.records.layouts import Modality
from embedtune.records.rows import POINT_DTYPE

Tile = npt.NDArray[np.uint8]
"""Colours (height, width, 3)."""

TILE_SIDE = 96
"""Pixels: sharp on a screen that draws it 48 wide with two pixels for one."""

VIEWS = ((-60.0, 20.0), (30.0, 20.0), (-60.0, 89.0))
"""Where a point cloud is looked at from: azimuth and elevation in degrees, with z as the way up. The first two are a
quarter turn apart, the third is from above."""

_PAPER = 255
_NEAR, _FAR = np.array([10, 58, 112]), np.array([196, 213, 232])
_BROKEN = np.array([214, 219, 224])
_OVERSAMPLING = 3
_POINT_RADIUS = 3
_MAX_POINTS = 8192


def draw_tile(modality: Modality, content: bytes) -> tuple[Tile, bool]:
    """Draw the stored content of a Document.

    Returns:
        The tile of `tile_shape`, and whether the content can be drawn; a crossed-out tile stands for one that cannot.
    """
    drawn = _draw_image(content) if modality is Modality.IMAGE else _draw_mesh(content)
    return (_crossed_out(modality), False) if drawn is None else (drawn, True)


def tile_shape(modality: Modality) -> tuple[int, int]:
    """Return height and width of a tile in pixels."""
    return TILE_SIDE, TILE_SIDE * (len(VIEWS) if modality is Modality.MESH else 1)


def _draw_image(content: bytes) -> Tile | None:
    # Pillow takes time to import, and data without images do not need it.
    from embedtune.media.images import fit_image

    return fit_image(content, TILE_SIDE, _PAPER)


def _draw_mesh(content: bytes) -> Tile | None:
    points = np.frombuffer(content[: len(content) // 12 * 12], POINT_DTYPE).reshape(-1, 3).astype(np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return None
    points = points[:: -(-len(points) // _MAX_POINTS)]
    points -= (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points, axis=1).max())
    unit = points / radius if radius > 0 else points
    return np.concatenate([_draw_view(unit @ _camera(*view).T) for view in VIEWS], axis=1)


def _camera(azimuth: float, elevation: float) -> npt.NDArray[np.float64]:
    """Return the axes that are right, up and towards the eye (3, 3)."""
    turn, lift = np.radians(azimuth), np.radians(elevation)
    eye = np.array([np.cos(lift) * np.cos(turn), np.cos(lift) * np.sin(turn), np.sin(lift)])
    right = np.array([-np.sin(turn), np.cos(turn), 0.0])
    return np.stack([right, np.cross(eye, right), eye])


def _draw_view(points: npt.NDArray[np.float64]) -> Tile:
    """Draw points within the unit sphere (N, 3) as discs without perspective, the nearer ones darker."""
    side = TILE_SIDE * _OVERSAMPLING
    ordered = points[np.argsort(points[:, 2], kind="stable")]
    room = side / 2 - _POINT_RADIUS - 1
    columns = np.rint(side / 2 + ordered[:, 0] * room).astype(np.int64)
    rows = np.rint(side / 2 - ordered[:, 1] * room).astype(np.int64)
    nearness = np.clip((ordered[:, 2] + 1) / 2, 0, 1)[:, None]
    colours = np.rint(_FAR + (_NEAR - _FAR) * nearness).astype(np.uint8)
    offsets = np.arange(-_POINT_RADIUS, _POINT_RADIUS + 1)
    down, across = (axis.ravel() for axis in np.meshgrid(offsets, offsets, indexing="ij"))
    inside = down**2 + across**2 <= _POINT_RADIUS**2
    canvas = np.full((side, side, 3), _PAPER, np.uint8)
    # Of several discs on one pixel the last one written stays, which is the nearest.
    discs = (rows[:, None] + down[inside], columns[:, None] + across[inside])
    canvas[discs] = np.repeat(colours[:, None], int(inside.sum()), axis=1)
    blocks = canvas.reshape(TILE_SIDE, _OVERSAMPLING, TILE_SIDE, _OVERSAMPLING, 3)
    shrunk: Tile = blocks.mean(axis=(1, 3)).round().astype(np.uint8)
    return shrunk


def _crossed_out(modality: Modality) -> Tile:
    height, width = tile_shape(modality)
    tile = np.full((height, width, 3), _PAPER, np.uint8)
    down, across = np.mgrid[:height, :width]
    slope = height / width
    on_cross = (abs(down - across * slope) < 1.5) | (abs(down - (width - 1 - across) * slope) < 1.5)
    tile[on_cross] = _BROKEN
    return tile
