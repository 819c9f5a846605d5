"""The pieces of a mesh file, checked and joined."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedtune.errors import InputError
from embedtune.media.limits import MeshLimits

Mesh = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64] | None]
"""Vertices (V, 3), and triangles (F, 3) as indices of vertices, or None for a point cloud."""


class Part(NamedTuple):
    """One of the meshes of a file."""

    vertices: npt.NDArray[np.float64]
    """Corners, (V, 3)."""
    faces: npt.NDArray[np.int64]
    """Triangles as indices of `vertices`, (F, 3)."""


def check_counts(vertices: int, faces: int, limits: MeshLimits) -> None:
    """Refuse counts, which a header states or were counted, that are above the limits or negative."""
    for count, what, most in ((vertices, "vertices", limits.max_vertices), (faces, "faces", limits.max_faces)):
        if not 0 <= count <= most:
            raise InputError(f"the mesh has {count} {what}; at most {most} are accepted")


def join_parts(parts: list[Part], limits: MeshLimits, points_allowed: bool) -> Mesh:
    """Join the parts of a file, whose faces were checked against nothing yet, into one mesh within limits.

    `points_allowed` says whether vertices without any face are accepted. An InputError says what is wrong.
    """
    check_counts(sum(len(part.vertices) for part in parts), sum(len(part.faces) for part in parts), limits)
    vertices = np.vstack([np.zeros((0, 3)), *(part.vertices for part in parts)])
    if len(vertices) == 0:
        raise InputError("the mesh has no vertices")
    shifted = []
    start = 0
    for part in parts:
        if part.faces.size and not (part.faces.min() >= 0 and part.faces.max() < len(part.vertices)):
            raise InputError("the mesh has a face with a corner that is no vertex")
        shifted.append(part.faces + start)
        start += len(part.vertices)
    faces = np.vstack(shifted)
    if len(faces) == 0 and not points_allowed:
        raise InputError("the mesh has no faces")
    return vertices, faces if len(faces) else None
