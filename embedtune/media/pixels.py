"""Tensors of pixels as image files."""

import io

import numpy as np
import numpy.typing as npt

from embedtune.errors import InputError
from embedtune.media.limits import DEFAULT_IMAGE_LIMITS

_CHANNELS = (1, 3, 4)
_WHITE = 255


def encode_pixels(array: npt.NDArray[np.generic]) -> bytes:
    """Return pixels as a PNG file in RGB.

    Integers and floating-point numbers are levels from 0 to 255; where no floating-point number is above 1 they are
    from 0 to 1. Transparency is laid on white.

    Args:
        array: (height, width), (height, width, channels) or (channels, height, width) with 1, 3 or 4 channels: grey,
            RGB, or RGB with alpha.

    Raises:
        InputError: which dimension has the channels cannot be told, or the values are no levels.
    """
    from PIL import Image

    pixels = _channels_last(array)
    height, width = pixels.shape[:2]
    if height * width > DEFAULT_IMAGE_LIMITS.max_pixels:
        raise InputError(
            f"the image has {width} x {height} pixels; at most {DEFAULT_IMAGE_LIMITS.max_pixels} in all are accepted"
        )
    levels = _levels(pixels)
    image = Image.fromarray(levels if levels.shape[2] > 1 else levels[..., 0])
    if image.mode == "RGBA":
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    file = io.BytesIO()
    image.convert("RGB").save(file, format="PNG")
    return file.getvalue()


def _channels_last(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    if array.ndim == 2:
        return array[..., np.newaxis]
    if array.ndim != 3:
        raise InputError(f"an image has 2 or 3 dimensions, the tensor has the shape {array.shape}")
    first, last = array.shape[0] in _CHANNELS, array.shape[2] in _CHANNELS
    if first == last:
        problem = "could be the first or the last one" if first else f"is none of {array.shape}"
        raise InputError(f"the tensor's dimension with 1, 3 or 4 channels {problem}; give (height, width, 3)")
    return np.moveaxis(array, 0, 2) if first else array


def _levels(array: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array, np.uint8)
    numbers = array.astype(np.float64)
    if not np.isfinite(numbers).all() or numbers.min() < 0 or numbers.max() > _WHITE:
        raise InputError(
            "the tensor's values are no levels of pixels: from 0 to 255, or floating-point numbers from 0 to 1; give "
            "images that are not normalised"
        )
    if array.dtype.kind in "fb" and numbers.max() <= 1:
        numbers *= _WHITE
    return np.rint(numbers).astype(np.uint8)
