"""A small synthetic set of meshes, laid out like ModelNet: `box/train/box_0001.off`, `box/test/box_0021.off`."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.errors import ConfigError
from embedtune.progress import progress
from embedtune.samples.matches import check_seed
from embedtune.samples.writing import new_folder

if TYPE_CHECKING:
    import trimesh

CLASSES = ("box", "sphere", "cylinder", "cone", "torus", "tube")
"""Folders of the set."""

_MOST_PER_CLASS = 9999
_SECTIONS = 24


def write_meshes(output: Path, num_train: int, num_test: int, seed: int) -> int:
    """Write meshes of six classes, each with random proportions, size and orientation.

    A mesh depends on the seed, its class and its number only, so that a larger set holds the smaller one's training
    meshes.

    Args:
        output: Folder to make; it must not exist or be empty.
        num_train: Training meshes per class, at least 1.
        num_test: Test meshes per class.
        seed: Equal seeds give equal files.

    Returns:
        The number of meshes.

    Raises:
        ConfigError: a number is out of range.
        StorageError: the folder is not empty or cannot be written.
    """
    from trimesh.exchange.off import export_off

    if num_train < 1 or num_test < 0 or num_train + num_test > _MOST_PER_CLASS:
        raise ConfigError(
            f"{num_train} training and {num_test} test meshes per class are asked for; at least 1 training mesh and "
            f"at most {_MOST_PER_CLASS} in all are accepted."
        )
    check_seed(seed)
    total = len(CLASSES) * (num_train + num_test)
    with new_folder(output) as folder, progress("Writing meshes", total, "meshes") as advance:
        for place, name in enumerate(CLASSES):
            for number in range(1, num_train + num_test + 1):
                path = folder / name / ("train" if number <= num_train else "test") / f"{name}_{number:04}.off"
                path.parent.mkdir(parents=True, exist_ok=True)
                mesh = make_mesh(name, np.random.default_rng([seed, place, number]))
                path.write_text(export_off(mesh), encoding="ascii")
                advance(1)
    return total


def make_mesh(name: str, generator: np.random.Generator) -> "trimesh.Trimesh":
    """Return a closed mesh of a class (one of CLASSES), turned at random, the middle of its bounds at the origin."""
    from trimesh.transformations import random_rotation_matrix

    mesh = _upright(name, generator)
    mesh.apply_transform(random_rotation_matrix(generator.random(3)))
    mesh.apply_translation(-mesh.bounds.mean(axis=0))
    return mesh


def _upright(name: str, generator: np.random.Generator) -> "trimesh.Trimesh":
    from trimesh import Trimesh, creation

    mesh: Trimesh
    if name == "box":
        mesh = creation.box(generator.uniform(0.4, 2.0, 3))
    elif name == "sphere":
        mesh = creation.icosphere(subdivisions=2, radius=generator.uniform(0.4, 2.0))
        mesh.vertices *= generator.uniform(0.8, 1.2, 3)
    elif name == "cylinder":
        radius, height = generator.uniform((0.3, 1.0), (0.8, 2.5))
        mesh = creation.cylinder(radius, height, sections=_SECTIONS)
    elif name == "cone":
        radius, height = generator.uniform((0.4, 1.0), (0.8, 2.5))
        mesh = creation.cone(radius, height, sections=_SECTIONS)
    elif name == "torus":
        radius, share = generator.uniform((0.6, 0.15), (2.0, 0.4))
        mesh = creation.torus(radius, radius * share, major_sections=_SECTIONS, minor_sections=_SECTIONS // 2)
    else:
        radius, share, height = generator.uniform((0.5, 0.5, 0.6), (1.2, 0.8, 2.5))
        mesh = creation.annulus(radius * share, radius, height, sections=_SECTIONS)
    return mesh
