"""Images as files and as tensors, checked and brought into one form. Imports Pillow, so import it where it is used."""

import io
import math

import numpy as np
import numpy.typing as npt
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from embedtune.errors import InputError
from embedtune.media.limits import DEFAULT_IMAGE_LIMITS, MALFORMED, ImageLimits, check_size

_PLUGINS = (
    JpegImagePlugin.JpegImageFile,
    PngImagePlugin.PngImageFile,
    GifImagePlugin.GifImageFile,
    BmpImagePlugin.BmpImageFile,
    WebPImagePlugin.WebPImageFile,
    TiffImagePlugin.TiffImageFile,
)
IMAGE_FORMATS = tuple(plugin.format for plugin in _PLUGINS)
"""What is read, by Pillow's names. Its other plugins are never asked, some of which start other programs."""

_JPEG_FORMATS = (JpegImagePlugin.JpegImageFile.format, MpoImagePlugin.MpoImageFile.format)
_ORIENTATION_TAG = 0x0112
_ORIENTATION_SOURCES = {"exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"}
"""Where among Pillow's facts of an image its `getexif` looks for an orientation."""

_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture of an EXIF orientation (EXIF 2.3, table 4.6.5) upright; `ImageOps.exif_transpose` also writes
the EXIF anew and fails where another field of it is broken."""

_JPEG_SCAN = b"\xff\xda"
_MOST_SCANS = 100
"""A progressive JPEG has about ten; each of them takes as long as the whole picture, however short it is."""

_PNG_BIT_DEPTH_OFFSET = 24
_UNKNOWN_RANGE = ("I", "F")
_CHANNELS = (1, 3, 4)
_WHITE = 255


def read_image(data: bytes, limits: ImageLimits = DEFAULT_IMAGE_LIMITS) -> bytes:
    """Verify an image by decoding it, and return it as a JPEG or PNG file in RGB of 8 bits.

    A JPEG or PNG that is one upright RGB picture of 8 bits without transparency is returned as it is, all of its
    metadata included: a place that a camera wrote into it stays there. Everything else is written anew as PNG, without
    further loss and without metadata:

    - The EXIF orientation is applied; one that cannot be read counts as upright.
    - Grey, palette, CMYK and YCbCr become RGB by Pillow's formulas; colour profiles are not applied.
    - Transparency is laid on white.
    - Of several frames or pages the first is taken; of the pictures of an MPO file, the JPEG that all readers see.
    - 16 bits per channel become 8, by dividing by 257. Integers of 32 bits and floating-point numbers, which only TIFF
      has, are refused since nobody can tell which of their values is white.

    Args:
        data: A JPEG, PNG, GIF, BMP, WEBP or TIFF file.
        limits: Checked before anything is decoded.

    Returns:
        The file to keep. Equal data give equal bytes (for one version of Pillow).

    Raises:
        InputError: not an image of these formats, damaged or cut short, or above the limits. The message is a short
            reason without the file's name.
    """
    return store_image(open_image(data, limits), data)[0]


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
    pixels = _channels_last(array)
    height, width = pixels.shape[:2]
    if height * width > DEFAULT_IMAGE_LIMITS.max_pixels:
        raise InputError(
            f"the image has {width} x {height} pixels; at most {DEFAULT_IMAGE_LIMITS.max_pixels} in all are accepted"
        )
    levels = _levels(pixels)
    return _encoded(Image.fromarray(levels if levels.shape[2] > 1 else levels[..., 0]))


def fit_image(data: bytes, side: int, paper: int) -> npt.NDArray[np.uint8] | None:
    """Draw an image as large as it fits into the middle of a square.

    Args:
        data: See `open_image`.
        side: Of the square, in pixels.
        paper: Grey around the image, 0..255.

    Returns:
        Colours (side, side, 3), or None where the image cannot be decoded.
    """
    try:
        image = open_image(data, DEFAULT_IMAGE_LIMITS)
        # A JPEG is decoded at an eighth to a half of its size where that is enough.
        image.draft("RGB", (2 * side, 2 * side))
        picture = image.convert("RGB")
    except (InputError, *MALFORMED):
        return None
    scale = side / max(picture.size)
    if scale > 1:
        # The pixels of a small image stay what they are; smoothed, it would look like a bad photo.
        factor = math.ceil(scale)
        picture = picture.resize((factor * picture.width, factor * picture.height), Image.Resampling.NEAREST)
        scale /= factor
    width, height = (max(1, round(length * scale)) for length in picture.size)
    fitted = picture.resize((width, height), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (side, side), (paper,) * 3)
    square.paste(fitted, ((side - width) // 2, (side - height) // 2))
    return np.asarray(square)


def open_image(data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    """Read an image's header; nothing is decoded. An InputError says that it is of no known format, or too large."""
    check_size("image", data, limits.max_bytes)
    try:
        image = Image.open(io.BytesIO(data), formats=IMAGE_FORMATS)
    except UnidentifiedImageError as error:
        accepted = ", ".join(IMAGE_FORMATS)
        raise InputError(f"the file is not a sound image of a known format ({accepted})") from error
    except Image.DecompressionBombError as error:
        raise InputError(f"the image has far more than the {limits.max_pixels} pixels that are accepted") from error
    except MALFORMED as error:
        raise InputError(f"the image's header is damaged: {_reason(error)}") from error
    if image.format in _JPEG_FORMATS and data.count(_JPEG_SCAN) > _MOST_SCANS:
        raise InputError(f"the image has more than {_MOST_SCANS} scans")
    width, height = image.size
    if width * height > limits.max_pixels:
        raise InputError(f"the image has {width} x {height} pixels; at most {limits.max_pixels} in all are accepted")
    return image


def store_image(image: ImageFile.ImageFile, data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Decode an image that `open_image` opened from `data`, and return the file to keep, its width and its height.

    See `read_image`; an InputError says that it is damaged or cut short.
    """
    size = image.size
    try:
        is_kept_jpeg = image.format in _JPEG_FORMATS and image.mode == "RGB" and _orientation(image) not in _TO_UPRIGHT
        if is_kept_jpeg:
            _draft(image)
        image.load()
        if is_kept_jpeg:
            return data, size
        to_upright = _TO_UPRIGHT.get(_orientation(image))
        if to_upright is None and _is_plain_png(image, data):
            return data, size
        upright = image if to_upright is None else image.transpose(to_upright)
        return _encoded(upright), upright.size
    except Image.DecompressionBombError as error:
        raise InputError("a frame of the image has far more pixels than accepted") from error
    except MALFORMED as error:
        raise InputError(f"the image cannot be decoded: {_reason(error)}") from error


def _draft(image: ImageFile.ImageFile) -> None:
    """Have a JPEG decoded to an eighth of its size, for its pixels are not needed to know that it is sound.

    All of its compressed data are read all the same, and only there can a JPEG be damaged; what is saved is the
    computation of the pixels from them, half of the time (https://libjpeg-turbo.org, `scale_denom`).
    """
    width, height = image.size
    image.draft(None, (max(1, width // 8), max(1, height // 8)))


def _orientation(image: Image.Image) -> int:
    # To ask Pillow takes a while; a TIFF it has turned upright itself.
    if not _ORIENTATION_SOURCES & image.info.keys():
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except MALFORMED:
        return 1


def _is_plain_png(image: ImageFile.ImageFile, data: bytes) -> bool:
    if image.mode != "RGB" or image.has_transparency_data:
        return False
    is_png = image.format == PngImagePlugin.PngImageFile.format
    return is_png and data[_PNG_BIT_DEPTH_OFFSET] == 8 and not getattr(image, "is_animated", False)


def _encoded(image: Image.Image) -> bytes:
    rgb = _to_rgb(image)
    # Pillow would write a colour profile and EXIF from here into the PNG, where they no longer fit the pixels.
    rgb.info = {}
    file = io.BytesIO()
    rgb.save(file, format="PNG")
    return file.getvalue()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        return _from_sixteen_bits(image)
    if image.mode in _UNKNOWN_RANGE:
        raise InputError(f"the image has samples of 32 bits (Pillow's mode {image.mode}), whose range is unknown")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _from_sixteen_bits(image: Image.Image) -> Image.Image:
    samples = np.asarray(image).astype(np.uint32)
    levels = ((samples + 128) // 257).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        levels[samples == transparent] = 255
    return Image.fromarray(levels).convert("RGB")


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


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
