"""Texts go through a model in parts of like length, so that little work goes into padding. Imports torch."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Self

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from embedtune.models.loading import has_fixed_length
from embedtune.models.precision import vectors_of

_CELLS = 512
"""Tokens of a part, padding included: more no longer fit into a core's cache, fewer make small matrices."""

_RECOMPUTED = 64
"""Contents of a part that is to be recomputed, where a batch goes through a model as a whole otherwise."""

Features = dict[str, Any]
"""Tensors with one row for each content, and notes such as the modality."""


def goes_in_parts(model: SentenceTransformer) -> bool:
    """Return whether texts are cut into parts: on a CPU, but for a model that wants a fixed length.

    SigLIP reads the last position, whatever stands there.
    """
    return model.device.type == "cpu" and not has_fixed_length(model)


def vectors_in_parts(model: SentenceTransformer, features: Features, precision: str, recompute: bool = False) -> Tensor:
    """Return vectors (B, d) of a batch, in float32: in parts of like length where texts are cut, else as a whole.

    Args:
        model: The embedding model.
        features: What `preprocess` returned, on the model's device.
        precision: See `precision.vectors_of`.
        recompute: Whether of each part the vectors alone are kept, and all else is calculated again, with the same
            dropout, when its gradient is wanted: a batch of any size takes the memory of a part, for a third more time
            (Gao et al. 2021, https://arxiv.org/abs/2101.06983; Chen et al. 2016, https://arxiv.org/abs/1604.06174).
    """
    mask = features.get("attention_mask")
    words = None
    if mask is None or "pixel_values" in features or not goes_in_parts(model):
        if not recompute:
            return vectors_of(model, dict(features), precision)
        tensor = next(value for value in features.values() if isinstance(value, Tensor))
        parts = list(torch.split(torch.arange(len(tensor), device=tensor.device), _RECOMPUTED))
        take = _rows
    else:
        parts = _of_like_length(mask.sum(dim=1))
        take = _part
        words = _Words.of(model, features["input_ids"])

    def embed(rows: Tensor) -> Tensor:
        with nullcontext() if words is None else words.looked_up():
            return vectors_of(model, take(features, rows), precision)

    through = partial(checkpoint, embed, use_reentrant=False) if recompute else embed
    return torch.cat([through(rows) for rows in parts])[torch.argsort(torch.cat(parts))]


def _of_like_length(lengths: Tensor) -> list[Tensor]:
    """Return the rows of a batch, the shortest first, in parts that with their padding have at most so many cells."""
    order = torch.argsort(lengths)
    ascending, ends = lengths[order].tolist(), [len(lengths)]
    while ends[-1] > 0:
        ends.append(max(0, ends[-1] - max(1, _CELLS // max(1, ascending[ends[-1] - 1]))))
    return [order[start:end] for start, end in pairwise(reversed(ends))]


def _rows(features: Features, rows: Tensor) -> Features:
    """Return the features of some rows as they are."""
    return {name: value[rows] if isinstance(value, Tensor) else value for name, value in features.items()}


def _part(features: Features, rows: Tensor) -> Features:
    """Return the features of some rows, without the columns that are padding in all of them."""
    mask = features["attention_mask"]
    columns = mask[rows].any(dim=0)  # not the first ones: the tokenizers of some models pad on the left
    return {
        name: (value[rows][:, columns] if value.shape[:2] == mask.shape else value[rows])
        if isinstance(value, Tensor)
        else value
        for name, value in features.items()
    }


@dataclass(frozen=True, eq=False)
class _Words:
    """The vectors of a batch's words, taken out of the vocabulary once for all its parts.

    Each part's gradient would else be one of the whole vocabulary, nearly all of it zeros.
    """

    vocabulary: nn.Embedding
    used: Tensor
    """Different words (U,), ascending."""
    vectors: Tensor
    """Theirs (U, d)."""

    @classmethod
    def of(cls, model: SentenceTransformer, ids: Tensor) -> Self | None:
        """Take them out for a batch (B, L); None where nothing is learned about words."""
        vocabulary = _vocabulary(model) if torch.is_grad_enabled() else None
        if vocabulary is None:
            return None
        used = torch.unique(ids)
        return cls(vocabulary, used, nn.functional.embedding(used, vocabulary.weight, vocabulary.padding_idx))

    @contextmanager
    def looked_up(self) -> Iterator[None]:
        """Let the model find its words here."""
        self.vocabulary.forward = self._look_up  # type: ignore[method-assign, assignment]
        try:
            yield
        finally:
            del self.vocabulary.forward

    def _look_up(self, ids: Tensor) -> Tensor:
        places = torch.searchsorted(self.used, ids).clamp_(max=len(self.used) - 1)
        if not torch.equal(self.used[places], ids):  # the model reads other words than it was given
            return nn.Embedding.forward(self.vocabulary, ids)
        return nn.functional.embedding(places, self.vectors)


def _vocabulary(model: SentenceTransformer) -> nn.Embedding | None:
    """Return the trained vectors of words; None where there are none, or they are more than a table."""
    try:
        words = model.transformers_model.get_input_embeddings() if model.transformers_model is not None else None
    except NotImplementedError:
        return None
    if type(words) is not nn.Embedding or not words.weight.requires_grad or "forward" in vars(words):
        return None
    return None if words.max_norm is not None or words.sparse or words.scale_grad_by_freq else words
