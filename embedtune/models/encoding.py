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
from embedtune.progress import progress

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
        batch_size: Contents per forward pass; texts on a CPU are cut by tokens, see `parts`.
        description: What the progress bar says.
        precision: One of `options.PRECISIONS`.

    Returns:
        Vectors (N, d) in the order of `contents`.

    Raises:
        ModelError: the model does not read such contents or has no fixed dimension, the device lacks the precision, or
            the GPU cannot hold a batch.
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
        for start in range(0, len(order), step):
            part = order[start : start + step]
            vectors[part] = _encode(model, [contents[position] for position in part], prompt, chosen)
            advance(len(part))
    return vectors


@torch.inference_mode()
def _encode(
    model: SentenceTransformer, contents: list[Content], prompt: str, precision: str
) -> npt.NDArray[np.float32]:
    try:
        features = batch_to_device(model.preprocess(contents, prompt=prompt if prompt else None), model.device)
        vectors = vectors_in_parts(model, features, precision)[:, : embedding_dimension(model)]
        return vectors.cpu().numpy()
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The GPU has too little memory to encode {len(contents)} contents at a time. Halve the batch size "
            "(batch_size of eval_options in a run; vectors do not depend on it), or free memory that others hold."
        ) from error
