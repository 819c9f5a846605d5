"""A tuned model and its backbone encode the same texts."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.card import ModelCard
from embedtune.models.encoding import encode_texts
from embedtune.models.loading import load_model, weights_digest

Encoded = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Vectors of the queries (N, d) and of the index (M, d)."""


def encode_with_both(
    card: ModelCard, folder: Path, queries: Sequence[str], index: Sequence[str], batch_size: int
) -> tuple[Encoded, Encoded]:
    """Encode queries and index with the backbone and with the tuned model.

    Args:
        card: The tuned model's card.
        folder: The tuned model.
        queries: N texts.
        index: M texts.
        batch_size: Texts per forward pass.

    Returns:
        The backbone's and the tuned model's vectors; both cut texts at the same length.

    Raises:
        ModelError: a model cannot be loaded, or the backbone's weights are not those the tuning started from.
    """
    base = load_model(card.backbone, card.max_length)
    if weights_digest(base) != card.backbone_digest:
        raise ModelError(
            f"Backbone {card.backbone!r} has other weights now than when the model was fine-tuned from it, so a "
            "comparison would be with something else. Fine-tune again, or name a fixed folder as the backbone."
        )
    return (
        _encode(base, queries, index, batch_size, "base model"),
        _encode(load_model(str(folder), 0), queries, index, batch_size, "tuned model"),
    )


def _encode(
    model: SentenceTransformer, queries: Sequence[str], index: Sequence[str], batch_size: int, name: str
) -> Encoded:
    return (
        encode_texts(model, queries, batch_size, f"Queries, {name}"),
        encode_texts(model, index, batch_size, f"Index, {name}"),
    )
