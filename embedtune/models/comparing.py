"""A tuned model and its backbone encode the same texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.backbones import open_backbone
from embedtune.models.card import CutTexts, ModelCard
from embedtune.models.contents import Contents
from embedtune.models.cut_texts import Digests, cut_texts, load_training_tokens
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_backbone, load_model, weights_digest
from embedtune.models.roles import EncodingRole, index_role, prompt_of
from embedtune.models.trained_texts import load_trained


@dataclass(frozen=True, eq=False)
class BothEncoded:
    """What the two models made of queries and index."""

    base: "Encoded"
    tuned: "Encoded"
    query_texts: CutTexts
    """What the models' length, the same for both, did to the queries."""
    index_texts: CutTexts
    """The same for the index."""
    base_trained: Digests | None
    """What the base model was trained on, see `trained_texts.load_trained`."""
    seen_queries: int
    """Queries that are read as the same tokens as a training text."""
    seen_index: int
    """Index documents that are."""


Encoded = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Vectors of the queries (N, d) and of the index (M, d)."""


def encode_with_both(
    card: ModelCard, folder: Path, queries: Sequence[str], index: Sequence[str], batch_size: int
) -> BothEncoded:
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
    with open_backbone(card.backbone, card.backbone_version) as backbone:
        base = load_backbone(backbone, card.max_length)
        base_trained = load_trained(backbone)
    if weights_digest(base) != card.backbone_digest:
        raise ModelError(
            f"Backbone {card.backbone!r} has other weights now than when the model was fine-tuned from it, so a "
            "comparison would be with something else. Fine-tune again, or name a fixed folder as the backbone."
        )
    roles = (EncodingRole.QUERY, index_role(card.layout))
    encoded = _encode(base, queries, index, roles, batch_size, "base model")
    tuned = load_model(str(folder), 0)
    trained = load_training_tokens(folder)
    (query_texts, seen_queries), (index_texts, seen_index) = (
        _read(tuned, texts, prompt_of(tuned, role), trained)
        for texts, role in zip((queries, index), roles, strict=True)
    )
    return BothEncoded(
        base=encoded,
        tuned=_encode(tuned, queries, index, roles, batch_size, "tuned model"),
        query_texts=query_texts,
        index_texts=index_texts,
        base_trained=base_trained,
        seen_queries=seen_queries,
        seen_index=seen_index,
    )


def _read(
    model: SentenceTransformer, texts: Sequence[str], prompt: str, trained: Digests | None
) -> tuple[CutTexts, int]:
    """Return what the model's length does to texts, and how many are nothing new to it."""
    counts, digests = cut_texts(model, texts, prompt)
    return counts, 0 if trained is None else int(np.isin(digests, trained).sum())


def _encode(
    model: SentenceTransformer,
    queries: Sequence[str],
    index: Sequence[str],
    roles: tuple[EncodingRole, EncodingRole],
    batch_size: int,
    name: str,
) -> Encoded:
    return (
        encode_contents(model, Contents.of_texts(queries), roles[0], batch_size, f"Queries, {name}"),
        encode_contents(model, Contents.of_texts(index), roles[1], batch_size, f"Index, {name}"),
    )
