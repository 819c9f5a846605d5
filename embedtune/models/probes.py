"""Fixed contents of each kind, by which two forms of one model are compared. Imports no torch."""

from collections.abc import Container

import numpy as np
from PIL import Image

from embedtune.models.contents import Content
from embedtune.records.layouts import Modality

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
"""Short, long beyond the limit, other scripts, and one that looks like an image address."""

_SIDES = ((1, 1), (64, 48), (300, 500))
_POINTS = (1, 500, 3000)


def probes(modalities: Container[object]) -> list[list[Content]]:
    """Return contents that a model reads, one list for each kind.

    Args:
        modalities: What the model reads, as sentence-transformers names it.
    """
    draw = np.random.default_rng(0)
    found: list[list[Content]] = []
    if "text" in modalities:
        found.append([{"text": text} for text in PROBE_TEXTS])
    if Modality.IMAGE.value in modalities:
        pixels = [draw.integers(0, 256, (height, width, 3), np.uint8) for width, height in _SIDES]
        found.append([*map(Image.fromarray, pixels), Image.new("RGB", (32, 32), "white")])
    if "points" in modalities:
        found.append([{"points": draw.normal(size=(count, 3)).astype(np.float32)} for count in _POINTS])
    return found
