"""A changed model becomes a folder of its own, with what is known of the model that it was made from."""

import dataclasses
import shutil
from pathlib import Path

from sentence_transformers import SentenceTransformer

from embedtune.models.backbones import Backbone, Place
from embedtune.models.card import CARD_FILE, ModelCard
from embedtune.models.cut_texts import TRAINING_TOKENS_FILE
from embedtune.models.loading import embedding_dimension
from embedtune.models.parity import check_parity
from embedtune.models.saving import save_model, whole_folder
from embedtune.models.servers import servers_of
from embedtune.models.trained_texts import load_trained, save_trained


def save_changed(model: SentenceTransformer, source: Backbone, folder: Path) -> dict[str, str]:
    """Save a model that was changed, such as one tower of it.

    What the source was trained on goes along, so that a later evaluation still tells what is new to the model; of a
    model that embedtune tuned, the card too, with what is different now.

    Args:
        model: The changed model.
        source: What it was made from, in a folder where it has one.
        folder: Where to write it; it appears whole or not at all.

    Returns:
        Servers of embeddings, see `servers.servers_of`.

    Raises:
        ModelError: the saved model gives other vectors, or the source's card or list of contents is damaged.
        StorageError: the folder cannot be written.
    """
    trained = load_trained(source)
    with whole_folder(folder) as part:
        save_model(model, part)
        difference, servers = check_parity(model, part), servers_of(part)
        if trained is not None:
            save_trained(part, trained, None)
        tokens = Path(source.location, TRAINING_TOKENS_FILE)
        if source.place is Place.FOLDER and tokens.is_file() and "text" in model.modalities:
            shutil.copyfile(tokens, part / TRAINING_TOKENS_FILE)
        if source.place is Place.FOLDER and Path(source.location, CARD_FILE).is_file():
            card = ModelCard.load(Path(source.location))
            dataclasses.replace(
                card,
                dimension=embedding_dimension(model),
                max_length=int(model.max_seq_length or 0),
                parity_max_difference=difference,
                servers=servers,
            ).save(part)
    return servers
