"""The model as MLflow serves it: texts in, vectors out. MLflow copies this file beside the model and runs it there.

It imports nothing of embedtune, so a serving image needs only what the model's `requirements.txt` names. It loads
safetensors from the model's own folder, runs no code that comes with a model, and reaches no network. MLflow's own
sentence-transformers flavour always trusts a model's code (3.17), hence this file.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel, PythonModelContext

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_MODEL_ARTIFACT = "model"
_TEXT_COLUMN = "text"
_EXECUTABLE_SUFFIXES = (".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth", ".py")
"""Files that run code when they are loaded."""


class EmbeddingModel(PythonModel):
    """Encodes texts with a sentence-transformers folder."""

    _model: "SentenceTransformer"

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model.

        Raises:
            ValueError: the folder holds a file that could run code.
        """
        from sentence_transformers import SentenceTransformer

        folder = Path(context.artifacts[_MODEL_ARTIFACT])
        unsafe = sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in _EXECUTABLE_SUFFIXES)
        if unsafe:
            raise ValueError(f"The model folder holds {unsafe[0]!r}, which could run code. Only safetensors load.")
        self._model = SentenceTransformer(
            str(folder), trust_remote_code=False, local_files_only=True, model_kwargs={"use_safetensors": True}
        )

    # The annotation decides what MLflow does: DataFrame leaves the checks to the model's signature, which turns a list
    # into a DataFrame with a column 0; list[str] would refuse every DataFrame over REST (MLflow 3.17).
    def predict(self, model_input: pd.DataFrame) -> np.ndarray:  # type: ignore[override]  # MLflow takes the short form
        """Encode texts.

        Args:
            model_input: One column: 'text', or unnamed where the caller gave a list.

        Returns:
            (N, d) float32, one row per text.

        Raises:
            ValueError: the column has another name, or a value is no text.
        """
        texts = _texts(model_input)
        if not texts:
            return np.empty((0, self._model.get_embedding_dimension() or 0), dtype=np.float32)
        # Wrapped, a text is a text for every model; bare, one that looks like an image's path or URL would be opened
        # or fetched by a model that also reads images.
        wrapped = [{"text": text} for text in texts]
        return np.asarray(self._model.encode(wrapped, show_progress_bar=False), dtype=np.float32)


def _texts(table: pd.DataFrame) -> list[str]:
    # MLflow keeps only the first column of a wider table, so the name is the one sign that it is the wrong one.
    column = table.columns[0]
    if column not in (0, _TEXT_COLUMN):
        raise ValueError(f"The first column is {column!r}. Give a list of texts or one column named {_TEXT_COLUMN!r}.")
    texts: list[str] = table.iloc[:, 0].tolist()
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"Row {row} holds {text!r}, which is no text. Every row needs a string.")
    return texts


mlflow.models.set_model(EmbeddingModel())
