"""Contents become vectors."""

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.util import batch_to_device

from embedtune.errors import ModelError
from embedtune.models.contents import READ_AS, Content, Contents
from embedtune.models.loading import embedding_dimension
from embedtune.models.options import AUTO_PRECISION
from embedtune.models.parts import goes_in_parts, vectors_in_parts
from embedtune.models.precision import chosen_precision
from embedtune.models.roles import EncodingRole, prompt_of
from embedtune.progress import note, progress

_TEXTS_PER_CALL = 1024
"""Texts that are tokenised at once, where they are cut into parts then; between two signs of progress, too."""


def check_reads(model: SentenceTransformer, contents: Contents) -> None:
    """Check that a model reads contents.

    Raises:
        ModelError: it does not.
    """
    kinds = {known: kind for kind, known in READ_AS.items()}
    unread = sorted(kind.plural for kind in contents.kinds if READ_AS[kind] not in model.modalities)
    if unread:
        read = " and ".join(kinds[str(one)].plural for one in model.modalities if str(one) in kinds)
        raise ModelError(
            f"The model reads {read}, but there are {' and '.join(unread)}. Use a model that reads these; "
            "`embedtune models` lists some for each kind."
        )


def encode_contents(
    model: SentenceTransformer,
    contents: Contents,
    role: EncodingRole,
    batch_size: int,
    description: str,
    precision: str = AUTO_PRECISION,
) -> npt.NDArray[np.float32]:
    """Encode contents of one kind, the largest first so that a batch of texts wastes little padding.

    Args:
        model: The embedding model.
        contents: N contents; texts are never taken for paths or addresses, and only a batch of images is decoded.
        role: What they are in a search; it chooses the prompt of the model.
        batch_size: Contents per forward pass, halved where they do not fit into memory; texts on a CPU are cut by
            tokens, see `parts`.
        description: What the progress bar says.
        precision: One of `options.PRECISIONS`.

    Returns:
        Vectors (N, d) in the order of `contents`.

    Raises:
        ModelError: the model does not read such contents or has no fixed dimension, the device lacks the precision, or
            the GPU cannot hold a single content.
    """
    check_reads(model, contents)
    chosen = chosen_precision(model, precision)
    vectors = np.zeros((len(contents), embedding_dimension(model)), dtype=np.float32)
    order = np.argsort(-contents.sizes(), kind="stable").tolist()
    in_parts = contents.are_texts and goes_in_parts(model)
    step = max(batch_size, _TEXTS_PER_CALL) if in_parts else batch_size
    prompt = prompt_of(model, role) if contents.are_texts else ""
    model.eval()
    with progress(description, len(contents), contents.unit) as advance:
        start = 0
        while start < len(order):
            part = order[start : start + step]
            encoded = _encode(model, [contents[position] for position in part], prompt, chosen)
            if encoded is None:
                step = _halved(len(part))
            else:
                vectors[part] = encoded
                start += len(part)
                advance(len(part))
    return vectors


@torch.inference_mode()
def _encode(
    model: SentenceTransformer, contents: list[Content], prompt: str, precision: str
) -> npt.NDArray[np.float32] | None:
    """Return the vectors; None where memory does not hold so many contents."""
    try:
        features = batch_to_device(model.preprocess(contents, prompt=prompt if prompt else None), model.device)
        vectors = vectors_in_parts(model, features, precision)[:, : embedding_dimension(model)]
        return vectors.cpu().numpy()
    except torch.OutOfMemoryError:
        return None


def _halved(size: int) -> int:
    """Return half of a number of contents, and say so.

    Raises:
        ModelError: it is one content.
    """
    if size == 1:
        raise ModelError(
            "The GPU has too little memory to encode a single content. Free memory that others hold, lower "
            "max_length, or take a smaller model."
        )
    note(
        f"The GPU has too little memory to encode {size} contents at a time: from here on it is {size // 2}, which "
        "gives the same vectors. A smaller batch_size (in a run, of eval_options) saves the trial."
    )
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return size // 2
