"""Which points of a cloud stand for it, and which lie around them, in plain torch.

Source: Qi et al. 2017, PointNet++, https://arxiv.org/abs/1706.02413, section 3.2.
"""

import torch
from torch import Tensor


def farthest_points(points: Tensor, count: int) -> Tensor:
    """Choose points one by one, each the farthest from those chosen before.

    The first is the farthest from the mean, so that neither the order of the points nor a rotation changes the choice.

    Args:
        points: (B, N, 3).
        count: C, at most N.

    Returns:
        Positions (B, C), int64.
    """
    batch, number, _ = points.shape
    rows = torch.arange(batch, device=points.device)
    chosen = torch.empty(batch, count, dtype=torch.int64, device=points.device)
    distances = torch.full((batch, number), float("inf"), device=points.device, dtype=points.dtype)
    current = (points - points.mean(dim=1, keepdim=True)).square().sum(dim=2).argmax(dim=1)
    for turn in range(count):
        chosen[:, turn] = current
        centre = points[rows, current].unsqueeze(1)
        distances = torch.minimum(distances, (points - centre).square().sum(dim=2))
        current = distances.argmax(dim=1)
    return chosen


def points_around(points: Tensor, centres: Tensor, radius: float, count: int) -> Tensor:
    """Find the points within a radius of each centre, the nearest ones first.

    Where there are fewer than asked for, the nearest is repeated, which a maximum over them does not notice.

    Args:
        points: (B, N, 3).
        centres: (B, C, 3), each of them one of the points.
        radius: In the unit of the coordinates.
        count: K, at most N.

    Returns:
        Positions (B, C, K), int64.
    """
    distances = torch.cdist(centres, points, compute_mode="donot_use_mm_for_euclid_dist")
    nearest, positions = distances.topk(count, dim=2, largest=False)
    return torch.where(nearest <= radius, positions, positions[:, :, :1])


def gather_points(values: Tensor, positions: Tensor) -> Tensor:
    """Pick values by position.

    Args:
        values: (B, N, F).
        positions: (B, ...).

    Returns:
        (B, ..., F).
    """
    batch = torch.arange(len(values), device=values.device).reshape(-1, *[1] * (positions.dim() - 1))
    return values[batch, positions]
