"""A backbone becomes the model to train: tower, pooling, projection head, normalisation, prompts, what is frozen."""

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling
from torch import nn

from embedtune.errors import UnfitModelError
from embedtune.models.freezing import freeze
from embedtune.models.modules.gem import GeM
from embedtune.models.options import ModelOptions
from embedtune.models.towers import take_tower
from embedtune.progress import note


def tailor(model: SentenceTransformer, options: ModelOptions, seed: int) -> SentenceTransformer:
    """Change a model as asked.

    A classification head of a Hugging Face model is gone already: transformers loads its body only.

    Args:
        model: The backbone; its parts are used again.
        options: What to change.
        seed: Draws the weights of a new head.

    Returns:
        The changed model; `model` itself where nothing but weights is concerned.

    Raises:
        UnfitModelError: the backbone has no two towers, or no tokens to pool, or nothing of it matches what is to be
            frozen.
    """
    parts = take_tower(model, options.select_model) if options.select_model else list(model)
    if options.pooling:
        parts = _pooled(parts, options)
    if options.output_dim:
        parts = _projected(parts, options.output_dim, seed)
    if options.normalize is not None:
        parts = [part for part in parts if not isinstance(part, Normalize)]
        parts += [Normalize()] if options.normalize else []
    tailored = model if parts == list(model) else _assembled(model, parts)
    for name, prompt in (("query", options.query_prompt), ("document", options.document_prompt)):
        if prompt is not None:
            tailored.prompts[name] = prompt
    freeze(tailored, options.freeze)
    return tailored


def _pooled(parts: list[nn.Module], options: ModelOptions) -> list[nn.Module]:
    places = [place for place, part in enumerate(parts) if isinstance(part, Pooling | GeM)]
    if len(places) != 1:
        raise UnfitModelError(
            f"model_options: pooling is {options.pooling!r}, but the backbone gives one vector for a content by itself "
            "(CLIP, SigLIP and models for meshes do). Leave pooling empty, or choose a backbone with tokens."
        )
    dimension = int(parts[places[0]].get_embedding_dimension())  # type: ignore[operator]
    if options.pooling == "gem":
        pooling: nn.Module = GeM(dimension, options.pooling_p, options.pooling_eps)
    else:
        pooling = Pooling(dimension, options.pooling)
    return [*parts[: places[0]], pooling, *parts[places[0] + 1 :]]


def _projected(parts: list[nn.Module], dimension: int, seed: int) -> list[nn.Module]:
    """Put one linear layer below the normalisation: the one head that servers of embeddings can run."""
    place = next((number for number, part in enumerate(parts) if isinstance(part, Normalize)), len(parts))
    before = next(
        int(part.get_embedding_dimension())  # type: ignore[operator]
        for part in reversed(parts[:place])
        if hasattr(part, "get_embedding_dimension") and part.get_embedding_dimension() is not None  # type: ignore[operator]
    )
    if dimension > before:
        note(
            f"model_options: output_dim is {dimension}, but the backbone gives {before} components: the head adds size "
            f"to every vector and no information. {before} or fewer are enough."
        )
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = Dense(before, dimension, bias=True, activation_function=nn.Identity())
    return [*parts[:place], head, *parts[place:]]


def _assembled(model: SentenceTransformer, parts: list[nn.Module]) -> SentenceTransformer:
    return SentenceTransformer(
        modules=parts,
        device=str(model.device),
        prompts={name: prompt for name, prompt in model.prompts.items() if prompt is not None},
        default_prompt_name=model.default_prompt_name,
        similarity_fn_name=model.similarity_fn_name,
    )
