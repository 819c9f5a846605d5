"""Which layout, contents, loss and batches go together. Imports no torch.

One table, and its refusals: what was asked, and what fits.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedtune.documents.shards.folder import Manifest, read_manifest
from embedtune.errors import ConfigError, InputError, UnfitDataError
from embedtune.models.options import TOWERS
from embedtune.models.roles import EncodingRole
from embedtune.records.layouts import Layout, Modality
from embedtune.training.batches import BatchPlan
from embedtune.training.config import AUTO_LOSS, LOSSES, BatchKind, FinetuneConfig
from embedtune.training.examples import TrainingSet
from embedtune.training.label_batches import LabelBatches
from embedtune.training.options import AUGMENTATIONS, TrainOptions
from embedtune.training.pair_batches import PairBatches, ScoredBatches

_AUGMENTED = {Modality.IMAGE: AUGMENTATIONS[:3], Modality.MESH: AUGMENTATIONS[3:]}


def fitting_losses(layout: Layout) -> tuple[str, ...]:
    """Return the losses that a layout can be trained with."""
    kinds = _kinds(layout)
    return tuple(name for name, kind in LOSSES.items() if kind in kinds)


def _kinds(layout: Layout) -> tuple[BatchKind, ...]:
    """Return the kinds of batches that can be made of a layout, the preferred one first."""
    if layout.has_scores:
        return (BatchKind.SCORED,)
    if layout.has_parents:
        return (BatchKind.PAIRS,)
    return (BatchKind.PAIRS, BatchKind.LABELS) if layout.is_trainable else ()


def check_fits(layout: Layout, modalities: Sequence[Modality], loss: str) -> None:
    """Check that data can be trained on with a loss.

    Args:
        layout: Layout of the rows.
        modalities: Of their contents; none where they are not known yet.
        loss: One of `config.LOSSES`.

    Raises:
        InputError: nothing can be learned from such data; as UnfitDataError: not with this loss.
    """
    losses = fitting_losses(layout)
    if not losses:
        raise _nothing_to_learn("The data", layout)
    if loss not in losses:
        what = " and ".join(dict.fromkeys(modality.value for modality in modalities))
        shown = f" ({what})" if what else ""
        raise UnfitDataError(
            f"The loss {loss} does not fit data of the layout {layout.value!r}{shown}. What fits: {', '.join(losses)}."
        )


def check_augment(modalities: Sequence[Modality], augment: Sequence[str]) -> None:
    """Check that data hold what is to be changed.

    Args:
        modalities: Of the contents of a row.
        augment: Of `options.AUGMENTATIONS`.

    Raises:
        UnfitDataError: they do not.
    """
    changed = {name for modality in modalities for name in _AUGMENTED.get(modality, ())}
    for name in augment:
        if name not in changed:
            what = " and ".join(dict.fromkeys(modality.plural for modality in modalities))
            fitting = f"What fits: {', '.join(sorted(changed))}." if changed else "Leave augment empty."
            raise UnfitDataError(f"train_options: augment names {name!r}, but the data hold {what}. {fitting}")


def check_tower(modalities: Sequence[Modality], tower: str) -> None:
    """Check that a tower of a model reads the data.

    Args:
        modalities: Of the contents of a row.
        tower: Of `models.options.TOWERS`, or ''.

    Raises:
        UnfitDataError: it does not.
    """
    if tower and set(modalities) != {TOWERS[tower]}:
        what = " and ".join(dict.fromkeys(modality.plural for modality in modalities))
        fitting = next((name for name, reads in TOWERS.items() if {reads} == set(modalities)), "''")
        raise UnfitDataError(
            f"model_options: select_model is {tower!r}, which reads {TOWERS[tower].plural} alone, but the data hold "
            f"{what}. What fits: {fitting}."
        )


def check_decides_alike(options: TrainOptions, metric: str) -> None:
    """Check that epochs are compared by what decides about the promotion.

    Args:
        options: The training's finer settings.
        metric: What decides.

    Raises:
        ConfigError: they are compared by another metric.
    """
    if options.validation_share and options.validation_metric != metric:
        raise ConfigError(
            f"train_options: validation_metric is {options.validation_metric!r}, but eval_metric, which decides about "
            f"promotion, is {metric!r}. Set both alike."
        )


def check_documents(folder: Path, config: FinetuneConfig) -> None:
    """Check that documents can be trained on as asked.

    Raises:
        InputError: they cannot; as UnfitDataError: not with these settings.
        StorageError: the manifest cannot be read.
    """
    modalities = check_trainable(folder, "" if config.loss == AUTO_LOSS else config.loss).modalities
    check_augment(modalities, config.training.augment)
    check_tower(modalities, config.tailoring.select_model)


def check_trainable(folder: Path, loss: str = "") -> Manifest:
    """Check that a folder of documents can be trained on, and evaluated with; return what it says of itself.

    Args:
        folder: Folder of documents.
        loss: What to train with, '' where that does not matter.

    Raises:
        InputError: it cannot; as UnfitDataError: not with this loss.
        StorageError: the manifest cannot be read.
    """
    manifest = read_manifest(folder)
    error = untrainable(str(folder), manifest.layout, manifest.modalities, manifest.loaded)
    if error is not None:
        raise error
    if loss:
        check_fits(manifest.layout, manifest.modalities, loss)
    return manifest


def untrainable(what: str, layout: Layout | None, modalities: Sequence[Modality], loaded: bool) -> InputError | None:
    """Return why documents can neither be trained on nor evaluated with, None where they can.

    Args:
        what: What to call the documents in the message.
        layout: What they were made from, None where that is not known yet.
        modalities: Of the contents of a row.
        loaded: Whether images and meshes are there, and not only their addresses.
    """
    if layout is not None and not fitting_losses(layout):
        return _nothing_to_learn(what, layout)
    media = sorted({modality.value for modality in modalities} - {Modality.TEXT.value})
    if media and not loaded:
        return InputError(
            f"{what}: only the addresses of the contents ({', '.join(media)}) are there, not the contents. Read the "
            "data again with convert_to_blob (images) or create_point_clouds (meshes) set to true."
        )
    return None


def _nothing_to_learn(what: str, layout: Layout) -> InputError:
    return InputError(
        f"{what}: of the layout {layout.value!r}, which is texts without labels, pairs or scores, nothing can be "
        "learned. Give rows of another layout; keep these as a data set with 'embedtune push', or index them with "
        "'embedtune encode'."
    )


def plan_batches(examples: TrainingSet, config: FinetuneConfig) -> BatchPlan:
    """Choose the kind of batches that the loss needs.

    Raises:
        FruitlessError: the contents make no such batches.
    """
    match LOSSES[config.loss]:
        case BatchKind.LABELS:
            return LabelBatches(examples.labels, config.batch_size, config.training.items_per_label, config.seed)
        case BatchKind.PAIRS:
            return PairBatches(examples, config.batch_size, config.seed)
        case BatchKind.SCORED:
            return ScoredBatches(examples, config.batch_size, config.seed)


def column_roles(examples: TrainingSet, plan: BatchPlan) -> tuple[EncodingRole, ...]:
    """Return what the contents of each column are encoded as, as `roles.index_role` says for an evaluation."""
    symmetric = examples.pairs is None or examples.scores is not None
    rest = EncodingRole.QUERY if symmetric else EncodingRole.DOCUMENT
    return (EncodingRole.QUERY, *[rest] * (plan.columns - 1))


def searched_contents(examples: TrainingSet, plan: BatchPlan) -> frozenset[int]:
    """Return the contents that are documents in a batch of one column: of pairs, those that no query is."""
    if plan.columns > 1 or examples.pairs is None:
        return frozenset()
    judged = [pairs for pairs in (examples.pairs, examples.negatives) if pairs is not None]
    queries, documents = (np.concatenate([pairs[:, side] for pairs in judged]) for side in (0, 1))
    return frozenset(np.setdiff1d(documents, queries).tolist())
