"""How a model lies in MLflow: the names of its files, and which may be among them."""

from pathlib import PurePosixPath

DESCRIPTION = "MLmodel"
"""MLflow's description of a model, in YAML."""

ARTIFACT = "model"
MODEL_FOLDER = f"artifacts/{ARTIFACT}"
"""Where the sentence-transformers folder is, beside the description."""

DIGESTS = "sha256"
"""Key of the description's metadata with the SHA-256 of each file of that folder, in hexadecimal, by its name."""

EXECUTABLE_SUFFIXES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".py")
"""Files that run code when they are loaded; `serving_model.py` refuses them too and cannot import from here."""


def is_executable(name: str) -> bool:
    """Tell by its name whether a file could run code when it is loaded."""
    return PurePosixPath(name).suffix.lower() in EXECUTABLE_SUFFIXES
