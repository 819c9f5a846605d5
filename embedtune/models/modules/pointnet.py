"""PointNet++: a point cloud becomes a vector."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import InputModule
from torch import Tensor, nn

from embedtune.models.modules.point_sampling import farthest_points, gather_points, points_around
from embedtune.models.modules.saved import SavedModule

_RADII = (0.2, 0.4)
_NEIGHBOURS = (32, 64)
_WIDTHS = ((64, 64, 128), (128, 128, 256), (256, 512, 1024))
"""Single-scale grouping for classification: Qi et al. 2017, https://arxiv.org/abs/1706.02413, appendix B.1."""


class PointNet(SavedModule, InputModule):
    """Points become vectors by two levels of neighbourhoods and one of the whole cloud.

    Clouds are moved to their mean and scaled to the unit sphere first. Of a cloud with more points than `points` the
    first ones are taken (the ingest step drew them at random), one with fewer repeats its own.
    """

    config_keys = ["dimension", "points", "centres", "width"]  # noqa: RUF012 - sentence-transformers reads a list
    save_in_root = True

    def __init__(
        self, dimension: int = 512, points: int = 1024, centres: Sequence[int] = (512, 128), width: float = 1.0
    ) -> None:
        """Build with random weights.

        Args:
            dimension: Components of a vector.
            points: Points of a cloud that are used.
            centres: Points that stand for the cloud on the first and the second level.
            width: Factor of the widths of all layers; 1 is the paper's.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.dimension, self.points, self.centres, self.width = dimension, points, list(centres), width
        widths = [[max(8, round(one * width)) for one in level] for level in _WIDTHS]
        inputs = [3, widths[0][-1] + 3, widths[1][-1] + 3]
        self.levels = nn.ModuleList(_PointLayers(first, *level) for first, level in zip(inputs, widths, strict=True))
        self.head = nn.Linear(widths[-1][-1], dimension)

    @property
    def modalities(self) -> list[str]:  # type: ignore[override]
        """What it reads."""
        return ["points"]

    def preprocess(self, inputs: Sequence[Any], prompt: str | None = None, **kwargs: Any) -> dict[str, Tensor]:  # noqa: ARG002
        """Return `input_values` (B, points, 3) of contents `{"points": (N, 3)}`; points have no prompt."""
        clouds = np.stack([_prepared(content["points"], self.points) for content in inputs])
        return {"input_values": torch.from_numpy(clouds)}

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        """Add `sentence_embedding` (B, dimension)."""
        points: Tensor = features["input_values"]
        values: Tensor | None = None
        for level, centres, radius, count in zip(self.levels, self.centres, _RADII, _NEIGHBOURS, strict=False):
            points, values = self._gathered(level, points, values, centres, radius, count)
        inputs = points if values is None else torch.cat([points, values], dim=2)
        whole = self.levels[-1](inputs).amax(dim=1)
        features["sentence_embedding"] = self.head(whole)
        return features

    def _gathered(
        self, level: nn.Module, points: Tensor, values: Tensor | None, centres: int, radius: float, count: int
    ) -> tuple[Tensor, Tensor]:
        """Return the centres of a level (B, C, 3) and what lies around each (B, C, F)."""
        chosen = gather_points(points, farthest_points(points, centres))
        around = points_around(points, chosen, radius, min(count, points.shape[1]))
        inputs = gather_points(points, around) - chosen.unsqueeze(2)
        if values is not None:
            inputs = torch.cat([inputs, gather_points(values, around)], dim=3)
        return chosen, level(inputs).amax(dim=2)

    def get_embedding_dimension(self) -> int:
        """Return the components of a vector."""
        return self.dimension


class _PointLayers(nn.Module):
    """The same small network for every point: linear layers, each with batch normalisation and ReLU."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.linear = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(widths))
        self.norm = nn.ModuleList(nn.BatchNorm1d(width) for width in widths[1:])

    def forward(self, values: Tensor) -> Tensor:
        """Return (..., F) of (..., G)."""
        flat = values.reshape(-1, values.shape[-1])
        for linear, norm in zip(self.linear, self.norm, strict=True):
            flat = torch.relu(norm(linear(flat)))
        return flat.reshape(*values.shape[:-1], -1)


def _prepared(points: Any, count: int) -> Any:
    """Return a cloud as (count, 3) float32 in the unit sphere."""
    cloud = np.asarray(points, np.float32).reshape(-1, 3)
    cloud = cloud[np.arange(count) % len(cloud)]
    cloud = cloud - cloud.mean(axis=0)
    radius = np.sqrt((cloud**2).sum(axis=1).max())
    return cloud / radius if radius > 0 else cloud
