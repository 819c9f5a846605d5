import numpy as np
import pytest
import trimesh

from embedtune.errors import ConfigError, StorageError
from embedtune.samples.meshes import CLASSES, make_mesh, write_meshes


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_laid_out_like_modelnet(tmp_path):
    assert write_meshes(tmp_path / "set", 2, 1, 0) == 18
    expected = {
        f"{name}/{part}_{n:04}.off".replace("_", f"/{name}_", 1)
        for name in CLASSES
        for part, n in (("train", 1), ("train", 2), ("test", 3))
    }
    assert set(files_in(tmp_path / "set")) == expected
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_files_are_closed_meshes_of_bounded_size(tmp_path):
    write_meshes(tmp_path / "set", 2, 0, 3)
    for path in (tmp_path / "set").rglob("*.off"):
        mesh = trimesh.load_mesh(path)
        assert mesh.is_watertight, path
        assert mesh.volume > 0.01
        assert len(mesh.faces) < 1000
        assert np.allclose(mesh.bounds.mean(axis=0), 0, atol=1e-6)
        assert mesh.extents.max() < 8


def test_without_test_meshes_there_is_no_test_folder(tmp_path):
    write_meshes(tmp_path / "set", 1, 0, 0)
    assert {path.name for path in (tmp_path / "set" / "box").iterdir()} == {"train"}


def test_seeded_and_a_larger_set_holds_the_smaller_ones_training_meshes(tmp_path):
    for name, train, test, seed in (("a", 2, 1, 1), ("b", 2, 1, 1), ("c", 3, 0, 1), ("d", 2, 1, 2)):
        write_meshes(tmp_path / name, train, test, seed)
    a, b, c, d = (files_in(tmp_path / name) for name in "abcd")
    assert a == b
    assert len(set(a.values())) == 18
    assert set(a.values()) == set(c.values())
    assert not set(a.values()) & set(d.values())


@pytest.mark.parametrize("name", CLASSES)
def test_shape_does_not_depend_on_orientation(name):
    """The volume over that of the convex hull is what sets tori and tubes apart, and turning does not change it."""
    shares = []
    for seed in range(5):
        mesh = make_mesh(name, np.random.default_rng(seed))
        shares.append(mesh.volume / mesh.convex_hull.volume)
    if name in ("torus", "tube"):
        assert max(shares) < 0.9
    else:
        assert min(shares) > 0.99


@pytest.mark.parametrize(("train", "test", "seed"), [(0, 5, 0), (-1, 5, 0), (1, -1, 0), (9999, 1, 0), (1, 1, -1)])
def test_numbers_out_of_range(train, test, seed, tmp_path):
    with pytest.raises(ConfigError):
        write_meshes(tmp_path / "set", train, test, seed)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(StorageError, match="exists and is not an empty folder"):
        write_meshes(tmp_path, 1, 1, 0)
    assert files_in(tmp_path) == {"mine.txt": b"mine"}


def test_interrupted_it_leaves_nothing(tmp_path, monkeypatch):
    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("embedtune.samples.meshes.make_mesh", broken)
    with pytest.raises(KeyboardInterrupt):
        write_meshes(tmp_path / "set", 1, 1, 0)
    assert list(tmp_path.iterdir()) == []
