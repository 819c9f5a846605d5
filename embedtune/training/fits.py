"""Which layout, contents, loss and batches go together. Imports no torch.

One table, and its refusals: what was asked, and what fits.
"""

from collections.abc import Sequence
from pathlib import Path

from embedtune.documents.shards import read_manifest
from embedtune.errors import InputError
from embedtune.models.roles import EncodingRole
from embedtune.records.layouts import Layout, Modality
from embedtune.training.batches import BatchPlan, LabelBatches, PairBatches, ScoredBatches
from embedtune.training.config import LOSSES, BatchKind, FinetuneConfig
from embedtune.training.examples import TrainingSet

_KINDS: dict[Layout, tuple[BatchKind, ...]] = {
    Layout.LABELLED: (BatchKind.PAIRS, BatchKind.LABELS),
    Layout.PAIRS: (BatchKind.PAIRS, BatchKind.LABELS),
    Layout.MATCHES: (BatchKind.PAIRS, BatchKind.LABELS),
    Layout.BEIR: (BatchKind.PAIRS, BatchKind.LABELS),
    Layout.TEXT_IMAGE: (BatchKind.PAIRS,),
    Layout.SCORED: (BatchKind.SCORED,),
    Layout.PLAIN: (),
}
"""The kinds of batches that can be made of each layout, the preferred one first."""

_EVALUATED = (Layout.LABELLED, Layout.PAIRS, Layout.MATCHES, Layout.BEIR)
"""Layouts of texts that this version can evaluate."""


def fitting_losses(layout: Layout) -> tuple[str, ...]:
    """Return the losses that a layout can be trained with."""
    return tuple(name for name, kind in LOSSES.items() if kind in _KINDS[layout])


def check_fits(layout: Layout, modalities: Sequence[Modality], loss: str) -> None:
    """Check that data can be trained on with a loss.

    Args:
        layout: Layout of the rows.
        modalities: Of their contents.
        loss: One of `config.LOSSES`.

    Raises:
        InputError: nothing can be learned from such data, or not with this loss.
    """
    losses = fitting_losses(layout)
    if not losses:
        raise InputError(
            f"The data have the layout {layout.value!r}: texts without labels, pairs or scores, from which nothing can "
            "be learned. Give rows of another layout; keep these as a data set with 'embedtune push', or index them "
            "with 'embedtune encode'."
        )
    if loss not in losses:
        what = " and ".join(dict.fromkeys(modality.value for modality in modalities))
        raise InputError(
            f"The loss {loss} does not fit data of the layout {layout.value!r} ({what}). What fits: "
            f"{', '.join(losses)}."
        )


def check_trainable(folder: Path) -> None:
    """Check that this version can train on, and evaluate with, a folder of documents.

    Raises:
        InputError: it cannot.
        StorageError: the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    error = untrainable(str(folder), manifest.layout, manifest.modalities)
    if error is not None:
        raise error


def untrainable(what: str, layout: Layout, modalities: Sequence[Modality]) -> InputError | None:
    """Return why this version can neither train on nor evaluate with documents, None where it can.

    Args:
        what: What to call the documents in the message.
        layout: What they were made from.
        modalities: Of the contents of a row.
    """
    media = sorted({modality.value for modality in modalities} - {Modality.TEXT.value})
    if layout in _EVALUATED and not media:
        return None
    found = f"layout {layout.value!r}" + (f" with contents of modality {', '.join(media)}" if media else "")
    return InputError(
        f"{what} holds documents of {found}, which this version can neither train on nor evaluate; it accepts texts "
        f"of the layouts {', '.join(_EVALUATED)}. What can be done with these documents: look at them with "
        "'embedtune summary', keep them as a data set with 'embedtune push', or load them with docarray. Otherwise "
        "give texts with labels or pairs."
    )


def plan_batches(examples: TrainingSet, config: FinetuneConfig) -> BatchPlan:
    """Choose the kind of batches that the loss needs.

    Raises:
        TrainingError: the contents make no such batches.
    """
    match LOSSES[config.loss]:
        case BatchKind.LABELS:
            return LabelBatches(examples.labels, config.batch_size, config.items_per_label, config.seed)
        case BatchKind.PAIRS:
            return PairBatches(examples, config.batch_size, config.seed)
        case BatchKind.SCORED:
            return ScoredBatches(examples, config.batch_size, config.seed)


def column_roles(examples: TrainingSet, plan: BatchPlan) -> tuple[EncodingRole, ...]:
    """Return what the contents of each column are encoded as, as `roles.index_role` says for an evaluation."""
    symmetric = examples.pairs is None or examples.scores is not None or plan.columns == 1
    rest = EncodingRole.QUERY if symmetric else EncodingRole.DOCUMENT
    return (EncodingRole.QUERY, *[rest] * (plan.columns - 1))
