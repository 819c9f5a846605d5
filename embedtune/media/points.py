"""Point clouds from mesh files. Imports trimesh, so import this module where it is used."""

import hashlib

import numpy as np
import numpy.typing as npt

from embedtune.errors import InputError
from embedtune.media.glb_files import parse_glb
from embedtune.media.limits import DEFAULT_MESH_LIMITS, MALFORMED, MeshLimits, check_size
from embedtune.media.mesh_files import PARSERS, join_parts

Floats = npt.NDArray[np.float64]

_PARSERS = {**PARSERS, ".glb": parse_glb}

MESH_SUFFIXES = tuple(_PARSERS)
"""Endings of the mesh files that are read."""


def read_mesh(
    data: bytes, suffix: str, points: int, seed: int, limits: MeshLimits = DEFAULT_MESH_LIMITS
) -> npt.NDArray[np.float32]:
    """Draw points from a mesh's surface, uniformly by area.

    The parts of a file with several meshes are joined, those of a GLB scene where its nodes place them. A PLY file
    without faces is a point cloud: `points` of its vertices are drawn, each at most once if there are enough of them.
    Coordinates stay as they are in the file, neither centred nor scaled. Nothing but `data` is read: materials,
    textures and buffers in other files are ignored or refused.

    Args:
        data: The file.
        suffix: Its ending, one of MESH_SUFFIXES in any case.
        points: Number of points to draw, 1 or more.
        seed: 0 or more. Together with the file's SHA-256 it alone decides on the points, so that neither order nor
            number of the files around it matter.
        limits: Those that the file's header can tell are checked before it is parsed.

    Returns:
        Points, (points, 3) float32.

    Raises:
        InputError: not a mesh of this kind, damaged or cut short, above the limits, or without a surface. The message
            is a short reason without the file's name.
    """
    check_size("mesh", data, limits.max_bytes)
    if suffix.lower() not in MESH_SUFFIXES:
        raise InputError(f"the mesh's ending is {suffix!r}; accepted are {', '.join(MESH_SUFFIXES)}")
    try:
        parts = _PARSERS[suffix.lower()](data, limits)
        vertices, faces = join_parts(parts, limits, points_allowed=suffix.lower() == ".ply")
        generator = np.random.default_rng([seed, int(hashlib.sha256(data).hexdigest(), 16)])
        # Overflow turns into infinities, which are refused below.
        with np.errstate(all="ignore"):
            if faces is None:
                drawn = _draw_vertices(vertices, points, generator)
            else:
                drawn = _draw_from_surface(vertices[faces], points, generator)
            cloud = drawn.astype(np.float32)
    except MALFORMED as error:
        raise InputError(f"the mesh cannot be read as {suffix.lower()}: {_reason(error)}") from error
    if not np.isfinite(cloud).all():
        raise InputError("the mesh has coordinates that are too large or not finite numbers")
    return cloud


def _draw_from_surface(triangles: Floats, points: int, generator: np.random.Generator) -> Floats:
    """Draw points uniformly from triangles (F, 3, 3): Osada et al., Shape Distributions (2002), section 3.2."""
    first, second, third = (triangles[:, corner] for corner in range(3))
    areas = np.linalg.norm(np.cross(second - first, third - first), axis=1) / 2
    ends = np.cumsum(areas)
    if not np.isfinite(triangles).all() or not np.isfinite(ends[-1]):
        raise InputError("the mesh has coordinates that are too large or not finite numbers")
    if ends[-1] <= 0:
        raise InputError("the mesh has no surface: the area of its faces is 0")
    chosen = np.searchsorted(ends, generator.random(points) * ends[-1], side="right")
    # Rounding may carry the largest draw past the end; the last face with an area is where it belongs.
    chosen = np.minimum(chosen, np.searchsorted(ends, ends[-1]))
    root, along = np.sqrt(generator.random((points, 1))), generator.random((points, 1))
    drawn: Floats = (1 - root) * first[chosen] + root * (1 - along) * second[chosen] + root * along * third[chosen]
    return drawn


def _draw_vertices(vertices: Floats, points: int, generator: np.random.Generator) -> Floats:
    if not np.isfinite(vertices).all():
        raise InputError("the point cloud has coordinates that are not finite numbers")
    return vertices[generator.choice(len(vertices), points, replace=len(vertices) < points)]


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
