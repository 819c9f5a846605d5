"""Sprite sheets."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from embedtune.reports.sheets import MAX_SHEET_BYTES, make_sheet


def tile(color: tuple[int, int, int], height: int = 96, width: int = 96) -> np.ndarray:
    return np.full((height, width, 3), color, np.uint8)


def data_of(styles: str) -> bytes:
    return base64.b64decode(re.search(r"base64,([A-Za-z0-9+/=]+)\)", styles)[1])


def test_each_place_shows_its_tile() -> None:
    colors = [(40 * number, 255 - 40 * number, 128) for number in range(5)]
    sheet = make_sheet([tile(color) for color in colors], is_photo=True)
    assert sheet.names == ("t0", "t1", "t2", "t3", "t4")
    image = Image.open(io.BytesIO(data_of(sheet.styles)))
    assert (image.format, image.size) == ("JPEG", (288, 192))
    assert "background-size: 300% 200%" in sheet.styles
    places = re.findall(r"\.t(\d) \{ background-position: (\S+) (\S+); \}", sheet.styles)
    # A position of p % puts the point at p % of the image on the point at p % of the tile.
    for number, across, down in places:
        left = round(float(across.rstrip("%")) / 100 * (288 - 96))
        top = round(float(down.rstrip("%")) / 100 * (192 - 96))
        assert np.allclose(image.getpixel((left + 48, top + 48)), colors[int(number)], atol=6)


def test_one_tile() -> None:
    sheet = make_sheet([tile((1, 2, 3))], is_photo=True)
    assert "background-size: 100% 100%" in sheet.styles
    assert ".t0 { background-position: 0 0; }" in sheet.styles


def test_none() -> None:
    assert make_sheet([], is_photo=True) == make_sheet([], is_photo=False)
    assert make_sheet([], is_photo=True).styles == ""


def test_drawings_become_a_png() -> None:
    sheet = make_sheet([tile((255, 255, 255), 96, 288)] * 3, is_photo=False)
    assert "image/png" in sheet.styles
    assert "aspect-ratio: 288 / 96" in sheet.styles


def test_the_worst_images_are_bounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 96, 96, 3), np.uint8)
    sheet = make_sheet(list(noise), is_photo=True)
    assert 100_000 < len(data_of(sheet.styles)) <= MAX_SHEET_BYTES


@pytest.mark.parametrize("is_photo", [True, False])
def test_the_same_each_time(is_photo: bool) -> None:
    tiles = list(np.random.default_rng(0).integers(0, 256, (7, 96, 96, 3), np.uint8))
    assert make_sheet(tiles, is_photo) == make_sheet(tiles, is_photo)


def test_it_is_style_and_nothing_else() -> None:
    styles = make_sheet([tile((1, 2, 3))] * 4, is_photo=True).styles
    assert "<" not in styles
    assert set(re.findall(r"url\((data:image/jpeg;base64,)", styles)) == {"data:image/jpeg;base64,"}
    assert styles.count("url(") == 1
