"""Generalised-mean pooling over tokens or patches."""

from typing import Any

import torch
from torch import Tensor, nn

from embedtune.models.modules.saved import SavedModule


class GeM(SavedModule):
    """(mean of clamp(x, eps)^p)^(1/p) over the tokens of a content.

    p = 1 is the mean of the positive parts, p to infinity the maximum. Source: Radenovic et al. 2018,
    https://arxiv.org/abs/1711.02512, eq. 3.
    """

    config_keys = ["embedding_dimension", "p", "eps"]  # noqa: RUF012 - sentence-transformers reads a list

    def __init__(self, embedding_dimension: int, p: float = 3.0, eps: float = 1e-6) -> None:
        """Build.

        Args:
            embedding_dimension: Components of a token, and of a vector.
            p: Exponent to start from, above 0; it is trained.
            eps: Least value of a component before the power, above 0.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.embedding_dimension, self.eps = embedding_dimension, eps
        self.exponent = nn.Parameter(torch.tensor(float(p)))

    @property
    def p(self) -> float:
        """The exponent now."""
        return float(self.exponent.detach())

    def forward(self, features: dict[str, Any], **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002
        """Add `sentence_embedding` (B, d) to features with `token_embeddings` (B, T, d) or (B, d, H, W)."""
        tokens: Tensor = features["token_embeddings"]
        if tokens.dim() == 4:
            tokens = tokens.flatten(2).transpose(1, 2)
        powers = tokens.clamp(min=self.eps) ** self.exponent
        mask = features.get("attention_mask")
        if mask is None or mask.shape[:2] != tokens.shape[:2]:
            mean = powers.mean(dim=1)
        else:
            kept = mask.unsqueeze(2).to(powers.dtype)
            mean = (powers * kept).sum(dim=1) / kept.sum(dim=1).clamp(min=1.0)
        features["sentence_embedding"] = mean ** (1.0 / self.exponent)
        return features

    def get_embedding_dimension(self) -> int:
        """Return the components of a vector."""
        return self.embedding_dimension
