"""Which contents a model was trained on, as digests in its folder. Imports no torch.

A model that is tuned again keeps those of its backbone, so a chain of tunings knows all that any of them saw.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from embedtune.documents.distinct_contents import content_key
from embedtune.errors import ModelError
from embedtune.models.backbones import Backbone, Place, hub_cache
from embedtune.models.digests import Digests, digests_of, load_digests, save_digests

TRAINED_FILE = "trained-contents.npy"
"""In a model folder: what `save_trained` writes."""


def trained_digests(contents: Iterable[str | bytes]) -> Digests:
    """Return the digest of each of N contents; texts that the split takes for the same have the same (N,).

    Args:
        contents: Texts, or the stored bytes of other contents.
    """
    return digests_of(content_key(each).encode() if isinstance(each, str) else each for each in contents)


def save_trained(folder: Path, digests: Digests, inherited: Digests | None) -> None:
    """Write into a model folder what it and its backbone were trained on.

    Args:
        folder: The model's folder.
        digests: Of the training contents, in any order.
        inherited: What `load_trained` returned for the backbone.
    """
    save_digests(folder / TRAINED_FILE, digests if inherited is None else np.concatenate([digests, inherited]))


def load_trained(backbone: Backbone) -> Digests | None:
    """Read what `save_trained` wrote.

    Args:
        backbone: A model in a folder or on the hub.

    Returns:
        Digests, ascending; None of a model that embedtune did not tune, or did before it kept them.

    Raises:
        ModelError: the file is damaged or out of reach.
    """
    if backbone.place is Place.MADE:
        return None
    path = Path(backbone.location, TRAINED_FILE) if backbone.place is Place.FOLDER else _fetched(backbone)
    if path is None or not path.exists():
        return None
    try:
        return load_digests(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Backbone {backbone.name!r}: {TRAINED_FILE} is damaged ({error}), so it is not known which texts it was "
            "trained on. Copy the model anew, or fine-tune it again."
        ) from error


def _fetched(backbone: Backbone) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        return Path(
            hf_hub_download(
                backbone.location,
                TRAINED_FILE,
                revision=backbone.commit if backbone.commit else None,
                cache_dir=hub_cache(),
            )
        )
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"Backbone {backbone.name!r}: whether it has a file {TRAINED_FILE} cannot be found out: {error} Try again."
        ) from error
