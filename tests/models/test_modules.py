"""Our own modules: exact on small input, the same after saving, the same wherever a cloud lies."""

import json

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from embedtune.models.modules.gem import GeM
from embedtune.models.modules.point_sampling import farthest_points, gather_points, points_around
from embedtune.models.modules.pointnet import PointNet
from embedtune.models.own_modules import load_folder

SMALL = {"dimension": 12, "points": 64, "centres": (16, 4), "width": 0.125}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def cloud(seed: int, count: int = 64) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def naive_farthest(points: np.ndarray, count: int) -> list[int]:
    chosen = [int(np.argmax(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    while len(chosen) < count:
        distances = [min(((point - points[one]) ** 2).sum() for one in chosen) for point in points]
        chosen.append(int(np.argmax(distances)))
    return chosen


def test_farthest_points_are_those_of_a_naive_loop():
    clouds = np.stack([cloud(seed, 30) for seed in range(3)])
    found = farthest_points(torch.from_numpy(clouds), 8)
    assert found.tolist() == [naive_farthest(points, 8) for points in clouds]


def test_points_around_a_centre_are_the_nearest_within_the_radius():
    points = cloud(1, 40)
    centres = points[:5]
    found = points_around(torch.from_numpy(points[None]), torch.from_numpy(centres[None]), 1.0, 6)[0]
    for centre, positions in zip(centres, found.tolist(), strict=True):
        distances = np.sqrt(((points - centre) ** 2).sum(axis=1))
        nearest = [int(position) for position in np.argsort(distances)[:6] if distances[position] <= 1.0]
        assert positions == nearest + [nearest[0]] * (6 - len(nearest))


def test_gathered_values():
    values = torch.arange(2 * 4 * 3).reshape(2, 4, 3)
    positions = torch.tensor([[[0, 3], [1, 1]], [[2, 2], [0, 1]]])
    found = gather_points(values, positions)
    assert found.shape == (2, 2, 2, 3)
    assert torch.equal(found[1, 0, 1], values[1, 2])
    assert torch.equal(found[0, 0, 1], values[0, 3])


class TestPointNet:
    @pytest.fixture
    def model(self) -> SentenceTransformer:
        return SentenceTransformer(modules=[PointNet(**SMALL)], device="cpu").eval()

    def encode(self, model: SentenceTransformer, clouds: list[np.ndarray]) -> np.ndarray:
        return model.encode([{"points": points} for points in clouds], show_progress_bar=False)

    def test_vectors(self, model):
        vectors = self.encode(model, [cloud(1), cloud(2)])
        assert vectors.shape == (2, 12)
        assert np.isfinite(vectors).all()
        assert np.abs(vectors[0] - vectors[1]).max() > 1e-4
        assert model.get_embedding_dimension() == 12

    def test_neither_place_nor_size_nor_order_of_points_matter(self, model):
        points = cloud(3)
        moved = 7 * points[np.random.default_rng(0).permutation(64)] + np.float32([10, -20, 30])
        first, second = self.encode(model, [points, moved.astype(np.float32)])
        np.testing.assert_allclose(first, second, atol=1e-4)

    def test_a_cloud_gives_the_same_vector_alone_and_among_others(self, model):
        clouds = [cloud(seed, count) for seed, count in enumerate((64, 200, 10, 1))]
        together = self.encode(model, clouds)
        alone = np.concatenate([self.encode(model, [points]) for points in clouds])
        np.testing.assert_allclose(together, alone, atol=1e-6)
        assert np.isfinite(together).all()

    def test_saved_and_loaded_without_code_of_its_own(self, model, tmp_path):
        model.save(str(tmp_path), create_model_card=False)
        assert not list(tmp_path.rglob("*.bin"))
        assert not list(tmp_path.rglob("*.py"))
        loaded = load_folder(str(tmp_path), local_files_only=True, device="cpu").eval()
        np.testing.assert_array_equal(self.encode(loaded, [cloud(1)]), self.encode(model, [cloud(1)]))
        assert loaded[0].centres == [16, 4]

    def test_other_classes_are_still_refused(self, model, tmp_path):
        model.save(str(tmp_path), create_model_card=False)
        modules = json.loads((tmp_path / "modules.json").read_text())
        modules[0]["type"] = "subprocess.Popen"
        (tmp_path / "modules.json").write_text(json.dumps(modules))
        with pytest.raises((ValueError, ImportError, OSError)):
            load_folder(str(tmp_path), local_files_only=True, device="cpu")

    def test_gradients_reach_every_weight(self):
        net = PointNet(**SMALL).train()
        features = net.preprocess([{"points": cloud(seed)} for seed in range(4)])
        net(features)["sentence_embedding"].square().sum().backward()
        assert all(torch.isfinite(weight.grad).all() for weight in net.parameters())
        assert all(weight.grad.abs().max() > 0 for weight in net.parameters() if weight.dim() > 1)


class TestGeM:
    TOKENS = torch.tensor([[[1.0, -2.0], [3.0, 0.5], [9.0, 9.0]], [[2.0, 2.0], [4.0, 1.0], [6.0, 3.0]]])
    MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])

    @pytest.mark.parametrize("p", [1.0, 3.0])
    def test_against_the_formula(self, p):
        pooled = GeM(2, p, 1e-6)({"token_embeddings": self.TOKENS, "attention_mask": self.MASK})["sentence_embedding"]
        for row, count in ((0, 2), (1, 3)):
            clamped = self.TOKENS[row, :count].numpy().clip(1e-6)
            expected = (clamped**p).mean(axis=0) ** (1 / p)
            np.testing.assert_allclose(pooled[row].detach().numpy(), expected, rtol=1e-5)

    def test_patches_of_an_image_are_tokens(self):
        grid = self.TOKENS.transpose(1, 2).reshape(2, 2, 3, 1)
        flat = GeM(2)({"token_embeddings": self.TOKENS})["sentence_embedding"]
        torch.testing.assert_close(GeM(2)({"token_embeddings": grid})["sentence_embedding"], flat)

    def test_the_exponent_is_trained(self):
        gem = GeM(2)
        gem({"token_embeddings": self.TOKENS})["sentence_embedding"].sum().backward()
        assert gem.exponent.grad.abs() > 0
        assert gem.p == 3.0
