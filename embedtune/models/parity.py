"""Does the saved model give the vectors of the trained one?"""

import math
from pathlib import Path

import numpy as np
from sentence_transformers import SentenceTransformer

from embedtune.errors import ModelError
from embedtune.models.loading import load_model

TOLERANCE = 1e-5
"""Largest accepted absolute difference of a vector component in float32."""

PROBE_TEXTS = (
    "a",
    "Where is my parcel?",
    "The quick brown fox jumps over the lazy dog.",
    "¿Dónde está la biblioteca? Straße, naïve, 東京, мир, 🙂",
    "line one\nline two\ttabbed   and   spaced",
    "https://example.org/picture.png",
    "1234567890 +-*/=<>{}[]()'\"\\",
    "a longer text that goes on until it is cut " * 60,
)
"""Fixed texts: short, long beyond the limit, other scripts, and one that looks like an image address."""


def check_parity(model: SentenceTransformer, folder: Path) -> float:
    """Compare the model in memory with its folder, reloaded.

    Returns:
        The largest absolute difference over all components of the vectors of PROBE_TEXTS.

    Raises:
        ModelError: it is above TOLERANCE, or the trained model gives vectors that are no numbers.
    """
    model.eval()
    expected = np.asarray(model.encode(list(PROBE_TEXTS), show_progress_bar=False))
    if not np.isfinite(expected).all():
        raise ModelError("The trained model's vectors are no numbers. Lower the learning rate and train again.")
    reloaded = np.asarray(load_model(str(folder), 0).encode(list(PROBE_TEXTS), show_progress_bar=False))
    same_shape = expected.shape == reloaded.shape
    difference = float(np.abs(expected - reloaded).max()) if same_shape else math.inf
    if not difference <= TOLERANCE:
        raise ModelError(
            f"The saved model gives other vectors than the trained one: they differ by up to {difference:.2e}, "
            f"accepted is {TOLERANCE:.0e}. Nothing was kept. Please report this backbone."
        )
    return difference
