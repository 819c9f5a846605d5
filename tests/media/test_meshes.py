import json
import random
import struct
import subprocess
import sys

import numpy as np
import pytest
import trimesh

from embedtune.errors import InputError
from embedtune.media.limits import MeshLimits
from embedtune.media.points import MESH_SUFFIXES, read_mesh
from embedtune.records.layouts import MEDIA_SUFFIXES, Modality

SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
OFF = b"OFF\n4 2 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n"
OBJ = b"v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3\nf 1 3 4\n"
PLY = (
    b"ply\nformat ascii 1.0\ncomment TextureFile /etc/passwd\nelement vertex 4\nproperty float x\nproperty float y\n"
    b"property float z\nelement face 2\nproperty list uchar int vertex_indices\nend_header\n"
    b"0 0 0\n1 0 0\n1 1 0\n0 1 0\n3 0 1 2\n3 0 2 3\n"
)


def exported(mesh, kind):
    data = mesh.export(file_type=kind)
    return data.encode() if isinstance(data, str) else data


def read(data, suffix, points=2048, seed=1, **limits):
    return read_mesh(data, suffix, points, seed, MeshLimits(**limits))


def refused(data, suffix, message, **limits):
    with pytest.raises(InputError, match=message):
        read(data, suffix, **limits)


def assert_fills_the_square(points):
    """Points on the unit square, evenly: each quarter has about a quarter of them."""
    assert np.all((points[:, :2] >= 0) & (points[:, :2] <= 1))
    assert np.all(points[:, 2] == 0)
    quarters = np.bincount((points[:, 0] > 0.5) * 2 + (points[:, 1] > 0.5), minlength=4)
    assert np.all(np.abs(quarters / len(points) - 0.25) < 0.05)


@pytest.mark.parametrize("kind", ["off", "obj", "stl", "stl_ascii", "ply", "glb"])
def test_every_format_reads_to_points_on_the_surface(kind):
    data = exported(trimesh.creation.box((2, 4, 6)), kind)
    points = read(data, f".{kind.partition('_')[0]}")
    assert (points.shape, points.dtype) == ((2048, 3), np.float32)
    scaled = np.abs(points) / (1, 2, 3)
    assert np.allclose(scaled.max(axis=1), 1)
    # Of the surface of 88, the two faces of 4 x 6 have 48.
    assert abs(np.mean(scaled[:, 0] > 0.9999) - 48 / 88) < 0.04


def test_the_same_suffixes_as_the_readers_of_addresses():
    assert set(MESH_SUFFIXES) == set(MEDIA_SUFFIXES[Modality.MESH])


def test_the_seed_and_the_file_alone_decide():
    first, again = read(OFF, ".off"), read(OFF, ".OFF")
    assert np.array_equal(first, again)
    assert not np.array_equal(first, read(OFF, ".off", seed=2))
    assert not np.array_equal(first, read(OFF + b"\n", ".off"))
    assert read(OFF, ".off", points=2).tolist() == [
        [0.30945268273353577, 0.4942629635334015, 0.0],
        [0.6361886858940125, 0.8045936822891235, 0.0],
    ]


def test_another_process_draws_the_same_points():
    code = (
        "import sys; from embedtune.media.points import read_mesh; "
        "sys.stdout.buffer.write(read_mesh(sys.stdin.buffer.read(), '.off', 2048, 1).tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=OFF, capture_output=True, check=True)
    assert done.stdout == read(OFF, ".off").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        OFF,
        OFF.replace(b"\n", b"\r\n"),
        OFF.replace(b"OFF\n4", b"OFF4"),
        b"# a comment\n" + OFF.replace(b"0 1 0\n", b"# another\n\n0 1 0  # and one more\n"),
        b"OFF\n4 1 0\n0 0 0\n1 0 0\n1 1 0\n0 1 0\n4 0 1 2 3\n",
        b"COFF\n4 1 0\n0 0 0 9 9 9 9\n1 0 0 9 9 9 9\n1 1 0 9 9 9 9\n0 1 0 9 9 9 9\n4 0 1 2 3 0.1 0.2 0.3\n",
    ],
)
def test_off_dialects(data):
    assert_fills_the_square(read(data, ".off"))


@pytest.mark.parametrize(
    "data",
    [
        OBJ,
        OBJ.replace(b"\n", b"\r\n"),
        OBJ.replace(b" ", b"\t"),
        b"mtllib /etc/passwd\no one\nusemtl a\n" + OBJ,
        OBJ.replace(b"f 1 2 3\nf 1 3 4", b"f 1 2 3 4"),
        OBJ.replace(b"f 1 2 3\nf 1 3 4", b"f 1 2 \\\n3 4"),
        OBJ.replace(b"f 1 2 3\nf 1 3 4", b"f 1/1/1 2/2/1 3/3/1\nf 1//1 3//1 4//1"),
        b"v 0 0 0\nv 1 0 0\nv 1 1 0\nf -3 -2 -1\nv 0 1 0\nf -4 -2 -1\n",
        OBJ.replace(b"f 1 2 3\nf 1 3 4", b"v 0 0.5 0\nf 1 2 3 4 5"),
    ],
)
def test_obj_dialects(data):
    assert_fills_the_square(read(data, ".obj"))


def test_ply_in_both_forms():
    square = trimesh.Trimesh(SQUARE, [[0, 1, 2], [0, 2, 3]], process=False)
    assert_fills_the_square(read(PLY, ".ply"))
    assert_fills_the_square(read(exported(square, "ply"), ".ply"))


def test_the_parts_of_a_scene_stand_where_its_nodes_place_them():
    scene = trimesh.Scene(base_frame="world")
    box = trimesh.creation.box()
    placed = trimesh.transformations.rotation_matrix(np.pi / 4, [0, 0, 1])
    placed[0, 3] = 9
    scene.add_geometry(box, node_name="first", geom_name="box")
    scene.add_geometry(box, node_name="second", geom_name="box", transform=placed)
    points = read(exported(scene, "glb"), ".glb", points=20_000)
    second = points[points[:, 0] > 4] - (9, 0, 0)
    assert abs(len(second) / len(points) - 0.5) < 0.02
    assert abs(np.abs(second[:, 0]).max() - np.sqrt(0.5)) < 0.02
    assert abs(np.abs(points[points[:, 0] < 4]).max() - 0.5) < 1e-6


def test_a_ply_file_without_faces_is_a_point_cloud():
    vertices = np.random.default_rng(0).random((50, 3)).astype(np.float32)
    data = exported(trimesh.PointCloud(vertices), "ply")
    known = {tuple(vertex) for vertex in vertices}
    few, many = read(data, ".ply", points=50), read(data, ".ply", points=200)
    assert {tuple(point) for point in few} == known
    assert many.shape == (200, 3)
    assert {tuple(point) for point in many} <= known
    refused(OBJ.partition(b"f")[0], ".obj", "has no faces")


@pytest.mark.parametrize(
    ("data", "suffix", "message"),
    [
        (b"", ".off", "an empty file"),
        (OFF, ".dae", r"ending is '.dae'; accepted are .off, .obj, .stl, .ply, .glb"),
        (b"hello", ".off", "does not begin like an OFF file"),
        (b"OFF BINARY\n", ".off", "does not begin like an OFF file"),
        (b"OFF\n0 0 0\n", ".off", "no vertices"),
        (b"OFF\n3 0 0\n0 0 0\n1 0 0\n1 1 0\n", ".off", "no faces"),
        (OFF[:-9], ".off", "cut short: 5 lines instead of 4 vertices and 2 faces"),
        (OFF[:-3], ".off", "cut short within its last face"),
        (OFF.replace(b"1 1 0", b"1 one 0"), ".off", "cannot be read as .off"),
        (OFF.replace(b"1 1 0", b"1 nan 0"), ".off", "not finite"),
        (OFF.replace(b"1 1 0", b"1 1e300 0"), ".off", "too large or not finite"),
        (OFF.replace(b"3 0 1 2", b"3 0 1 7"), ".off", "outside the range of its vertices"),
        (OFF.replace(b"0 1 0", b"0 0 0").replace(b"1 1 0", b"2 0 0"), ".off", "no surface"),
        (b"", ".obj", "an empty file"),
        (b"hello\n", ".obj", "no vertices"),
        (OBJ.replace(b"f 1 3 4", b"f 1 3 9"), ".obj", "cannot be read as .obj"),
        (OBJ.replace(b"f 1 3 4", b"f 1 3 -9"), ".obj", "a corner that is no vertex"),
        (OBJ.replace(b"f 1 3 4", b"f a b c"), ".obj", "cannot be read as .obj"),
        (PLY[:-6], ".ply", "cut short within its last face"),
        (PLY[:-16], ".ply", "has 4 lines instead of 6"),
        (PLY.replace(b"end_header", b""), ".ply", "no PLY header"),
        (PLY.replace(b"3 0 1 2", b"3 0 1 9"), ".ply", "a corner that is no vertex"),
        (PLY.replace(b"element face", b"element tristrips"), ".ply", "triangle strips"),
        (b"solid x\nendsolid x\n", ".stl", "no vertices|no faces"),
        (exported(trimesh.creation.box(), "stl")[:-1], ".stl", "cut short, or not an STL file"),
        (b"glTF", ".glb", "cannot be read as .glb"),
        (exported(trimesh.creation.box(), "glb")[:-4], ".glb", "cut short"),
    ],
)
def test_what_cannot_be_used(data, suffix, message):
    refused(data, suffix, message)


@pytest.mark.parametrize("kind", ["off", "obj", "stl", "stl_ascii", "ply", "glb"])
def test_limits(kind):
    data, suffix = exported(trimesh.creation.box(), kind), f".{kind.partition('_')[0]}"
    refused(data, suffix, "at most 10 are accepted", max_bytes=10)
    refused(data, suffix, "faces; at most 11 are accepted", max_faces=11)
    refused(data, suffix, "vertices; at most 7 are accepted|faces", max_vertices=7, max_faces=100)
    assert read(data, suffix, max_faces=12, max_vertices=36).shape == (2048, 3)


@pytest.mark.parametrize(
    ("data", "suffix"),
    [
        (b"OFF\n4000000 1 0\n", ".off"),
        (b"OFF\n999999999999 999999999999 0\n", ".off"),
        (PLY.replace(b"vertex 4", b"vertex 999999999999"), ".ply"),
        (PLY.replace(b"face 2", b"extra 999999999999"), ".ply"),
        (PLY.replace(b"vertex 4", b"vertex -4"), ".ply"),
        (bytes(80) + struct.pack("<I", 2**32 - 1) + bytes(50), ".stl"),
        (b"OFF\n4 2 0\n" + b"\n" * 9_000_000, ".off"),
        (b"solid\nendsolid\n" * 1001, ".stl"),
    ],
)
def test_headers_that_promise_too_much(data, suffix):
    with pytest.raises(InputError):
        read(data, suffix)


def glb(header, body=b""):
    text = json.dumps(header).encode()
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(body), b"BIN\0") + body
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def square_header():
    return {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": 60}],
        "bufferViews": [{"buffer": 0, "byteLength": 48}, {"buffer": 0, "byteOffset": 48, "byteLength": 12}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 6, "type": "SCALAR"},
        ],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "scene": 0,
    }


SQUARE_BODY = np.array(SQUARE, "<f4").tobytes() + np.array([0, 1, 2, 0, 2, 3], "<u2").tobytes()


def test_a_plain_glb():
    assert_fills_the_square(read(glb(square_header(), SQUARE_BODY), ".glb"))
    header = square_header()
    del header["scenes"], header["scene"]
    assert_fills_the_square(read(glb(header, SQUARE_BODY), ".glb"))


def test_what_a_glb_says_of_colours_is_not_looked_at():
    header = square_header()
    header |= {"images": [{"uri": "file:///etc/passwd"}], "materials": [{"name": 5}], "extensionsUsed": ["X"]}
    header["meshes"][0]["primitives"][0] |= {"material": 99, "extensions": {"KHR_draco_mesh_compression": 7}}
    assert_fills_the_square(read(glb(header, SQUARE_BODY), ".glb"))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("buffers", 0, "uri"), "/etc/passwd", "keeps its data in another file"),
        (("buffers", 0, "uri"), "http://localhost/data.bin", "keeps its data in another file"),
        (("extensionsRequired",), ["KHR_draco_mesh_compression"], "requires the glTF extension KHR_draco"),
        (("accessors", 0, "sparse"), {}, "sparse accessors"),
        (("accessors", 0, "count"), 10**12, "counts more than"),
        (("accessors", 0, "count"), -4, "wrong count"),
        (("accessors", 0, "count"), float("nan"), "wrong count"),
        (("accessors", 0, "count"), 5, "cannot be read as .glb"),
        (("accessors", 0, "byteOffset"), -12, "wrong byteOffset"),
        (("accessors", 1, "bufferView"), 7, "cannot be read as .glb"),
        (("bufferViews", 0, "byteLength"), 10**12, "uses the same data too often"),
        (("bufferViews", 0, "byteStride"), 0, "wrong byteStride"),
        (("bufferViews", 0, "byteStride"), -1, "wrong byteStride"),
        (("bufferViews", 0, "byteStride"), 10**18, "cannot be read as .glb"),
        (("bufferViews", 0, "byteOffset"), -1, "wrong byteOffset"),
        (("nodes", 0, "children"), [0], "are not trees"),
        (("nodes", 0, "children"), [-1], "wrong node"),
        (("nodes", 0, "matrix"), [float("nan")] * 16, "not finite"),
        (("nodes", 0, "mesh"), 9, "cannot be read as .glb"),
        (("nodes",), [{}] * 50_001, "has 50001 nodes"),
        (("meshes", 0, "primitives", 0, "attributes"), {}, "cannot be read as .glb: 'POSITION'"),
        (("meshes", 0, "primitives", 0, "mode"), 1, "no vertices"),
        (("scene",), 3, "cannot be read as .glb"),
    ],
)
def test_hostile_glb_headers(path, value, message):
    header = square_header()
    inner = header
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    refused(glb(header, SQUARE_BODY), ".glb", message)


def test_nodes_that_no_scene_holds_do_not_matter():
    header = square_header() | {"nodes": [{"mesh": 0}, {"children": [2]}, {"children": [1]}]}
    assert_fills_the_square(read(glb(header, SQUARE_BODY), ".glb"))


def test_a_mesh_placed_ten_thousand_times_counts_ten_thousand_times():
    header = square_header()
    header["nodes"] = [{"mesh": 0} for _ in range(10_000)]
    header["scenes"] = [{"nodes": list(range(10_000))}]
    refused(glb(header, SQUARE_BODY), ".glb", "20000 faces; at most 19999", max_faces=19_999)
    header["nodes"].append({"mesh": 0})
    refused(glb(header, SQUARE_BODY), ".glb", "more than 10000 parts")


def test_deep_json_and_many_chunks():
    text = b"[" * 200_000
    data = struct.pack("<I4s", len(text), b"JSON") + text
    refused(struct.pack("<4sII", b"glTF", 2, 12 + len(data)) + data, ".glb", "cannot be read as .glb")
    chunks = glb(square_header(), SQUARE_BODY)[12:] + struct.pack("<I4s", 0, b"BIN\0") * 50
    refused(
        struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks, ".glb", "chunks that are cut short or too many"
    )


def test_damage_anywhere_is_an_input_error_or_points():
    box = trimesh.creation.box()
    kinds = ["off", "obj", "stl", "stl_ascii", "ply", "glb"]
    sources = [(exported(box, kind), f".{kind.partition('_')[0]}") for kind in kinds] + [(PLY, ".ply")]
    generator = random.Random(0)
    for _ in range(1500):
        data, suffix = generator.choice(sources)
        broken = bytearray(data)
        for _ in range(generator.randrange(1, 6)):
            broken[generator.randrange(min(len(broken), 1200))] = generator.randrange(256)
        try:
            points = read(bytes(broken[: generator.choice([len(broken), generator.randrange(len(broken))])]), suffix)
        except InputError:
            continue
        assert np.isfinite(points).all()


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf " + b"1 2 3 " * 20_000),
        (".obj", b"v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3" + b" 1 2 3\\\n" * 20_000),
        (".off", b"OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n60000 " + b"0 1 2 " * 20_000),
    ],
)
def test_a_face_of_very_many_corners_is_refused(suffix: str, data: bytes) -> None:
    with pytest.raises(InputError, match="a line of more than 65536 characters"):
        read_mesh(data, suffix, 16, 0)
