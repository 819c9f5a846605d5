"""Does the saved model give the vectors of the trained one?"""

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.loading import load_model
from embedtune.models.probes import probes

TOLERANCE = 1e-5
"""Largest accepted absolute difference of a vector component in float32."""


def check_parity(model: SentenceTransformer, folder: Path) -> float:
    """Compare the model in memory with its folder, reloaded.

    Returns:
        The largest absolute difference over all components of the vectors of all probes that the model reads.

    Raises:
        ModelError: it is above TOLERANCE, or the trained model gives vectors that are no numbers.
    """
    model.eval()
    expected = _vectors(model)
    if not np.isfinite(expected).all():
        raise ModelError("The trained model's vectors are no numbers. Lower the learning rate and train again.")
    reloaded = _vectors(load_model(str(folder), 0))
    same_shape = expected.shape == reloaded.shape
    difference = float(np.abs(expected - reloaded).max()) if same_shape else math.inf
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The saved model gives other vectors than the trained one: they differ by up to {difference:.2e}, "
            f"accepted is {TOLERANCE:.0e}. Nothing was kept. Please report this backbone."
        )
    return difference


def _vectors(model: SentenceTransformer) -> npt.NDArray[np.float32]:
    parts = [model.encode(contents, show_progress_bar=False) for contents in probes(model.modalities)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])
