"""Texts become vectors."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.models.loading import embedding_dimension
from embedtune.progress import progress

_BATCHES_PER_CALL = 16
"""Batches between two signs of progress; `SentenceTransformer.encode` itself shows none that a pod's log can hold."""


def encode_texts(
    model: SentenceTransformer, texts: Sequence[str], batch_size: int, description: str
) -> npt.NDArray[np.float32]:
    """Encode texts, longest first so that a batch wastes little padding.

    Args:
        model: The embedding model.
        texts: N texts; they are never taken for paths or URLs.
        batch_size: Texts per forward pass.
        description: What the progress bar says.

    Returns:
        Vectors (N, d) in the order of `texts`.

    Raises:
        ModelError: the model has no fixed dimension.
    """
    vectors = np.zeros((len(texts), embedding_dimension(model)), dtype=np.float32)
    order = sorted(range(len(texts)), key=lambda position: -len(texts[position]))
    step = batch_size * _BATCHES_PER_CALL
    with progress(description, len(texts), "texts") as advance:
        for start in range(0, len(order), step):
            part = order[start : start + step]
            vectors[part] = model.encode(
                [texts[position] for position in part],
                batch_size=batch_size,
                show_progress_bar=False,
                convert_to_numpy=True,
            )
            advance(len(part))
    return vectors
