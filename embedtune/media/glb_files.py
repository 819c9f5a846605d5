"""Meshes of binary glTF files (glTF 2.0 specification, Khronos Group), as far as they are triangles."""

import io
import json
import re
import struct
from collections.abc import Iterable
from typing import Any

import numpy as np
from trimesh.exchange.gltf import load_glb

from embedtune.errors import InputError
from embedtune.media.limits import MeshLimits
from embedtune.media.mesh_files import Part, check_counts

_MAGIC, _VERSION, _JSON, _BIN = b"glTF", 2, b"JSON", b"BIN\0"
_MAX_HEADER_BYTES = 16 << 20
_MAX_CHUNKS = 16
_MAX_PRIMITIVES = 10_000
_MAX_NODES = 50_000
_HARMLESS = re.compile(r"KHR_mesh_quantization|KHR_lights_\w+|(?:KHR|EXT)_(?:materials|texture)_\w+")
"""Extensions that a file may require: those that do not change where its triangles are, or that trimesh reads."""

_KEPT = {
    "buffers": ("byteLength", "uri"),
    "bufferViews": ("buffer", "byteOffset", "byteLength", "byteStride"),
    "accessors": ("bufferView", "byteOffset", "componentType", "count", "type"),
    "nodes": ("children", "mesh", "matrix", "translation", "rotation", "scale"),
}
"""What trimesh is given of the header; anything else there, such as colours, would only be copied."""

Header = dict[str, Any]


def parse_glb(data: bytes, limits: MeshLimits) -> list[Part]:
    """Read the triangles of a GLB file's scene, each mesh wherever a node places it.

    Lines, points and triangle fans are left out, as trimesh does. The limits are on the vertices and faces of all
    placed meshes together.

    Raises:
        InputError: above the limits, cut short, referring to other files, or in need of an extension.
        Exception: any of MALFORMED for other damage.
    """
    header, chunks = _chunks(data)
    _check_extensions(header)
    plain = _plain(header)
    _check_buffers(plain, len(data), limits)
    _check_nodes(plain["nodes"], plain["scenes"][0]["nodes"])
    _check_placed(plain, limits)
    parsed = load_glb(io.BytesIO(_packed(plain, chunks)), skip_materials=True)
    return _placed(parsed)


def _chunks(data: bytes) -> tuple[Header, list[bytes]]:
    magic, version, length = struct.unpack_from("<4sII", data)
    if magic != _MAGIC or version != _VERSION:
        raise InputError("the mesh does not begin like a GLB file of version 2")
    if length != len(data):
        raise InputError(f"the mesh is cut short: {len(data)} bytes instead of {length}")
    found: list[tuple[bytes, bytes]] = []
    start = 12
    while start < len(data):
        size, kind = struct.unpack_from("<I4s", data, start)
        found.append((kind, data[start + 8 : start + 8 + size]))
        if len(found) > _MAX_CHUNKS or len(found[-1][1]) != size:
            raise InputError("the mesh has chunks that are cut short or too many")
        start += 8 + size
    if not found or found[0][0] != _JSON or len(found[0][1]) > _MAX_HEADER_BYTES:
        raise InputError(f"the mesh has no JSON header of at most {_MAX_HEADER_BYTES} bytes")
    header = json.loads(found[0][1])
    if not isinstance(header, dict):
        raise InputError("the mesh's header is no JSON object")
    return header, [content for kind, content in found[1:] if kind == _BIN]


def _check_extensions(header: Header) -> None:
    for name in header.get("extensionsRequired", []):
        if not _HARMLESS.fullmatch(str(name)):
            raise InputError(f"the mesh requires the glTF extension {name}, which is not read; save it without")
    if any("sparse" in accessor for accessor in header.get("accessors", [])):
        raise InputError("the mesh has sparse accessors, which are not read; save it without")
    for buffer in header.get("buffers", []):
        if not str(buffer.get("uri", "data:")).startswith("data:"):
            raise InputError("the mesh keeps its data in another file, which is not read; save it as one GLB file")


def _plain(header: Header) -> Header:
    plain: Header = {name: [_only(entry, keys) for entry in header.get(name, [])] for name, keys in _KEPT.items()}
    plain["meshes"] = [
        {"primitives": [_plain_primitive(primitive) for primitive in mesh["primitives"]]}
        for mesh in header.get("meshes", [])
    ]
    if header.get("scenes"):
        roots = header["scenes"][_whole(header.get("scene", 0), "scene")].get("nodes", [])
    else:
        children = {child for node in plain["nodes"] for child in node.get("children", [])}
        roots = [number for number in range(len(plain["nodes"])) if number not in children]
    plain["scenes"] = [{"nodes": roots}]
    return plain


def _plain_primitive(primitive: Header) -> Header:
    position = {"attributes": {"POSITION": _whole(primitive["attributes"]["POSITION"], "POSITION")}}
    return _only(primitive, ("indices", "mode")) | position


def _only(entry: Header, keys: Iterable[str]) -> Header:
    return {key: entry[key] for key in keys if key in entry}


def _whole(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InputError(f"the mesh's header holds a wrong {what}")
    return value


def _check_buffers(header: Header, size: int, limits: MeshLimits) -> None:
    """Check numbers that say how much memory will be taken or where in it is read."""
    for view in header["bufferViews"]:
        _whole(view["buffer"], "buffer")
        _whole(view.get("byteOffset", 0), "byteOffset")
        if _whole(view.get("byteStride", 1), "byteStride") == 0:
            raise InputError("the mesh's header holds a wrong byteStride")
    # Views may overlap, but each is copied; honest files use every byte about once.
    if sum(_whole(view["byteLength"], "byteLength") for view in header["bufferViews"]) > 2 * size:
        raise InputError("the mesh's header uses the same data too often")
    for accessor in header["accessors"]:
        _whole(accessor.get("byteOffset", 0), "byteOffset")
        if "bufferView" not in accessor:
            raise InputError("the mesh's header holds an accessor without data")
        _whole(accessor["bufferView"], "bufferView")
    # Positions, normals, tangents, colours, two textures, joints and weights of every vertex; three indices a face.
    most = 8 * limits.max_vertices + 3 * limits.max_faces
    if sum(_whole(accessor["count"], "count") for accessor in header["accessors"]) > most:
        raise InputError(f"the mesh's header counts more than {most} values")


def _check_nodes(nodes: list[Header], roots: list[int]) -> None:
    """Check that the nodes are trees, as section 3.5.2 of the specification says, so that none is met twice."""
    if len(nodes) > _MAX_NODES:
        raise InputError(f"the mesh has {len(nodes)} nodes; at most {_MAX_NODES} are accepted")
    named = [*roots, *(child for node in nodes for child in node.get("children", []))]
    if any(_whole(number, "node") >= len(nodes) for number in named) or len(set(named)) != len(named):
        raise InputError("the mesh's nodes are not trees")


def _check_placed(header: Header, limits: MeshLimits) -> None:
    """Count the corners of all faces, once for each mesh and once for each node that places it."""
    counts = [accessor["count"] for accessor in header["accessors"]]
    corners = []
    for mesh in header["meshes"]:
        sources = [entry.get("indices", entry["attributes"]["POSITION"]) for entry in mesh["primitives"]]
        corners.append(sum(counts[_whole(source, "accessor")] for source in sources))
    placed = [corners[_whole(node["mesh"], "mesh")] for node in header["nodes"] if "mesh" in node]
    check_counts(0, max(sum(corners), sum(placed)) // 3, limits)
    primitives = [len(mesh["primitives"]) for mesh in header["meshes"]]
    copies = [primitives[node["mesh"]] for node in header["nodes"] if "mesh" in node]
    if max(sum(primitives), sum(copies)) > _MAX_PRIMITIVES:
        raise InputError(f"the mesh has more than {_MAX_PRIMITIVES} parts")


def _packed(header: Header, chunks: list[bytes]) -> bytes:
    text = json.dumps(header).encode()
    body = struct.pack("<I4s", len(text), _JSON) + text
    body += b"".join(struct.pack("<I4s", len(chunk), _BIN) + chunk for chunk in chunks)
    return struct.pack("<4sII", _MAGIC, _VERSION, 12 + len(body)) + body


def _placed(parsed: Header) -> list[Part]:
    """Put every mesh where its nodes place it; parents come before their children in the graph."""
    frames = {parsed["base_frame"]: np.eye(4)}
    parts = []
    for edge in parsed["graph"]:
        matrix = frames[edge["frame_from"]] @ edge["matrix"]
        frames[edge["frame_to"]] = matrix
        geometry = parsed["geometry"].get(edge.get("geometry"))
        if geometry is not None and "faces" in geometry:
            faces = np.asarray(geometry["faces"], dtype=np.int64).reshape(-1, 3)
            vertices, faces = _used(np.asarray(geometry["vertices"], dtype=np.float64), faces)
            parts.append(Part(vertices @ matrix[:3, :3].T + matrix[:3, 3], faces))
    return parts


def _used(vertices: Any, faces: Any) -> tuple[Any, Any]:
    """Keep only the vertices of these faces: many parts may share one long list of vertices."""
    used, positions = np.unique(faces, return_inverse=True)
    return vertices[used], positions.reshape(-1, 3)
