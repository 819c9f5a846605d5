"""Vertices and triangles of mesh files, read by trimesh's parsers once the file was found harmless.

Text is brought into the plainest form of its format first: trimesh reads the header of an OFF file with comments twice,
OBJ with tabs or indented not at all, and its time and memory grow with the groups and materials of an OBJ file.
"""

import io
import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from trimesh.exchange.obj import load_obj
from trimesh.exchange.off import load_off
from trimesh.exchange.ply import load_ply
from trimesh.exchange.stl import load_stl

from embedtune.errors import InputError
from embedtune.media.limits import MeshLimits

Mesh = tuple[npt.NDArray[np.float64], npt.NDArray[np.int64] | None]
"""Vertices (V, 3), and triangles (F, 3) as indices of vertices, or None for a point cloud."""

_LINE_BREAKS = tuple(sign.encode() for sign in "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
"""Everything that `str.splitlines` splits at."""

_OFF_HEADER = re.compile(r"\s*(?:ST)?C?N?OFF\s*(\d{1,12})\s+(\d{1,12})\b")
_PLY_HEADER_BYTES = 1 << 16
_PLY_HEADER_LINES = 1000
_LINE_CHARACTERS = 64 << 10
_LONG_LINE = re.compile(rf"[^\n]{{{_LINE_CHARACTERS + 1}}}")
_STL_HEADER_BYTES = 84
_STL_FACE_BYTES = 50
_MAX_SOLIDS = 1000


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


def _parse_off(data: bytes, limits: MeshLimits) -> list[Part]:
    text = re.sub(r"#[^\n]*", "", _text(data, limits))
    header = _OFF_HEADER.match(text)
    if header is None:
        raise InputError("the mesh does not begin like an OFF file in text form")
    vertices, faces = int(header[1]), int(header[2])
    check_counts(vertices, faces, limits)
    lines = [line for line in text[header.end() :].splitlines()[1:] if line and not line.isspace()]
    if len(lines) < vertices + faces:
        raise InputError(f"the mesh is cut short: {len(lines)} lines instead of {vertices} vertices and {faces} faces")
    if faces:
        _check_last_face(lines[vertices + faces - 1])
    plain = "\n".join(["OFF", f"{vertices} {faces} 0", *lines])
    return [_part(load_off(io.StringIO(plain)))]


def _parse_obj(data: bytes, limits: MeshLimits) -> list[Part]:
    text = _text(data, limits).replace("\\\r\n", " ").replace("\\\n", " ")
    _check_line_lengths(text)
    vertices: list[str] = []
    faces: list[str] = []
    for line in text.splitlines():
        cells = line.split()
        if cells and cells[0] == "v":
            vertices.append(" ".join(cells[:4]))
        elif cells and cells[0] == "f":
            faces.append(" ".join(["f", *(_obj_corner(cell, len(vertices)) for cell in cells[1:])]))
    check_counts(len(vertices), len(faces), limits)
    parsed = load_obj(io.StringIO("\n".join(vertices + faces)), skip_materials=True)
    return _several(parsed)


def _obj_corner(cell: str, vertices: int) -> str:
    """Return a corner's vertex, counted from the first one: negative numbers count back from the last one so far."""
    number = int(cell.partition("/")[0])
    number = number if number > 0 else vertices + 1 + number
    if number < 1:
        raise InputError("the mesh has a face with a corner that is no vertex")
    return str(number)


def _parse_stl(data: bytes, limits: MeshLimits) -> list[Part]:
    stated = int.from_bytes(data[_STL_HEADER_BYTES - 4 : _STL_HEADER_BYTES], "little")
    if len(data) == _STL_HEADER_BYTES + stated * _STL_FACE_BYTES:
        check_counts(3 * stated, stated, limits)
    else:
        if data.lstrip()[:5].lower() != b"solid":
            raise InputError("the mesh is cut short, or not an STL file")
        text = _text(data, limits).lower()
        check_counts(text.count("vertex"), text.count("endfacet"), limits)
        if text.count("endsolid") > _MAX_SOLIDS:
            raise InputError(f"the mesh has more than {_MAX_SOLIDS} solids")
    return _several(load_stl(io.BytesIO(data)))


def _parse_ply(data: bytes, limits: MeshLimits) -> list[Part]:
    header, separator, _ = data[:_PLY_HEADER_BYTES].partition(b"end_header")
    lines = [line.split() for line in header.decode("ascii", errors="replace").splitlines()]
    if not separator or len(lines) > _PLY_HEADER_LINES:
        raise InputError("the mesh has no PLY header of a reasonable size")
    elements = {cells[1]: int(cells[2]) for cells in lines if len(cells) == 3 and "element" in cells[0]}
    if "tristrips" in elements:
        raise InputError("the mesh is a PLY file of triangle strips, which are not read; save it with faces")
    check_counts(elements.get("vertex", 0), elements.get("face", 0), limits)
    check_counts(sum(elements.values()), 0, limits)
    if any(cells[:2] == ["format", "ascii"] for cells in lines):
        body = _text(data, limits)[len(header) :].splitlines()[1:]
        if not 0 <= len(body) - sum(elements.values()) <= _PLY_HEADER_LINES:
            raise InputError(f"the mesh has {len(body)} lines instead of {sum(elements.values())}")
        if elements.get("face") and _ends_with_faces(lines):
            _check_last_face(body[sum(elements.values()) - 1])
    parsed = load_ply(io.BytesIO(data), skip_materials=True)
    return [_part(parsed)] if "vertices" in parsed else []


def _ends_with_faces(header: list[list[str]]) -> bool:
    """Whether the last element of a PLY header is that of the faces, with their corners first."""
    starts = [number for number, cells in enumerate(header) if cells[:1] == ["element"]]
    return header[starts[-1]][1:2] == ["face"] and header[starts[-1] + 1][:2] == ["property", "list"]


def _check_last_face(line: str) -> None:
    """Check that the last face has as many corners as it says: trimesh leaves out one that was cut off."""
    cells = line.split()
    if not cells or len(cells) <= int(cells[0]):
        raise InputError("the mesh is cut short within its last face")


def _text(data: bytes, limits: MeshLimits) -> str:
    most = 2 * (limits.max_vertices + limits.max_faces)
    if sum(data.count(line_break) for line_break in _LINE_BREAKS) > most:
        raise InputError(f"the mesh has more than {most} lines")
    text = data.decode("utf-8", errors="replace")
    _check_line_lengths(text)
    return text


def _check_line_lengths(text: str) -> None:
    """Refuse a face of millions of corners, whose numbers as objects of Python would take gigabytes."""
    if _LONG_LINE.search(text):
        raise InputError(f"the mesh has a line of more than {_LINE_CHARACTERS} characters")


def _several(parsed: dict[str, object]) -> list[Part]:
    geometry = parsed.get("geometry")
    if isinstance(geometry, dict):
        return [_part(entry) for entry in geometry.values()]
    return [_part(parsed)]


def _part(parsed: dict[str, object]) -> Part:
    faces = parsed.get("faces")
    return Part(
        np.asarray(parsed["vertices"], dtype=np.float64),
        np.zeros((0, 3), np.int64) if faces is None else _triangles(np.asarray(faces)),
    )


def _triangles(faces: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Cut faces of n corners each, (F, n), into fans of triangles, (F * (n - 2), 3)."""
    if faces.size == 0:
        return np.zeros((0, 3), np.int64)
    corners = range(1, faces.shape[1] - 1)
    return np.stack([faces[:, [0, corner, corner + 1]] for corner in corners], axis=1).reshape(-1, 3)


PARSERS = {".off": _parse_off, ".obj": _parse_obj, ".stl": _parse_stl, ".ply": _parse_ply}
"""What reads each kind; it may raise any of MALFORMED."""
