"""The facts a model folder carries about itself, in `embedtune.json`. Imports no torch."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ModelError

CARD_FILE = "embedtune.json"


@dataclass(frozen=True)
class LossPoint:
    """The training loss at one logged step."""

    step: int
    """Optimizer steps done, 1-based."""
    epoch: float
    """Passes over the training documents done."""
    loss: float
    """Mean loss since the point before."""


@dataclass(frozen=True)
class ModelCard:
    """Where a fine-tuned model comes from and what it is."""

    backbone: str
    """Name the user gave."""
    backbone_digest: str
    """`sha256:` of the backbone's weights, so that an evaluation compares with the same start."""
    dimension: int
    """Number of components of a vector."""
    max_length: int
    """Tokens after which a text is cut."""
    layout: str
    train_documents: int
    data_digest: str
    """Digest of the training documents folder."""
    options: dict[str, object]
    """The fine-tuning step's configuration."""
    history: tuple[LossPoint, ...]
    seconds: float
    """Wall time of the training loop."""
    texts_per_second: float
    """Texts embedded in training per second of wall time."""
    versions: dict[str, str]
    """Versions of the libraries that produced the model."""
    parity_max_difference: float
    """Largest absolute difference of a vector component between the trained model and its reloaded folder."""

    def save(self, folder: Path) -> None:
        """Write `embedtune.json` into a model folder."""
        text = json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False)
        (folder / CARD_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "ModelCard":
        """Read `embedtune.json` from a model folder.

        Raises:
            ModelError: there is none, or it is not one of ours.
        """
        path = folder / CARD_FILE
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            data["history"] = tuple(LossPoint(**point) for point in data["history"])
            return cls(**data)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelError(
                f"{folder} holds no {CARD_FILE}, so it is not a model that embedtune fine-tuned. "
                "Give the 'model' output of the fine-tuning step."
            ) from error
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{path} cannot be read ({error}). Fine-tune again.") from error
