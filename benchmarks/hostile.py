"""What small hostile files do to the library alone, and with our check before it.

    python -m benchmarks.hostile

Each side is a process of its own, held below 8 GiB of address space: a Document of 16 million empty chunks, and meshes
that claim a hundred million vertices.
"""

import argparse
import io
import json
import resource
import struct
import subprocess
import sys
import time
from functools import partial

from benchmarks.memory import peak_mib

CLAIMED = 100_000_000
LIMIT_BYTES = 8 << 30


def _document_alone() -> str:
    from docarray.proto.docarray_pb2 import DocumentProto

    return f"{len(DocumentProto.FromString(_chunks()).chunks):,} chunks"


def _document_checked() -> str:
    from docarray.proto import docarray_pb2  # noqa: F401 - what both sides load

    from embedtune.records.docarrays.limits import check_parts

    check_parts(_chunks())
    return "accepted"


def _mesh_alone(form: str) -> str:
    import trimesh

    return str(trimesh.load(io.BytesIO(_mesh(form)), file_type=form))


def _mesh_checked(form: str) -> str:
    from embedtune.media.points import read_mesh

    return f"{len(read_mesh(_mesh(form), f'.{form}', 10, 0))} points"


def _chunks() -> bytes:
    return b"\x72\x00" * (16 << 20)


def _mesh(form: str) -> bytes:
    if form == "ply":
        head = (
            f"ply\nformat ascii 1.0\nelement vertex {CLAIMED}\nproperty float x\nproperty float y\nproperty float z\n"
        )
        faces = "element face 1\nproperty list uchar int vertex_indices\nend_header\n"
        return f"{head}{faces}0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n".encode()
    if form == "stl":
        return bytes(80) + struct.pack("<I", CLAIMED) + bytes(100)
    scene = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "scene": 0,
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [{"componentType": 5126, "count": CLAIMED, "type": "VEC3"}],
        "bufferViews": [],
        "buffers": [{"byteLength": 0}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    parts = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", 0, 0x004E4942)
    return b"glTF" + struct.pack("<II", 2, 12 + len(parts)) + parts


SIDES = {
    "document": (_document_alone, _document_checked),
    **{form: (partial(_mesh_alone, form), partial(_mesh_checked, form)) for form in ("ply", "stl", "glb")},
}


def measure(what: str, is_checked: bool) -> str:
    """Do one side in this process, and say what came of it."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))
    started = time.perf_counter()
    try:
        outcome = SIDES[what][is_checked]()
    except Exception as error:  # noqa: BLE001 - whatever the library raises is what is shown
        outcome = f"{type(error).__name__}: {error}"
    return f"{time.perf_counter() - started:6.2f} s  {peak_mib():7,.0f} MiB  {outcome[:70]}"


def main() -> None:
    """Print both sides of every file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", nargs=2, help=argparse.SUPPRESS)
    side = parser.parse_args().side
    if side is not None:
        print(measure(side[0], side[1] == "checked"))
        return
    for what in SIDES:
        for which in ("alone", "checked"):
            command = [sys.executable, "-m", "benchmarks.hostile", "--side", what, which]
            print(
                f"{what:9} {which:8}",
                subprocess.run(command, capture_output=True, text=True, check=True).stdout,
                end="",
            )


if __name__ == "__main__":
    main()
