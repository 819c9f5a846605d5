"""Does the saved model give the vectors of the trained one?"""

import math
from collections.abc import Container
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError, UnfitModelError
from embedtune.models.loading import load_model
from embedtune.models.probes import probes

TOLERANCE = 1e-5
"""Largest accepted absolute difference of a vector component in float32."""


def check_parity(model: SentenceTransformer, folder: Path) -> float:
    """Compare the model in memory with its folder, reloaded.

    Returns:
        The largest absolute difference over all components of the vectors of all probes that the model reads.

    Raises:
        ModelError: it is above TOLERANCE; as UnfitModelError: the trained model gives vectors that are no numbers.
    """
    model.eval()
    expected = probe_vectors(model, model.modalities)
    if not np.isfinite(expected).all():
        raise UnfitModelError("The trained model's vectors are no numbers. Lower the learning rate and train again.")
    difference = largest_difference(expected, probe_vectors(load_model(str(folder), 0), model.modalities))
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The saved model gives other vectors than the trained one: they differ by up to {difference:.2e}, "
            f"accepted is {TOLERANCE:.0e}. Nothing was kept. Please report this backbone."
        )
    return difference


def largest_difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    """Return the largest absolute difference of a component; infinity where the shapes are different."""
    return float(np.abs(one - other).max()) if one.shape == other.shape else math.inf


def probe_vectors(model: SentenceTransformer, modalities: Container[object]) -> npt.NDArray[np.float32]:
    """Return a model's vectors of the probes of some kinds (N, d), as sentence-transformers names them."""
    parts = [model.encode(contents, show_progress_bar=False) for contents in probes(modalities)]
    return np.concatenate([np.asarray(part, np.float32) for part in parts])
