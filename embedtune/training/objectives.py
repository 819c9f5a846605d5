"""The losses: functions of a batch's vectors, one (P, d) tensor for each column, and of what each row stands for.

Losses that compare labels are pytorch-metric-learning's, by its names; losses over columns sentence-transformers'.
"""

import math
from typing import Any

import torch
from pytorch_metric_learning import losses as metric_learning
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import losses as column_losses
from torch import Tensor, nn

_CLIP_SCALE, _CLIP_MOST = 1 / 0.07, 100.0
"""First and largest factor of the similarities (Radford et al. 2021, https://arxiv.org/abs/2103.00020, section 2.5)."""


class LabelObjective(nn.Module):
    """A loss of pytorch-metric-learning over the contents of all columns and their labels."""

    def __init__(self, loss: nn.Module) -> None:
        """Wrap a loss that takes vectors (B, d) and labels (B,)."""
        super().__init__()
        self.loss = loss

    def forward(self, columns: list[Tensor], targets: Tensor) -> Tensor:
        """Return the scalar loss of C columns (P, d) and the label of each row (P,)."""
        loss: Tensor = self.loss(torch.cat(columns), targets.repeat(len(columns)))
        return loss


class ColumnObjective(nn.Module):
    """A loss of sentence-transformers over columns of vectors."""

    def __init__(self, loss: nn.Module) -> None:
        """Wrap a loss that has `compute_loss_from_embeddings`.

        It keeps the model as a part of itself, which would make the model's weights those of the loss.
        """
        super().__init__()
        del loss.model
        self.loss: Any = loss

    def forward(self, columns: list[Tensor], targets: Tensor) -> Tensor:
        """Return the scalar loss of C columns (P, d) and the target of each row (P,)."""
        loss: Tensor = self.loss.compute_loss_from_embeddings(columns, targets)
        return loss


class CLIPLoss(nn.Module):
    """Symmetric cross-entropy over the cosines of two columns, times a learned factor.

    Source: Radford et al. 2021, https://arxiv.org/abs/2103.00020, figure 3; the factor starts at 1/0.07, is learned as
    its logarithm and never exceeds 100.
    """

    def __init__(self) -> None:
        """Begin with the paper's factor."""
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(_CLIP_SCALE)))

    def forward(self, columns: list[Tensor], targets: Tensor) -> Tensor:  # noqa: ARG002 - row i belongs to row i
        """Return the scalar loss of two columns (P, d), and perhaps a third of wrong answers to tell the first from."""
        first, second, *wrong = (nn.functional.normalize(column, dim=1) for column in columns)
        with torch.no_grad():  # clamped in the graph, a factor beyond the bound would get no gradient and stay there
            self.log_scale.clamp_(max=math.log(_CLIP_MOST))
        scale = self.log_scale.exp()
        right = torch.arange(len(first), device=first.device)
        there = nn.functional.cross_entropy(scale * first @ torch.cat([second, *wrong]).T, right)
        both: Tensor = there + nn.functional.cross_entropy(scale * second @ first.T, right)
        return both / 2


def build_objective(name: str, model: SentenceTransformer, labels: int, dimension: int) -> nn.Module:
    """Build a loss by name.

    - TripletMarginLoss: mean of max(0, |a - p| - |a - n| + 0.05) over the triplets of the batch that violate the
      margin, on unit vectors (Schroff et al. 2015, https://arxiv.org/abs/1503.03832, eq. 3; distances not squared).
    - SupConLoss: supervised contrastive loss, temperature 0.1, 0 for a batch of one label (Khosla et al. 2020,
      https://arxiv.org/abs/2004.11362, eq. 2).
    - MultiSimilarityLoss: alpha 2, beta 50, base 0.5 (Wang et al. 2019, https://arxiv.org/abs/1904.06627, eq. 10).
    - ArcFaceLoss: cross-entropy over the cosines to a learned vector of each label, times 64, with a margin of 28.6
      degrees (Deng et al. 2019, https://arxiv.org/abs/1801.07698, eq. 3).
    - ProxyAnchorLoss: margin 0.1, alpha 32, a learned proxy for each label (Kim et al. 2020,
      https://arxiv.org/abs/2003.13911, eq. 4).
    - MultipleNegativesRankingLoss: cross-entropy over the cosines, times 20, of each anchor to all positives and wrong
      answers of the batch (Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4).
    - CLIPLoss: see there.
    - CoSENTLoss: log(1 + the sum of exp(20 (cos_j - cos_i)) over the pairs i, j of the batch with score_i > score_j)
      (Su 2022, https://kexue.fm/archives/8847).
    - CosineSimilarityLoss: mean squared difference of cosine and score (Reimers and Gurevych 2019,
      https://arxiv.org/abs/1908.10084, section 3).

    Args:
        name: One of `config.LOSSES`.
        model: The model being trained.
        labels: Number of labels of the training set.
        dimension: Components of a vector.
    """
    match name:
        case "ArcFaceLoss" | "ProxyAnchorLoss":
            return LabelObjective(getattr(metric_learning, name)(labels, dimension))
        case "SupConLoss" | "MultiSimilarityLoss" | "TripletMarginLoss":
            return LabelObjective(getattr(metric_learning, name)())
        case "CLIPLoss":
            return CLIPLoss()
        case _:
            return ColumnObjective(getattr(column_losses, name)(model))
