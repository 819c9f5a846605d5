"""Several models encode the same contents, one after the other."""

import gc
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.backbones import open_backbone
from embedtune.models.card import CutTexts, ModelCard, trained_layout
from embedtune.models.contents import READ_AS, Contents
from embedtune.models.cut_texts import cut_texts, load_training_tokens
from embedtune.models.devices import device_name
from embedtune.models.digests import Digests
from embedtune.models.encoding import encode_contents
from embedtune.models.loading import load_backbone, weights_digest
from embedtune.models.options import FLOAT32
from embedtune.models.roles import EncodingRole, index_role, prompt_of
from embedtune.models.trained_texts import load_trained


@dataclass(frozen=True)
class ModelToEncode:
    """A model, and what it is to the data."""

    name: str
    """Folder, known name or Hugging Face id, see `resolve_backbone`."""
    layout: str
    """Layout of the data that it is compared on or was trained on, which says what the index is encoded as."""
    version: str = ""
    """Which content of it, '' for the present one."""
    weights: str = ""
    """Digest that its weights must have, '' for any."""
    tokens: Digests | None = None
    """Of the token sequences that it was trained on, where queries and index that are read so are to be counted."""
    alone: Contents | None = None
    """What this model encodes beside the others, as the index; None for nothing."""

    @classmethod
    def backbone_of(cls, card: ModelCard, alone: Contents | None = None) -> "ModelToEncode":
        """Return what a tuned model started from, as it was published.

        Args:
            card: The tuned model's.
            alone: What it encodes beside the others.
        """
        return cls(card.backbone, card.layout, card.backbone_version, card.backbone_digest, alone=alone)

    @classmethod
    def tuned(cls, folder: Path) -> "ModelToEncode":
        """Return a tuned model.

        Raises:
            ModelError: it has no card, or what it keeps of its training texts is damaged.
        """
        return cls(str(folder), trained_layout(folder), tokens=load_training_tokens(folder))


@dataclass(frozen=True, eq=False)
class EncodedSet:
    """What one model made of further queries and another index."""

    queries: npt.NDArray[np.float32]
    """Vectors (N, d)."""
    index: npt.NDArray[np.float32]
    """Vectors (M, d)."""


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
    trained: Digests | None
    """What the model was trained on, see `trained_texts.load_trained`."""
    similarity: str
    """What the model itself names as the way to compare its vectors, such as 'cosine'."""
    index_per_second: float
    """Index documents encoded per second, by wall clock."""
    device: str
    """What they were encoded on, as its maker calls it, or 'CPU' with the number of threads."""
    further: Mapping[str, EncodedSet] = field(default_factory=dict)
    """Of each further set, by its name."""
    alone: npt.NDArray[np.float32] | None = None
    """Of what this model encoded beside the others (A, d); None where there was nothing."""


def encode_all(
    models: Mapping[str, ModelToEncode],
    queries: Contents,
    index: Contents,
    batch_size: int,
    further: Mapping[str, tuple[Contents, Contents]] = MappingProxyType({}),
) -> dict[str, Encoded]:
    """Encode queries and index with each model as it was published, one of them in memory at a time.

    Args:
        models: By the part that each plays, such as 'base'.
        queries: N contents.
        index: M contents.
        batch_size: Contents per forward pass.
        further: Further queries and their index, by name, which are encoded as the others are.

    Raises:
        ModelError: a model cannot be loaded, cannot read the contents, or has other weights than it must have.
    """
    encoded: dict[str, Encoded] = {}
    for part, model in models.items():
        encoded[part] = _encode_with(part, model, queries, index, batch_size, further)
        gc.collect()  # a model refers to itself, so what held it is not all that does
    return encoded


def _encode_with(
    part: str,
    model: ModelToEncode,
    queries: Contents,
    index: Contents,
    batch_size: int,
    further: Mapping[str, tuple[Contents, Contents]],
) -> Encoded:
    with open_backbone(model.name, model.version) as backbone:
        # Cut at another model's length, one that reads more would lose to one that is no better.
        loaded, trained = load_backbone(backbone, 0), load_trained(backbone)
    if model.weights and weights_digest(loaded) != model.weights:
        raise ModelError(
            f"Backbone {model.name!r} has other weights now than when the model was fine-tuned from it, so a "
            "comparison would be with something else. Fine-tune again, or name a fixed folder as the backbone."
        )
    for each in ((queries, index), *further.values()):
        _check_reads(loaded, model.name, *each)
    roles = (EncodingRole.QUERY, index_role(model.layout))
    (query_texts, seen_queries), (index_texts, seen_index) = (
        _read(loaded, contents, prompt_of(loaded, role), model.tokens)
        for contents, role in zip((queries, index), roles, strict=True)
    )
    # What decides on a promotion is the same on every machine; bfloat16 moves nDCG@10 of 70 queries by up to 0.004.
    encode = partial(encode_contents, precision=FLOAT32)
    query_vectors = encode(loaded, queries, roles[0], batch_size, f"Queries, {part} model")
    start = time.perf_counter()  # the queries have warmed up what is slow once
    index_vectors = encode(loaded, index, roles[1], batch_size, f"Index, {part} model")
    seconds = time.perf_counter() - start
    return Encoded(
        queries=query_vectors,
        index=index_vectors,
        query_texts=query_texts,
        index_texts=index_texts,
        seen_queries=seen_queries,
        seen_index=seen_index,
        trained=trained,
        similarity=str(loaded.similarity_fn_name),
        index_per_second=len(index) / seconds,
        device=device_name(loaded.device),
        further={
            name: EncodedSet(
                encode(loaded, asked, roles[0], batch_size, f"Queries of {name}, {part} model"),
                encode(loaded, searched, roles[1], batch_size, f"Index of {name}, {part} model"),
            )
            for name, (asked, searched) in further.items()
        },
        alone=(
            None
            if model.alone is None
            else encode(loaded, model.alone, roles[1], batch_size, f"Training documents, {part} model")
        ),
    )


def _check_reads(model: SentenceTransformer, name: str, queries: Contents, index: Contents) -> None:
    wanted = {READ_AS[kind] for kind in queries.kinds | index.kinds}
    if not wanted <= set(model.modalities):
        read, asked = (" and ".join(sorted(map(str, kinds))) for kinds in (model.modalities, wanted))
        raise ModelError(
            f"{name!r} reads {read}, but the held-out contents are {asked}. Compare models that read the same."
        )


def _read(
    model: SentenceTransformer, contents: Contents, prompt: str, trained: Digests | None
) -> tuple[CutTexts | None, int]:
    """Return what the model's length does to texts, and how many are nothing new to it."""
    if not contents.are_texts:
        return None, 0
    counts, digests = cut_texts(model, contents.texts(), prompt)
    return counts, 0 if trained is None else int(np.isin(digests, trained).sum())
