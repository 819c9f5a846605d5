"""The losses, each a function of one batch's vectors and labels.

The model embeds a batch once, as one column of texts; the loss sees the vectors. Its order is the batch plan's:
P x K for losses that compare labels, interleaved pairs for losses that compare pairs.
"""

from collections.abc import Iterable

import torch
from pytorch_metric_learning import losses as metric_learning
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor, nn

from embedtune.training.batches import BatchPlan, LabelBatches, PairBatches
from embedtune.training.config import PAIR_LOSSES, FinetuneConfig
from embedtune.training.examples import TrainingExamples

_CPU_PART = 16
"""Texts per forward pass on a CPU: 64 texts of 4 to 60 words took 1.25 s so and 2.5 s in one padded pass (2 cores)."""


class BatchLoss(nn.Module):
    """Embeds a batch and hands the vectors to a loss.

    The attribute `model` must keep its name: the trainer swaps the wrapped model in through it.
    """

    def __init__(self, model: SentenceTransformer, objective: nn.Module) -> None:
        """Combine.

        Args:
            model: The model being trained.
            objective: Takes vectors (B, d) and labels (B,), returns a scalar.
        """
        super().__init__()
        self.model = model
        self.objective = objective
        self.texts_seen = 0

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor) -> Tensor:
        """Return the scalar loss of one batch with a single text column."""
        (features,) = sentence_features
        self.texts_seen += len(labels)
        loss: Tensor = self.objective(self._embed(features), labels)
        return loss

    def _embed(self, features: dict[str, Tensor]) -> Tensor:
        """Return vectors (B, d); on a CPU in parts of like length, so that little work goes into padding."""
        mask = features.get("attention_mask")
        if mask is None or mask.device.type != "cpu":
            whole: Tensor = self.model(features)["sentence_embedding"]
            return whole
        order = torch.argsort(mask.sum(dim=1))
        parts = [self._embed_part(features, rows) for rows in torch.split(order, _CPU_PART)]
        return torch.cat(parts)[torch.argsort(order)]

    def _embed_part(self, features: dict[str, Tensor], rows: Tensor) -> Tensor:
        """Return the vectors of some rows, without the columns that are padding in all of them."""
        mask = features["attention_mask"]
        columns = mask[rows].any(dim=0)  # not the first ones: the tokenizers of some models pad on the left
        part = {
            name: value[rows][:, columns] if value.shape[:2] == mask.shape else value[rows]
            for name, value in features.items()
            if isinstance(value, Tensor)  # the rest is a note of the modality, which is found anew
        }
        vectors: Tensor = self.model(part)["sentence_embedding"]
        return vectors


class InterleavedPairs(nn.Module):
    """Multiple negatives ranking over [anchor, positive, anchor, positive, ...].

    For each anchor, cross-entropy over the cosine similarities, times 20, to all positives of the batch
    (Henderson et al. 2017, https://arxiv.org/abs/1705.00652, section 4.4; the scale is sentence-transformers' own).
    """

    def __init__(self, model: SentenceTransformer) -> None:
        """Build the loss of sentence-transformers."""
        super().__init__()
        self.ranking = MultipleNegativesRankingLoss(model)

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Return the scalar loss of vectors (2P, d)."""
        return self.ranking.compute_loss_from_embeddings([vectors[0::2], vectors[1::2]], labels)


def build_loss(model: SentenceTransformer, name: str) -> BatchLoss:
    """Build a loss by name.

    - TripletMarginLoss: mean of max(0, |a - p| - |a - n| + 0.05) over the triplets of the batch that violate the
      margin, on unit vectors (Schroff et al. 2015, https://arxiv.org/abs/1503.03832, eq. 3; distances not squared).
    - SupConLoss: supervised contrastive loss, temperature 0.1, 0 for a batch of one label (Khosla et al. 2020,
      https://arxiv.org/abs/2004.11362, eq. 2).
    - MultiSimilarityLoss: alpha 2, beta 50, base 0.5 (Wang et al. 2019, https://arxiv.org/abs/1904.06627, eq. 10).
    - MultipleNegativesRankingLoss: see InterleavedPairs.

    Args:
        model: The model being trained.
        name: One of `config.LOSSES`.
    """
    objectives = {
        "MultipleNegativesRankingLoss": lambda: InterleavedPairs(model),
        "SupConLoss": metric_learning.SupConLoss,
        "MultiSimilarityLoss": metric_learning.MultiSimilarityLoss,
        "TripletMarginLoss": metric_learning.TripletMarginLoss,
    }
    return BatchLoss(model, objectives[name]())


def plan_batches(examples: TrainingExamples, config: FinetuneConfig) -> BatchPlan:
    """Choose the kind of batches the loss needs.

    Raises:
        TrainingError: the texts make no such batches.
    """
    if config.loss in PAIR_LOSSES:
        return PairBatches(examples, config.batch_size, config.seed)
    return LabelBatches(examples.labels, config.batch_size, config.items_per_label, config.seed)


def optimizer_class(name: str) -> type[torch.optim.Optimizer]:
    """Return the class of torch.optim with this name."""
    found: type[torch.optim.Optimizer] = getattr(torch.optim, name)
    return found
