"""The model as MLflow serves it: texts, images or points in, vectors out. MLflow copies this file beside the model.

For models made of the modules of sentence-transformers it imports nothing of embedtune, so a serving image needs only
what the model's `requirements.txt` names; a model with modules of our own (GeM, PointNet) names embedtune there. It
loads safetensors from the model's own folder, runs no code that comes with a model, opens no path and no address that
it is sent, and reaches no network. MLflow's own sentence-transformers flavour always trusts a model's code (3.17),
hence this file.
"""

import base64
import binascii
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

_OWN_MODULES = "embedtune."
_MAX_IMAGE_CHARACTERS = 32 << 20
"""Of an image in base64: 24 MB of file."""
_MAX_PIXELS = 50_000_000
"""Of an image, told from its header before it is decoded: 150 MB in memory."""
_MAX_POINTS = 1_000_000
"""Of a cloud."""


class EmbeddingModel(PythonModel):
    """Encodes texts, images or points with a sentence-transformers folder."""

    _model: "SentenceTransformer"

    def load_context(self, context: PythonModelContext) -> None:
        """Load the model.

        Raises:
            ValueError: the folder holds a file that could run code.
        """
        folder = Path(context.artifacts[_MODEL_ARTIFACT])
        unsafe = sorted(path.name for path in folder.rglob("*") if path.suffix.lower() in _EXECUTABLE_SUFFIXES)
        if unsafe:
            raise ValueError(f"The model folder holds {unsafe[0]!r}, which could run code. Only safetensors load.")
        self._model = _loader(folder)(str(folder), local_files_only=True, model_kwargs={"use_safetensors": True})

    # The annotation decides what MLflow does: DataFrame leaves the checks to the model's signature, which turns a list
    # into a DataFrame with a column 0; list[str] would refuse every DataFrame over REST (MLflow 3.17).
    def predict(self, model_input: pd.DataFrame) -> np.ndarray:  # type: ignore[override]  # MLflow takes the short form
        """Encode contents.

        Args:
            model_input: One column: 'text' (unnamed where the caller gave a list), 'image' (a JPEG or PNG file in
                base64) or 'points' (lists of [x, y, z]), as far as the model reads them.

        Returns:
            (N, d) float32, one row per content.

        Raises:
            ValueError: the column has another name, or a value is none of its kind.
        """
        contents = _contents(model_input, [name for name in _READERS if name in _columns(self._model)])
        if not contents:
            return np.empty((0, self._model.get_embedding_dimension() or 0), dtype=np.float32)
        return np.asarray(self._model.encode(contents, show_progress_bar=False), dtype=np.float32)


def _loader(folder: Path) -> Callable[..., "SentenceTransformer"]:
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    if any(str(module["type"]).startswith(_OWN_MODULES) for module in modules):
        from embedtune.models.own_modules import load_folder

        return load_folder
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer


def _columns(model: "SentenceTransformer") -> set[str]:
    return {str(modality) for modality in model.modalities}


def _contents(table: pd.DataFrame, accepted: list[str]) -> list[Any]:
    # MLflow keeps only the first column of a wider table, so the name is the one sign that it is the wrong one.
    column = table.columns[0]
    name = _TEXT_COLUMN if column == 0 and not isinstance(column, str) else column
    if name not in accepted or len(table.columns) > 1:
        listed = " or ".join(map(repr, accepted))
        given = f"The first column is {column!r}" if len(table.columns) == 1 or name not in accepted else "Several came"
        raise ValueError(f"{given}. Give a list of texts or one column named {listed}.")
    return [_READERS[name](row, value) for row, value in enumerate(table.iloc[:, 0].tolist())]


def _text(row: int, value: Any) -> dict[str, str]:
    if not isinstance(value, str):
        raise ValueError(f"Row {row} holds {value!r}, which is no text. Every row needs a string.")
    # Wrapped, a text is a text for every model; bare, one that looks like an image's path or URL would be opened
    # or fetched by a model that also reads images.
    return {"text": value}


def _image(row: int, value: Any) -> Any:
    from PIL import Image, ImageOps

    wanted = f"Every row needs a JPEG or PNG file in base64, of up to {_MAX_PIXELS} pixels."
    if not isinstance(value, str) or len(value) > _MAX_IMAGE_CHARACTERS:
        what = f"{len(value)} characters" if isinstance(value, str) else f"a {type(value).__name__}"
        raise ValueError(f"Row {row} holds {what}, which is no image that is read. {wanted}")
    try:
        data = base64.b64decode(value, validate=True)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > _MAX_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            upright = ImageOps.exif_transpose(image)
            if upright.has_transparency_data:
                white = Image.new("RGBA", upright.size, "white")
                return Image.alpha_composite(white, upright.convert("RGBA")).convert("RGB")
            return upright.convert("RGB")
    except (binascii.Error, ValueError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"Row {row} is no image that is read ({error}). {wanted}") from error


def _points(row: int, value: Any) -> dict[str, np.ndarray]:
    wanted = f"Every row needs a list of 1 to {_MAX_POINTS} points [x, y, z], all finite numbers."
    try:
        points = np.array([np.asarray(point, np.float32) for point in value], np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Row {row} holds no points ({error}). {wanted}") from error
    if points.ndim != 2 or points.shape[1] != 3 or not 1 <= len(points) <= _MAX_POINTS or not np.isfinite(points).all():
        raise ValueError(f"Row {row} holds an array of the shape {points.shape} or one that is not finite. {wanted}")
    return {"points": points}


_READERS: dict[str, Callable[[int, Any], Any]] = {_TEXT_COLUMN: _text, "image": _image, "points": _points}


mlflow.models.set_model(EmbeddingModel())
