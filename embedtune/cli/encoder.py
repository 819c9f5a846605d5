"""A model that is loaded when it is first needed: that takes seconds, which data that cannot be read need not cost."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedtune.errors import ModelError
from embedtune.importing import importing
from embedtune.models.backbones import Backbone, Place
from embedtune.models.card import CARD_FILE, ModelCard, trained_layout
from embedtune.models.options import TOWERS
from embedtune.models.roles import EncodingRole, index_role
from embedtune.progress import note
from embedtune.records.layouts import Modality
from embedtune.records.rows import IngestReport

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from embedtune.models.contents import Contents


class Encoder:
    """Encodes contents of the kinds that a model reads."""

    def __init__(self, backbone: Backbone, batch_size: int) -> None:
        """Look at the model's card; the model itself is not loaded yet.

        Args:
            backbone: The model, in a folder where it has one.
            batch_size: Contents per forward pass.

        Raises:
            ModelError: the card cannot be read.
        """
        folder = Path(backbone.location)
        has_card = backbone.place is Place.FOLDER and (folder / CARD_FILE).is_file()
        self._layout = trained_layout(folder) if has_card else ""
        self.reading = _reading(folder) if has_card else None
        """How the training data were read; None where nobody said, or the model was not trained here."""
        self._backbone = backbone
        self._batch_size = batch_size

    @property
    def index_role(self) -> EncodingRole:
        """What is searched in is encoded as: as the model was trained, where it says so."""
        return index_role(self._layout)

    def kinds(self, tower: str = "") -> frozenset[Modality]:
        """Return what a tower reads, of `models.options.TOWERS`; all that the model reads for ''."""
        if tower:
            return frozenset({TOWERS[tower]})
        from embedtune.models.contents import READ_AS

        return frozenset(kind for kind, name in READ_AS.items() if name in self._model.modalities)

    def encode(self, contents: "Contents", role: EncodingRole) -> np.ndarray:
        """Return the vectors of contents (N, d), float32.

        Raises:
            ModelError: the model cannot be loaded, or does not read such contents.
        """
        from embedtune.models.encoding import encode_contents

        return encode_contents(self._model, contents, role, self._batch_size, "Encoding")

    @cached_property
    def _model(self) -> "SentenceTransformer":
        with importing("sentence_transformers"):  # seconds; `embedtune --help` must not take them
            from embedtune.models.loading import load_backbone

        return load_backbone(self._backbone, 0)


def _reading(folder: Path) -> IngestReport | None:
    try:
        return ModelCard.load(folder).reading
    except ModelError as error:
        note(
            f"{error} The model is used without: it is not known how its training data were read, so a table like "
            "these is read like any other."
        )
        return None
