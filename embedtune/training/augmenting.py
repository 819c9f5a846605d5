"""Light changes to images and meshes that do not change what they show. Imports no torch.

Each is drawn from the generator it is given, so the same seed gives the same pictures.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance

from embedtune.models.contents import Content

_CROP = 0.8
"""Least share of each side that a crop keeps: SimCLR's 0.08 of the area is made for training without labels."""
_COLOUR = 0.2
"""Largest relative change of brightness, contrast and saturation."""
_JITTER, _JITTER_BOUND = 0.01, 0.05
"""Standard deviation and bound of the noise of each coordinate, as in PointNet++ (Qi et al. 2017), unit sphere."""
_SCALE = (0.8, 1.25)
"""Bounds of the factor of size, as in PointNet++."""


@dataclass(frozen=True)
class Augmentation:
    """What is changed."""

    flip: bool = False
    """Images: left and right swapped, every other time."""
    crop: bool = False
    """Images: a part of at least 0.8 of each side."""
    colour: bool = False
    """Images: brightness, contrast and saturation changed by up to a fifth."""
    rotate: bool = False
    """Meshes: turned around a random axis by a random angle."""
    jitter: bool = False
    """Meshes: each point moved a little."""
    scale: bool = False
    """Meshes: made up to a quarter larger or a fifth smaller."""

    @property
    def any(self) -> bool:
        """Whether anything is changed."""
        return any((self.flip, self.crop, self.colour, self.rotate, self.jitter, self.scale))


def augmented(content: Content, augmentation: Augmentation, draw: np.random.Generator) -> Content:
    """Return a changed copy of an image or a mesh; a text as it is."""
    if isinstance(content, Image.Image):
        return _image(content, augmentation, draw)
    if "points" in content:
        return {"points": _points(content["points"], augmentation, draw)}
    return content


def _image(image: Image.Image, augmentation: Augmentation, draw: np.random.Generator) -> Image.Image:
    if augmentation.crop:
        width, height = (round(side * draw.uniform(_CROP, 1.0)) for side in image.size)
        left, top = (
            int(draw.integers(whole - part + 1)) for whole, part in zip(image.size, (width, height), strict=True)
        )
        image = image.crop((left, top, left + width, top + height))
    if augmentation.flip and draw.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if augmentation.colour:
        for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhancer(image).enhance(draw.uniform(1 - _COLOUR, 1 + _COLOUR))
    return image


def _points(
    points: npt.NDArray[np.float32], augmentation: Augmentation, draw: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Return points (N, 3), changed."""
    changed = points.astype(np.float64)
    if augmentation.rotate:
        changed = changed @ random_rotation(draw).T
    if augmentation.scale:
        changed = changed * draw.uniform(*_SCALE)
    if augmentation.jitter:
        noise = draw.normal(0.0, _JITTER, points.shape)
        changed = changed + np.clip(noise, -_JITTER_BOUND, _JITTER_BOUND) * np.abs(points).max(initial=0.0)
    return changed.astype(np.float32)


def random_rotation(draw: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a rotation (3, 3), uniform over all of them.

    Source: the QR decomposition of normal numbers, with the signs of R's diagonal (Mezzadri 2007,
    https://arxiv.org/abs/math-ph/0609050).
    """
    q, r = np.linalg.qr(draw.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    if np.linalg.det(q) < 0:
        q[:, 0] = -q[:, 0]
    return q
