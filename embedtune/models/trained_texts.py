"""Which contents a model was trained on, as digests in its folder. Imports no torch.

A model that is tuned again keeps those of its backbone, so a chain of tunings knows all that any of them saw.
"""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedtune.documents.grouping import content_key
from embedtune.errors import ModelError
from embedtune.models.backbones import Backbone, Place

TRAINED_FILE = "trained-contents.npy"
"""In a model folder: what `save_trained` writes, a NumPy array that any reader of that format reads."""

Digests = npt.NDArray[np.uint64]
"""Of contents, 8 bytes each. Among a million contents and a million others, one is taken for another by chance once in
18 million evaluations."""

_BYTES = 8


def trained_digests(contents: Iterable[str | bytes]) -> Digests:
    """Return the digest of each of N contents; texts that the split takes for the same have the same (N,).

    Args:
        contents: Texts, or the stored bytes of other contents.
    """
    keys = (content_key(each).encode() if isinstance(each, str) else each for each in contents)
    return np.frombuffer(b"".join(hashlib.blake2b(key, digest_size=_BYTES).digest() for key in keys), "<u8")


def save_trained(folder: Path, digests: Digests, inherited: Digests | None) -> None:
    """Write into a model folder what it and its backbone were trained on.

    Args:
        folder: The model's folder.
        digests: Of the training contents, in any order.
        inherited: What `load_trained` returned for the backbone.
    """
    found = digests if inherited is None else np.concatenate([digests, inherited])
    np.save(folder / TRAINED_FILE, np.unique(found).astype("<u8"), allow_pickle=False)


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
        return _read(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"Backbone {backbone.name!r}: {TRAINED_FILE} is damaged ({error}), so it is not known which texts it was "
            "trained on. Copy the model anew, or fine-tune it again."
        ) from error


def _read(path: Path) -> Digests:
    """Read an array as `save_trained` writes it, and no other that the format can hold."""
    with path.open("rb") as file:
        form = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0(file) if form == (1, 0) else None
        content = file.read()
    if header != ((len(content) // _BYTES,), False, np.dtype("<u8")) or len(content) % _BYTES:
        raise ValueError("it is no row of 8-byte numbers, or cut")
    digests = np.frombuffer(content, "<u8")
    if (digests[1:] <= digests[:-1]).any():
        raise ValueError("its numbers do not ascend")
    return digests


def _fetched(backbone: Backbone) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

    try:
        return Path(
            hf_hub_download(
                backbone.location,
                TRAINED_FILE,
                revision=backbone.commit if backbone.commit else None,
                cache_dir=os.environ.get("SENTENCE_TRANSFORMERS_HOME"),
            )
        )
    except EntryNotFoundError:
        return None
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(
            f"Backbone {backbone.name!r}: whether it has a file {TRAINED_FILE} cannot be found out: {error} Try again."
        ) from error
