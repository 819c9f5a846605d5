"""Data sets that are no files by themselves: folders of a folder for each class."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from embedtune.samples.fashion_mnist import FASHION_MNIST_CLASSES, read_idx
from embedtune.samples.meshes import CLASSES, make_mesh

if TYPE_CHECKING:
    import trimesh

_PER_SHAPE = 40
_SEED = 0


def write_fashion_mnist(source: Path | None, folder: Path) -> None:
    """Write the images of a folder with the four files of Fashion-MNIST; both parts, which a run splits anew."""
    if source is None:
        raise ValueError("Fashion-MNIST is made from files")
    for part in ("train", "t10k"):
        images = read_idx(source / f"{part}-images-idx3-ubyte.gz", 3)
        labels = read_idx(source / f"{part}-labels-idx1-ubyte.gz", 1)
        for number, (image, label) in enumerate(zip(images, labels, strict=True)):
            path = folder / FASHION_MNIST_CLASSES[label].replace("/", " or ") / f"{part}-{number:05}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)


def write_shapes(_: Path | None, folder: Path) -> None:
    """Write meshes of ten shapes with random proportions, each turned at random; the same ones each time."""
    from trimesh.exchange.off import export_off

    for place, name in enumerate((*CLASSES, *_FURTHER)):
        (folder / name).mkdir(parents=True)
        for number in range(_PER_SHAPE):
            mesh = _make(name, np.random.default_rng([_SEED, place, number]))
            (folder / name / f"{name}_{number:04}.off").write_text(export_off(mesh), encoding="ascii")


def _make(name: str, draw: np.random.Generator) -> "trimesh.Trimesh":
    from trimesh.transformations import random_rotation_matrix

    if name in CLASSES:
        return make_mesh(name, draw)
    mesh = _FURTHER[name](draw)
    mesh.apply_transform(random_rotation_matrix(draw.random(3)))
    return mesh


def _capsule(draw: np.random.Generator) -> "trimesh.Trimesh":
    from trimesh import creation

    return creation.capsule(height=draw.uniform(0.8, 2.5), radius=draw.uniform(0.3, 0.8))


def _pyramid(draw: np.random.Generator) -> "trimesh.Trimesh":
    from trimesh import creation

    return creation.cone(draw.uniform(0.5, 1.2), draw.uniform(0.8, 2.0), sections=4)


def _prism(draw: np.random.Generator) -> "trimesh.Trimesh":
    from trimesh import creation

    return creation.cylinder(draw.uniform(0.5, 1.2), draw.uniform(0.5, 2.5), sections=3)


def _cross(draw: np.random.Generator) -> "trimesh.Trimesh":
    """Two beams at a right angle, one through the other's middle."""
    from trimesh import creation, util

    thick = draw.uniform(0.15, 0.4)
    beams = [creation.box((draw.uniform(1.0, 2.5), thick, thick)), creation.box((thick, draw.uniform(1.0, 2.5), thick))]
    return util.concatenate(beams)


_FURTHER: "dict[str, Callable[[np.random.Generator], trimesh.Trimesh]]" = {
    "capsule": _capsule,
    "pyramid": _pyramid,
    "prism": _prism,
    "cross": _cross,
}
