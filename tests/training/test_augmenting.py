"""What is changed of images and meshes stays within its bounds, and nothing else is changed."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from embedtune.training.augmenting import Augmentation, augmented, random_rotation
from embedtune.training.options import AUGMENTATIONS

DRAWS = 200


def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def changed_points(name: str) -> list[np.ndarray]:
    augmentation = Augmentation(**{name: True})
    return [augmented({"points": points()}, augmentation, np.random.default_rng(n))["points"] for n in range(DRAWS)]


def changed_images(name: str, image: Image.Image) -> list[Image.Image]:
    augmentation = Augmentation(**{name: True})
    return [augmented(image, augmentation, np.random.default_rng(number)) for number in range(DRAWS)]


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8))


def test_the_options_name_every_change():
    assert tuple(field.name for field in dataclasses.fields(Augmentation)) == AUGMENTATIONS


def test_nothing_asked_changes_nothing():
    assert not Augmentation().any
    assert augmented({"text": "a"}, Augmentation(flip=True, rotate=True), np.random.default_rng(0)) == {"text": "a"}
    np.testing.assert_array_equal(
        augmented({"points": points()}, Augmentation(), np.random.default_rng(0))["points"], points()
    )


def test_flip_swaps_left_and_right_every_other_time():
    image, turned = picture(), picture().transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    found = [changed.tobytes() for changed in changed_images("flip", image)]
    assert set(found) == {image.tobytes(), turned.tobytes()}
    assert 0.4 < found.count(turned.tobytes()) / DRAWS < 0.6


def test_crop_keeps_a_part_of_at_least_four_fifths_of_each_side():
    image = picture()
    whole = np.asarray(image)
    sizes = set()
    for changed in changed_images("crop", image):
        part = np.asarray(changed)
        sizes.add(changed.size)
        assert part.shape[0] >= 24
        assert part.shape[1] >= 40
        views = np.lib.stride_tricks.sliding_window_view(whole, part.shape)
        assert (views == part).all(axis=(3, 4, 5)).any()
    assert len(sizes) > 20


def test_colour_changes_each_pixel_by_a_bounded_share():
    grey = Image.new("RGB", (8, 8), (100, 100, 100))
    values = [changed.getpixel((0, 0))[0] for changed in changed_images("colour", grey)]
    assert min(values) >= 80
    assert max(values) <= 120
    assert len(set(values)) > 20


@pytest.mark.parametrize("seed", range(20))
def test_a_rotation_keeps_lengths_and_handedness(seed):
    rotation = random_rotation(np.random.default_rng(seed))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_rotations_have_no_direction_of_their_own():
    turned = np.array([random_rotation(np.random.default_rng(seed))[:, 0] for seed in range(2000)])
    assert np.abs(turned.mean(axis=0)).max() < 0.05
    np.testing.assert_allclose((turned**2).mean(axis=0), 1 / 3, atol=0.03)


def test_rotate_keeps_the_distances_of_points():
    before = np.linalg.norm(points()[:, None] - points()[None], axis=2)
    for changed in changed_points("rotate")[:20]:
        assert changed.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(changed[:, None] - changed[None], axis=2), before, atol=1e-5)
        assert np.abs(changed - points()).max() > 0.1


def test_scale_is_one_factor_within_its_bounds():
    factors = [changed / points() for changed in changed_points("scale")]
    for factor in factors:
        np.testing.assert_allclose(factor, factor[0, 0], rtol=1e-5)
    assert 0.8 <= min(factor[0, 0] for factor in factors) < 0.85
    assert 1.2 < max(factor[0, 0] for factor in factors) <= 1.25


def test_jitter_moves_each_point_a_little():
    largest = np.abs(points()).max()
    moves = np.array([changed - points() for changed in changed_points("jitter")])
    assert np.abs(moves).max() <= 0.05 * largest + 1e-6
    assert moves.std() == pytest.approx(0.01 * largest, rel=0.05)
