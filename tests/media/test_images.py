import io
import random
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile

from embedtune.errors import InputError
from embedtune.media.images import IMAGE_FORMATS, read_image
from embedtune.media.limits import ImageLimits

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def encode(image, image_format="PNG", **options):
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def decode(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def pixels(data):
    image = decode(data)
    assert (image.format, image.mode) == ("PNG", "RGB")
    return np.asarray(image).tolist()


def two_pixels(mode="RGB", left=RED, right=BLUE):
    image = Image.new(mode, (2, 1))
    image.putpixel((0, 0), left)
    image.putpixel((1, 0), right)
    return image


def noise(width=40, height=30):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_plain_file_is_kept_as_it_is(image_format):
    data = encode(noise(), image_format, exif=exif(1))
    assert read_image(data) is data


@pytest.mark.parametrize("image_format", ["BMP", "GIF", "TIFF", "WEBP", "PNG"])
def test_other_formats_become_png_with_the_same_pixels(image_format):
    options = {"lossless": True} if image_format == "WEBP" else {}
    assert pixels(read_image(encode(two_pixels(), image_format, **options))) == [[list(RED), list(BLUE)]]


def test_the_formats_that_are_read():
    assert IMAGE_FORMATS == ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF")


@pytest.mark.parametrize("image_format", ["ICO", "PPM", "TGA", "PCX", "EPS", "PDF"])
def test_no_other_reader_of_pillow_is_asked(image_format):
    with pytest.raises(InputError, match=r"not a sound image of a known format \(JPEG, PNG, GIF, BMP, WEBP, TIFF\)"):
        read_image(encode(noise(32, 32), image_format))


# What the EXIF standard says the pixels 1 2 / 3 4 stand for.
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (2, [[2, 1], [4, 3]]),
        (3, [[4, 3], [2, 1]]),
        (4, [[3, 4], [1, 2]]),
        (5, [[1, 3], [2, 4]]),
        (6, [[3, 1], [4, 2]]),
        (7, [[4, 2], [3, 1]]),
        (8, [[2, 4], [1, 3]]),
    ],
)
@pytest.mark.parametrize("image_format", ["PNG", "TIFF", "WEBP"])
def test_exif_orientation(image_format, orientation, upright):
    stored = np.array([[1, 2], [3, 4]], dtype=np.uint8).repeat(3).reshape(2, 2, 3) * 10
    options = {"lossless": True} if image_format == "WEBP" else {}
    data = read_image(encode(Image.fromarray(stored), image_format, exif=exif(orientation), **options))
    assert np.array_equal(np.asarray(decode(data))[..., 0] // 10, upright)
    assert not decode(data).getexif()


def test_a_rotated_jpeg_is_upright_and_loses_nothing_more():
    data = encode(noise(), "JPEG", exif=exif(6))
    stored = read_image(data)
    assert np.array_equal(pixels(stored), np.rot90(np.asarray(decode(data)), -1))


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_does_not_exist_counts_as_upright(value):
    data = encode(noise(), "JPEG", exif=exif(value))
    assert read_image(data) is data


def test_exif_that_cannot_be_read_counts_as_upright():
    data = encode(noise(), "JPEG", exif=b"Exif\0\0nonsense")
    assert read_image(data) is data


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (two_pixels("L", 0, 200), [0, 200]),
        (two_pixels("1", 0, 1), [0, 255]),
        (two_pixels("I;16", 0, 65535), [0, 255]),
        (two_pixels("I;16", 257 * 7, 257 * 8 - 1), [7, 8]),
    ],
)
def test_grey_becomes_rgb(image, expected):
    assert pixels(read_image(encode(image))) == [[[level] * 3 for level in expected]]


def test_sixteen_bits_per_channel_become_eight():
    rows = b"\0" + struct.pack(">6H", 65535, 0, 0, 0, 0, 65535)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    data = png((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    assert pixels(read_image(data)) == [[list(RED), list(BLUE)]]


def test_the_transparent_colour_of_sixteen_bit_grey():
    rows = b"\0" + struct.pack(">2H", 0, 1000)
    header = struct.pack(">IIBBBBB", 2, 1, 16, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"tRNS", struct.pack(">H", 1000)), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    assert pixels(read_image(png(*chunks))) == [[[0] * 3, [255] * 3]]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_of_unknown_range_are_refused(mode):
    with pytest.raises(InputError, match=f"samples of 32 bits .Pillow's mode {mode}., whose range is unknown"):
        read_image(encode(Image.new(mode, (2, 2)), "TIFF"))


def test_palette_and_cmyk():
    assert pixels(read_image(encode(two_pixels().quantize(2)))) == [[list(RED), list(BLUE)]]
    cmyk = two_pixels("CMYK", (0, 255, 255, 0), (255, 255, 0, 0))
    assert pixels(read_image(encode(cmyk, "TIFF"))) == [[list(RED), list(BLUE)]]
    assert decode(read_image(encode(cmyk, "JPEG"))).mode == "RGB"


def test_transparency_is_laid_on_white():
    half = two_pixels("RGBA", (*RED, 255), (0, 0, 0, 0))
    assert pixels(read_image(encode(half))) == [[list(RED), list(WHITE)]]
    assert pixels(read_image(encode(two_pixels("LA", (9, 255), (9, 0))))) == [[[9] * 3, list(WHITE)]]
    assert pixels(read_image(encode(two_pixels(), transparency=BLUE))) == [[list(RED), list(WHITE)]]
    palette = two_pixels().quantize(2)
    blue = palette.getpixel((1, 0))
    assert pixels(read_image(encode(palette, transparency=blue))) == [[list(RED), list(WHITE)]]


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_of_several_frames(image_format):
    options = {"lossless": True} if image_format == "WEBP" else {}
    second = two_pixels(left=BLUE, right=RED)
    data = encode(two_pixels(), image_format, save_all=True, append_images=[second], **options)
    assert decode(data).n_frames == 2
    assert pixels(read_image(data)) == [[list(RED), list(BLUE)]]


def test_a_jpeg_with_further_pictures_behind_it_is_kept():
    data = encode(noise(), "MPO", save_all=True, append_images=[noise(8, 8)])
    assert decode(data).format == "MPO"
    assert read_image(data) is data


def test_metadata_are_left_out_of_what_is_written_anew():
    profile = b"not a profile of RGB"
    stored = decode(read_image(encode(two_pixels("L", 1, 2), icc_profile=profile, exif=exif(1), dpi=(300, 300))))
    assert not {"icc_profile", "exif", "dpi"} & set(stored.info)


def test_equal_data_give_equal_bytes():
    data = encode(noise(), "BMP")
    assert read_image(data) == read_image(bytes(data))


def test_what_was_written_is_kept_from_then_on():
    stored = read_image(encode(noise(), "BMP"))
    assert read_image(stored) is stored


@pytest.mark.parametrize("image_format", [*IMAGE_FORMATS])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_files_are_refused(image_format, share):
    data = encode(noise(), image_format)
    with pytest.raises(InputError):
        read_image(data[: int(len(data) * share)])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("data", [b"<html>not found</html>", b"\xff\xd8\xff", b"GIF89a", b"\0" * 1000, b"BM"])
def test_no_image_at_all(data):
    with pytest.raises(InputError, match="image") as error:
        read_image(data)
    assert "0x" not in str(error.value)


def test_limits():
    data = encode(noise(40, 30))
    with pytest.raises(InputError, match="is an empty file"):
        read_image(b"")
    with pytest.raises(InputError, match=f"has {len(data)} bytes; at most 100 are accepted"):
        read_image(data, ImageLimits(max_bytes=100))
    with pytest.raises(InputError, match="has 40 x 30 pixels; at most 1199 in all"):
        read_image(data, ImageLimits(max_pixels=1199))
    assert read_image(data, ImageLimits(max_bytes=len(data), max_pixels=1200)) is data


def png(*chunks):
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(("width", "height"), [(6_325, 6_325), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_by_their_header(width, height):
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    bomb = png((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b""))
    with pytest.raises(InputError, match="pixels"):
        read_image(bomb)


@pytest.mark.filterwarnings("ignore")
def test_damage_anywhere_is_an_input_error_or_an_image():
    sources = [encode(noise(24, 18), image_format) for image_format in IMAGE_FORMATS]
    sources.append(encode(noise(24, 18), "JPEG", exif=exif(6)))
    generator = random.Random(0)
    for _ in range(1500):
        data = bytearray(generator.choice(sources))
        for _ in range(generator.randrange(1, 6)):
            data[generator.randrange(min(len(data), 400))] = generator.randrange(256)
        try:
            stored = read_image(bytes(data))
        except InputError:
            continue
        assert decode(stored).mode == "RGB"


def test_a_damaged_jpeg_is_judged_as_by_decoding_all_of_its_pixels() -> None:
    """Sound ones are decoded to an eighth of their size only."""
    draw = random.Random(5)
    pixels = Image.effect_noise((96, 64), 60).convert("RGB")
    file = io.BytesIO()
    pixels.save(file, format="JPEG", quality=85)
    sound, verdicts = file.getvalue(), set()
    for _ in range(150):
        data = bytearray(sound)
        start = draw.randrange(len(data))
        del data[start : start + draw.choice((0, 1, 40, len(data)))]
        data[draw.randrange(len(data) // 2)] = draw.randrange(256)
        try:
            with Image.open(io.BytesIO(bytes(data))) as image:
                image.load()
            expected = True
        except (OSError, SyntaxError, ValueError, IndexError, struct.error):
            expected = False
        try:
            read_image(bytes(data))
            found = True
        except InputError:
            found = False
        assert found == expected
        verdicts.add(found)
    assert verdicts == {True, False}


def test_a_jpeg_of_very_many_scans_is_refused_before_it_is_decoded() -> None:
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).convert("RGB").save(file, format="JPEG", progressive=True)
    data = file.getvalue()
    last = data.rindex(b"\xff\xda")
    assert read_image(data) == data
    with pytest.raises(InputError, match="more than 100 scans"):
        read_image(data[:last] + data[last:-2] * 120 + data[-2:])
