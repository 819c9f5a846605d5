"""Texts of so many words that a model is certain to cut them: what can be said before there is a tokenizer."""

from collections import defaultdict

import numpy as np

from embedtune.documents.document_set import DocumentSet
from embedtune.documents.fingerprints import content_key
from embedtune.documents.summary import ALIKE_SHARE, CUT_SHARE, READ_WORDS


def count_long(corpus: DocumentSet) -> tuple[int, int]:
    """Count the texts of more than READ_WORDS words, and those of them that begin like another one for so long."""
    begins: dict[str, set[int]] = defaultdict(set)
    documents = np.flatnonzero(corpus.words > READ_WORDS).tolist()
    starts = [_start(corpus.name(document)) for document in documents]
    for document, start in zip(documents, starts, strict=True):
        begins[start].add(int(corpus.keys[document]))
    return len(documents), sum(len(begins[start]) > 1 for start in starts)


def _start(text: str) -> str:
    return content_key(" ".join(text.split(maxsplit=READ_WORDS)[:READ_WORDS]))


def long_warnings(texts: int, long: int, alike: int) -> list[str]:
    """Return what a person should look at.

    Args:
        texts: Number of texts.
        long: How many have more than READ_WORDS words.
        alike: How many of these begin like another one.
    """
    warnings = []
    cure = f"Set model_max_length above its default of {READ_WORDS} if the backbone can read more"
    if long > CUT_SHARE * texts:
        warnings.append(
            f"{long} of {texts} texts ({long / texts:.1%}) have more than {READ_WORDS} words, so a model that reads "
            f"{READ_WORDS} tokens cuts them, and perhaps others. {cure}, or shorten the texts."
        )
    if alike > ALIKE_SHARE * texts:
        warnings.append(
            f"{alike} of {texts} texts ({alike / texts:.1%}) begin with the same {READ_WORDS} words as another one, "
            f"so a model that reads {READ_WORDS} tokens takes them for the same. {cure}, or remove what they have in "
            "common."
        )
    return warnings
