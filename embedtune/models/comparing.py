"""A tuned model and its backbone encode the same contents."""

import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.backbones import open_backbone
from embedtune.models.card import CutTexts, ModelCard
from embedtune.models.contents import Contents
from embedtune.models.cut_texts import cut_texts, load_training_tokens
from embedtune.models.digests import Digests
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_backbone, load_model, weights_digest
from embedtune.models.roles import EncodingRole, index_role, prompt_of
from embedtune.models.trained_texts import load_trained


@dataclass(frozen=True, eq=False)
class Encoded:
    """What one model made of queries and index, at its own length and with its own prompts."""

    queries: npt.NDArray[np.float32]
    """Vectors (N, d)."""
    index: npt.NDArray[np.float32]
    """Vectors (M, d)."""
    query_texts: CutTexts | None
    """What the model's length does to the queries; None where they are no texts."""
    index_texts: CutTexts | None
    """The same for the index."""
    seen_queries: int
    """Queries that are read as the same tokens as one of the texts that were asked for."""
    seen_index: int
    """Index documents that are."""


@dataclass(frozen=True, eq=False)
class BothEncoded:
    """What the two models made of queries and index."""

    base: Encoded
    tuned: Encoded
    base_trained: Digests | None
    """What the base model was trained on, see `trained_texts.load_trained`."""


def encode_with_both(card: ModelCard, folder: Path, queries: Contents, index: Contents, batch_size: int) -> BothEncoded:
    """Encode queries and index with the backbone as it was published and with the tuned model.

    Args:
        card: The tuned model's card.
        folder: The tuned model.
        queries: N contents.
        index: M contents.
        batch_size: Contents per forward pass.

    Raises:
        ModelError: a model cannot be loaded, or the backbone's weights are not those the tuning started from.
    """
    roles = (EncodingRole.QUERY, index_role(card.layout))
    with open_backbone(card.backbone, card.backbone_version) as backbone:
        # Cut at the tuned model's length, a backbone that reads more would lose to a tuned model that is no better.
        base = load_backbone(backbone, 0)
        base_trained = load_trained(backbone)
    if weights_digest(base) != card.backbone_digest:
        raise ModelError(
            f"Backbone {card.backbone!r} has other weights now than when the model was fine-tuned from it, so a "
            "comparison would be with something else. Fine-tune again, or name a fixed folder as the backbone."
        )
    of_base = _encode(base, queries, index, roles, batch_size, "base model", None)
    # The two need not be in memory at the same time; a model refers to itself, so its name alone does not hold it.
    del base
    gc.collect()
    tuned = load_model(str(folder), 0)
    of_tuned = _encode(tuned, queries, index, roles, batch_size, "tuned model", load_training_tokens(folder))
    return BothEncoded(of_base, of_tuned, base_trained)


def _encode(
    model: SentenceTransformer,
    queries: Contents,
    index: Contents,
    roles: tuple[EncodingRole, EncodingRole],
    batch_size: int,
    name: str,
    trained: Digests | None,
) -> Encoded:
    (query_texts, seen_queries), (index_texts, seen_index) = (
        _read(model, contents, prompt_of(model, role), trained)
        for contents, role in zip((queries, index), roles, strict=True)
    )
    return Encoded(
        queries=encode_contents(model, queries, roles[0], batch_size, f"Queries, {name}"),
        index=encode_contents(model, index, roles[1], batch_size, f"Index, {name}"),
        query_texts=query_texts,
        index_texts=index_texts,
        seen_queries=seen_queries,
        seen_index=seen_index,
    )


def _read(
    model: SentenceTransformer, contents: Contents, prompt: str, trained: Digests | None
) -> tuple[CutTexts | None, int]:
    """Return what the model's length does to texts, and how many are nothing new to it."""
    if not contents.are_texts:
        return None, 0
    counts, digests = cut_texts(model, contents.texts(), prompt)
    return counts, 0 if trained is None else int(np.isin(digests, trained).sum())
