"""What a model makes of texts before it reads them: which it cuts, and which it can no longer tell apart."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer

from embedtune.documents.distinct_contents import content_key
from embedtune.errors import ModelError
from embedtune.models.card import CutTexts
from embedtune.models.digests import Digests, digests_of, load_digests, save_digests
from embedtune.progress import progress

TRAINING_TOKENS_FILE = "training-tokens.npy"
"""In a model folder: digests of the token sequences that it was trained on."""

_BATCH = 1000


def cut_texts(model: SentenceTransformer, texts: Sequence[str], prompt: str = "") -> tuple[CutTexts, Digests]:
    """Count what is cut and what becomes alike, by one tokenisation of each different text.

    Args:
        model: A model of texts that has a transformer.
        texts: N texts.
        prompt: What the model puts before each text: it takes room, and is no part of the digests.

    Returns:
        The counts, and the digest of what is read of each text (N,).
    """
    distinct = list(dict.fromkeys(texts))
    tokenizer, length = model.tokenizer, int(model.max_seq_length or 0)
    ahead = len(tokenizer(prompt, add_special_tokens=False)["input_ids"]) if prompt else 0
    room = max(0, length - tokenizer.num_special_tokens_to_add() - ahead) if length else None
    kept = slice(0, room) if room is None or tokenizer.truncation_side == "right" else slice(-room, None)
    digests, cut, unknown = np.zeros(len(distinct), np.uint64), np.zeros(len(distinct), np.bool_), []
    with progress("Counting tokens", len(distinct), "texts") as advance:
        for start in range(0, len(distinct), _BATCH):
            part = distinct[start : start + _BATCH]
            found = tokenizer(part, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
            digests[start : start + len(part)] = digests_of(np.array(each[kept], "<u4").tobytes() for each in found)
            for number, tokens in enumerate(found, start):
                cut[number] = room is not None and len(tokens) > room
                unknown.append(tokenizer.unk_token_id in tokens[kept])
            advance(len(part))
    alike = _alike(digests, distinct)
    counts = CutTexts(
        texts=len(distinct),
        cut=int(cut.sum()),
        alike=int(alike.sum()),
        unknown=int((alike & ~cut & np.array(unknown, np.bool_)).sum()),
        max_length=length,
    )
    place = {text: number for number, text in enumerate(distinct)}
    return counts, digests[[place[text] for text in texts]]


def _alike(digests: Digests, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Tell which texts have the digest of one that is not merely another spelling (N,)."""
    _, group, sizes = np.unique(digests, return_inverse=True, return_counts=True)
    shared = np.flatnonzero(sizes[group] > 1)
    spellings = digests_of(content_key(texts[number]).encode() for number in shared.tolist())
    least, most = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64), np.zeros(len(sizes), np.uint64)
    np.minimum.at(least, group[shared], spellings)
    np.maximum.at(most, group[shared], spellings)
    return (most > least)[group]


def save_training_tokens(folder: Path, digests: Digests) -> None:
    """Write into a model folder what it was trained on, so that an evaluation can tell what is not new to it."""
    save_digests(folder / TRAINING_TOKENS_FILE, digests)


def load_training_tokens(folder: Path) -> Digests | None:
    """Read what `save_training_tokens` wrote; None where there is none, as of models of embedtune 0.1.

    Raises:
        ModelError: the file is damaged.
    """
    path = folder / TRAINING_TOKENS_FILE
    try:
        return load_digests(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}). Fine-tune again.") from error
