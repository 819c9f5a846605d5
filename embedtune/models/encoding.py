"""Contents become vectors."""

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.contents import READ_AS, Content, Contents
from embedtune.models.loading import embedding_dimension
from embedtune.models.roles import EncodingRole, prompt_of
from embedtune.progress import progress

_BATCHES_PER_CALL = 16
"""Batches of texts between two signs of progress; `SentenceTransformer.encode` itself shows none that a pod's log can
hold. It is handed one batch of images or meshes at a time, since it wants all of them decoded."""


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
    model: SentenceTransformer, contents: Contents, role: EncodingRole, batch_size: int, description: str
) -> npt.NDArray[np.float32]:
    """Encode contents of one kind, the largest first so that a batch of texts wastes little padding.

    Args:
        model: The embedding model.
        contents: N contents; texts are never taken for paths or addresses, and only a batch of images is decoded.
        role: What they are in a search; it chooses the prompt of the model.
        batch_size: Contents per forward pass.
        description: What the progress bar says.

    Returns:
        Vectors (N, d) in the order of `contents`.

    Raises:
        ModelError: the model does not read such contents or has no fixed dimension, or the GPU cannot hold a batch.
    """
    check_reads(model, contents)
    vectors = np.zeros((len(contents), embedding_dimension(model)), dtype=np.float32)
    order = np.argsort(-contents.sizes(), kind="stable").tolist()
    step = batch_size * (_BATCHES_PER_CALL if contents.are_texts else 1)
    prompt = prompt_of(model, role)
    with progress(description, len(contents), contents.unit) as advance:
        for start in range(0, len(order), step):
            part = order[start : start + step]
            vectors[part] = _encode(
                model, [contents[position] for position in part], prompt if contents.are_texts else "", batch_size
            )
            advance(len(part))
    return vectors


def _encode(
    model: SentenceTransformer, contents: list[Content], prompt: str, batch_size: int
) -> npt.NDArray[np.float32]:
    try:
        vectors: npt.NDArray[np.float32] = model.encode(
            contents, prompt=prompt, batch_size=batch_size, show_progress_bar=False, convert_to_numpy=True
        )
    except torch.OutOfMemoryError as error:
        raise ModelError(
            f"The GPU has too little memory to encode {batch_size} contents at a time. Halve the batch size "
            "(batch_size of eval_options in a run; vectors do not depend on it), or free memory that others hold."
        ) from error
    return vectors
