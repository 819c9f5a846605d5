"""Held-out queries that are nothing new to a model, because it was trained on them."""

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

    new: NDArray[np.bool_]
    """Which queries are new to it (N,)."""
    index: int
    """Index documents that it was trained on; they stay."""

    @property
    def queries(self) -> int:
        """How many queries are not new to it, and are left out of the comparison with it."""
        return int((~self.new).sum())


def find_known(
    evaluation_set: EvaluationSet, queries: Contents, index: Contents, trained: Digests | None, whole_groups: bool
) -> Known:
    """Find the queries that a split would not have held out, had the model's training contents been in it.

    A query is known if the model was trained on its content. Where whole groups are held out, so that no query shares
    its documents with a training content, it is known as well if the model was trained on a document that is relevant
    to it.

    Args:
        evaluation_set: N queries and M index documents.
        queries: N contents.
        index: M contents.
        trained: What the model was trained on, None where it does not say.
        whole_groups: Whether the split held out whole groups.
    """
    if trained is None:
        return Known(np.ones(len(queries), np.bool_), 0)
    known_index = np.isin(trained_digests(index.all_stored()), trained)
    known = np.isin(trained_digests(queries.all_stored()), trained)
    if whole_groups:
        known |= evaluation_set.judgments.any_relevant(known_index)
    return Known(~known, int(known_index.sum()))


def check_any_new(known: Known) -> None:
    """Refuse a base model that was trained on all queries.

    Raises:
        InputError: no query is new to it.
    """
    if not known.new.any():
        raise InputError(
            f"The backbone was itself trained on all {known.new.size} held-out queries or on what answers them, so "
            "nothing is left to compare on. Keep the split that it was trained with (train_seed, eval_share and "
            "eval_split of that run), bring new data, or start from another backbone."
        )


def known_warning(known: Known, model: str, index: int, left_out: str) -> str:
    """Say which held-out contents a model was trained on, '' if that is none.

    Args:
        known: What was found.
        model: What a sentence begins with that is about it, such as "Backbone 'bert'".
        index: Number of index documents.
        left_out: From what its queries are left out.
    """
    if known.queries == known.index == 0:
        return ""
    return (
        f"{model} was itself trained on {known.queries:,} of the {known.new.size:,} held-out queries or what answers "
        f"them, and on {known.index:,} of the {index:,} index documents: these queries are left out of {left_out}."
    )
