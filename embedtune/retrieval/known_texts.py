"""Held-out queries that are nothing new to the base model, because it was trained on them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from embedtune.errors import InputError
from embedtune.models.contents import Contents
from embedtune.models.digests import Digests
from embedtune.models.trained_texts import trained_digests
from embedtune.retrieval.evaluation_set import EvaluationSet


@dataclass(frozen=True, eq=False)
class Known:
    """What a model was trained on of an evaluation set."""

    kept: NDArray[np.int64]
    """Rows of the queries that are new to it (n,)."""
    queries: int
    """How many are not, and are left out of the comparison."""
    index: int
    """Index documents that it was trained on; they stay."""


def find_known(
    evaluation_set: EvaluationSet, queries: Contents, index: Contents, trained: Digests, whole_groups: bool
) -> Known:
    """Find the queries that a split would not have held out, had the model's training contents been in it.

    A query is known if the model was trained on its content. Where whole groups are held out, so that no query shares
    its documents with a training content, it is known as well if the model was trained on a document that is relevant
    to it.

    Args:
        evaluation_set: N queries and M index documents.
        queries: N contents.
        index: M contents.
        trained: What the model was trained on.
        whole_groups: Whether the split held out whole groups.

    Raises:
        InputError: no query is new to it.
    """
    known_index = np.isin(trained_digests(index.all_stored()), trained)
    known = np.isin(trained_digests(queries.all_stored()), trained)
    if whole_groups:
        known |= evaluation_set.judgments.any_relevant(known_index)
    kept = np.flatnonzero(~known)
    if kept.size == 0:
        raise InputError(
            f"The backbone was itself trained on all {known.size} held-out queries or on what answers them, so "
            "nothing is left to compare on. Keep the split that it was trained with (train_seed, eval_share and "
            "eval_split of that run), bring new data, or start from another backbone."
        )
    return Known(kept, int(known.sum()), int(known_index.sum()))


def known_warning(known: Known, queries: int, index: int, backbone: str) -> str:
    """Say what the base model was trained on, '' if that is nothing.

    Args:
        known: What was found.
        queries: N.
        index: M.
        backbone: Name of the base model.
    """
    if known.queries == known.index == 0:
        return ""
    return (
        f"Backbone {backbone!r} was itself trained on {known.queries:,} of the {queries:,} held-out queries or what "
        f"answers them, and on {known.index:,} of the {index:,} index documents: these queries are left out of the "
        "comparison, for all models."
    )
