"""Features of each column become vectors, and these the loss."""

from collections.abc import Iterable

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from embedtune.models.loading import has_fixed_length
from embedtune.models.options import FLOAT32
from embedtune.models.parts import Features, vectors_in_parts
from embedtune.training.processes import ALONE, Processes


class ColumnLoss(nn.Module):
    """Embeds each column of a batch and hands the vectors to an objective.

    The attribute `model` must keep its name: the trainer swaps the wrapped model in through it.
    """

    def __init__(
        self,
        model: SentenceTransformer,
        objective: nn.Module,
        processes: Processes = ALONE,
        precision: str = FLOAT32,
        recompute: bool = False,
    ) -> None:
        """Combine.

        Args:
            model: The model being trained.
            objective: Takes a list of C tensors (P, d) and targets (P,), returns a scalar.
            processes: Those that embed a batch together; each is given its share of the rows.
            precision: In which numbers the model's encoder calculates, see `precision.vectors_of`. The objective does
                in float32.
            recompute: Whether the encoder's work is done twice to save memory, see `parts.vectors_in_parts`.
        """
        super().__init__()
        self.model = model
        self.objective = objective
        self.precision = precision
        self._recompute = recompute
        self._processes = processes
        self._fixed_length = has_fixed_length(model)
        self.contents_seen = 0

    def forward(self, sentence_features: Iterable[Features], labels: Tensor) -> Tensor:
        """Return the scalar loss of a batch of C columns, from this process's share of its P rows and all P labels."""
        columns = list(sentence_features)
        self.contents_seen += len(labels) * len(columns)
        vectors = [self._processes.gather(column, len(labels)) for column in self._embed_all(columns)]
        loss: Tensor = self.objective(vectors, labels)
        return loss

    def _embed_all(self, columns: list[Features]) -> list[Tensor]:
        """Return the vectors (P, d) of each column."""
        joined = None if self._fixed_length else _joined(columns)
        if joined is None:
            return [self._embed(features) for features in columns]
        vectors = self._embed(joined)
        return list(torch.split(vectors, len(vectors) // len(columns)))

    def _embed(self, features: Features) -> Tensor:
        return vectors_in_parts(self.model, features, self.precision, self._recompute)


def _joined(columns: list[Features]) -> Features | None:
    """Return columns of texts one below the other, so that parts of like length are cut from all; None for others.

    None, too, for padding on the left, and where more than the tensors differs, such as the length of their prompts.
    """
    if len(columns) == 1:
        return columns[0]
    if any("attention_mask" not in features or "pixel_values" in features for features in columns):
        return None
    masks: list[Tensor] = [features["attention_mask"] for features in columns]
    if any(not mask[:, 0].all() for mask in masks):
        return None
    if any(_beside_tensors(features) != _beside_tensors(columns[0]) for features in columns):
        return None
    width = max(mask.shape[1] for mask in masks)
    joined: Features = dict(columns[0])
    for name, value in columns[0].items():
        if isinstance(value, Tensor):
            parts = [features[name] for features in columns]
            if value.shape == masks[0].shape:  # zeros to the right: the mask hides them, whatever they mean
                parts = [nn.functional.pad(part, (0, width - part.shape[1])) for part in parts]
            joined[name] = torch.cat(parts)
    return joined


def _beside_tensors(features: Features) -> dict[str, object]:
    """Return the notes of a column, and of each tensor that it is there."""
    return {name: None if isinstance(value, Tensor) else value for name, value in features.items()}
