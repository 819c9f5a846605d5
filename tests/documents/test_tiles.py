"""Images and point clouds drawn small."""

import io

import numpy as np
import pytest
from PIL import Image

from embedtune.documents.tiles import TILE_SIDE, VIEWS, draw_tile, tile_shape
from embedtune.records.layouts import Modality

WHITE = [255, 255, 255]


def png(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def points(*rows: tuple[float, float, float]) -> bytes:
    return np.array(rows, "<f4").tobytes()


def ink(tile: np.ndarray) -> np.ndarray:
    return (tile != 255).any(axis=2)


class TestImages:
    @pytest.mark.parametrize("size", [(96, 96), (1, 1), (28, 28), (500, 500), (95, 95), (97, 97)])
    def test_a_square_fills_the_tile(self, size):
        tile, readable = draw_tile(Modality.IMAGE, png(Image.new("RGB", size, (200, 30, 60))))
        assert readable
        assert tile.shape == (TILE_SIDE, TILE_SIDE, 3)
        assert (tile == [200, 30, 60]).all()

    def test_a_wide_one_keeps_its_shape(self):
        tile, _ = draw_tile(Modality.IMAGE, png(Image.new("RGB", (400, 100), (0, 0, 0))))
        rows = np.flatnonzero(ink(tile).any(axis=1))
        assert (rows[0], rows[-1]) == (36, 59)
        assert ink(tile)[40].all()

    def test_one_a_thousand_times_as_wide_as_high_is_still_seen(self):
        tile, _ = draw_tile(Modality.IMAGE, png(Image.new("RGB", (4000, 2), (0, 0, 0))))
        assert ink(tile).any()

    def test_pixels_of_a_tiny_image_stay_sharp(self):
        image = Image.new("RGB", (2, 1), (0, 0, 0))
        image.putpixel((1, 0), (255, 0, 0))
        tile, _ = draw_tile(Modality.IMAGE, png(image))
        assert {tuple(color) for color in tile[48].tolist()} == {(0, 0, 0), (255, 0, 0)}

    def test_transparent_and_grey_images_are_drawn(self):
        for mode in ("L", "RGBA", "P"):
            assert draw_tile(Modality.IMAGE, png(Image.new(mode, (50, 50))))[1]

    @pytest.mark.parametrize(
        "content",
        [b"", b"\x89PNG\r\n\x1a\n", b"no image at all", png(Image.new("RGB", (300, 300), (1, 2, 3)))[:200]],
        ids=["empty", "only the start", "text", "cut off"],
    )
    def test_what_cannot_be_drawn_is_crossed_out(self, content):
        tile, readable = draw_tile(Modality.IMAGE, content)
        assert not readable
        assert tile.shape == (TILE_SIDE, TILE_SIDE, 3)
        assert ink(tile)[48, 48]
        assert not ink(tile)[48, 5]


class TestMeshes:
    def test_the_same_each_time(self):
        cloud = np.random.default_rng(0).standard_normal((2048, 3)).astype("<f4").tobytes()
        first, second = (draw_tile(Modality.MESH, cloud) for _ in range(2))
        assert first[1]
        assert first[0].shape == (*tile_shape(Modality.MESH), 3) == (TILE_SIDE, TILE_SIDE * len(VIEWS), 3)
        assert (first[0] == second[0]).all()

    def test_upright_points_stand_upright_and_are_one_dot_from_above(self):
        pole = np.linspace((0, 0, -1), (0, 0, 1), 500).astype("<f4").tobytes()
        tile, _ = draw_tile(Modality.MESH, pole)
        for view in range(2):
            drawn = ink(tile[:, view * TILE_SIDE : (view + 1) * TILE_SIDE])
            assert np.ptp(np.flatnonzero(drawn.any(axis=1))) > 60
            assert np.ptp(np.flatnonzero(drawn.any(axis=0))) < 5
        assert np.ptp(np.flatnonzero(ink(tile[:, 2 * TILE_SIDE :]).any(axis=1))) < 8

    def test_nearer_points_are_darker_and_cover_the_others(self):
        tile, _ = draw_tile(Modality.MESH, points((0, 0, -1), (0, 0, 1)))
        above = tile[:, 2 * TILE_SIDE :]
        darkest = above.reshape(-1, 3).sum(axis=1).min()
        assert darkest < 250
        front = tile[:, :TILE_SIDE]
        upper, lower = front[:48].sum(axis=2).min(), front[48:].sum(axis=2).min()
        assert upper < lower

    @pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
    def test_size_and_place_make_no_difference(self, scale):
        cloud = np.random.default_rng(1).standard_normal((300, 3))
        plain = draw_tile(Modality.MESH, cloud.astype("<f4").tobytes())[0]
        moved = draw_tile(Modality.MESH, (cloud * scale).astype("<f4").tobytes())[0]
        assert (abs(plain.astype(int) - moved.astype(int)) > 60).mean() < 0.01

    @pytest.mark.parametrize(
        "content",
        [points((1, 2, 3)), points((0, 0, 0), (np.nan, 0, 0), (np.inf, 1, 1)), points(*[(5, 5, 5)] * 100)],
        ids=["one point", "not finite", "all the same"],
    )
    def test_odd_ones_are_drawn(self, content):
        tile, readable = draw_tile(Modality.MESH, content)
        assert readable
        assert ink(tile).any()

    @pytest.mark.parametrize("content", [b"", b"123", points((np.nan, np.nan, np.nan))])
    def test_without_a_point_it_is_crossed_out(self, content):
        tile, readable = draw_tile(Modality.MESH, content)
        assert not readable
        assert ink(tile).any()

    def test_a_million_points_are_thinned(self):
        cloud = np.random.default_rng(0).standard_normal((1_000_000, 3)).astype("<f4").tobytes()
        assert draw_tile(Modality.MESH, cloud)[1]
