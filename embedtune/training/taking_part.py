"""What each process of a training does: documents and a backbone become a fine-tuned model folder."""

import dataclasses
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sentence_transformers import SentenceTransformer
from torch import nn
from transformers import set_seed

from embedtune.documents.shards.folder import Manifest, read_manifest
from embedtune.documents.summary import load_reading
from embedtune.errors import UnfitConfigError
from embedtune.models.backbones import open_backbone
from embedtune.models.card import IMAGE_VARIABLE, ModelCard
from embedtune.models.cut_texts import cut_texts, save_training_tokens
from embedtune.models.digests import Digests
from embedtune.models.encoding import check_reads
from embedtune.models.loading import embedding_dimension, load_backbone, weights_digest
from embedtune.models.parity import check_parity
from embedtune.models.registered import lasting_address
from embedtune.models.roles import index_role, prompt_of
from embedtune.models.saving import save_model, whole_folder
from embedtune.models.servers import servers_of
from embedtune.models.tailoring import tailor
from embedtune.models.towers import has_towers
from embedtune.models.trained_texts import load_trained, save_trained, trained_digests
from embedtune.progress import note
from embedtune.records.layouts import Modality
from embedtune.storage.ownership import INVENTORY
from embedtune.training.batch_size import TooLargeError, free_memory, halved
from embedtune.training.checkpoints import CheckpointStore, Keeping, digest_of
from embedtune.training.config import FinetuneConfig
from embedtune.training.defaults import with_defaults, with_tower
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import check_documents
from embedtune.training.processes import Processes
from embedtune.training.trainer import TrainingResult, train
from embedtune.training.validation_set import ValidationSet, read_examples

_RECORDED_LIBRARIES = (
    "embedtune",
    "torch",
    "transformers",
    "sentence-transformers",
    "pytorch-metric-learning",
    "numpy",
)
_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class _Start:
    """The model before its training, and what it came from."""

    model: SentenceTransformer
    backbone_digest: str
    inherited: Digests | None
    """What the backbone was trained on; see `load_trained`."""


def take_part(
    documents: Path, model_folder: Path, config: FinetuneConfig, keeping: Keeping, processes: Processes
) -> None:
    """Do what one of the processes does: train with the others, and save the model if it is the first."""
    check_documents(documents, config)
    manifest = read_manifest(documents)
    start, config, chosen = _started(config, manifest.modalities)
    check_batch_norms(start.model, config, processes)
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        examples, validation = read_examples(documents, Path(scratch), config)
        check_reads(start.model, examples.contents)
        parameters = sum(parameter.numel() for parameter in start.model.parameters())
        config, more = with_defaults(config, manifest.layout, manifest.modalities, examples, parameters)
        card = _untrained_card(documents, manifest, config, chosen | more, start, len(examples.contents))
        for sentence in card.chosen.values():
            note(sentence)
        checkpoints = CheckpointStore(keeping.root if processes.first else "", digest_of(card), Path(scratch))
        checkpoints.expire()
        if processes.any(_taken_over(checkpoints, model_folder, keeping)):
            return
        texts, prompt = examples.contents.texts(), prompt_of(start.model, index_role(manifest.layout))
        train_texts, tokens = cut_texts(start.model, texts, prompt) if texts and processes.first else (None, None)
        begin = partial(_started, config, manifest.modalities)
        model, result = _trained(start.model, begin, examples, config, checkpoints, processes, validation)
        if not processes.first:
            return
        with whole_folder(model_folder) as folder:
            save_model(model, folder)
            if tokens is not None:
                save_training_tokens(folder, tokens)
            save_trained(folder, trained_digests(_seen(examples, validation)), start.inherited)
            _with_result(dataclasses.replace(card, train_texts=train_texts), result, model, folder).save(folder)
        if keeping.finished:
            checkpoints.finish(model_folder)
        else:
            checkpoints.clear()


def _trained(
    model: SentenceTransformer,
    begin: Callable[[], tuple[_Start, FinetuneConfig, dict[str, str]]],
    examples: TrainingSet,
    config: FinetuneConfig,
    checkpoints: CheckpointStore,
    processes: Processes,
    validation: ValidationSet | None,
) -> tuple[SentenceTransformer, TrainingResult]:
    """Train; where a batch does not fit into the memory of the GPU, begin anew with half of it.

    So the model is the one that this batch size gives, and not one of two. Of several processes the others wait for
    the one that failed: there it is said, and nothing begins anew.

    Args:
        model: The model, untrained.
        begin: Makes it once more.
        examples: The training set.
        config: How to fine-tune.
        checkpoints: What was kept of the batch size that does not fit is removed.
        processes: Those that train together.
        validation: What the model is measured on.

    Returns:
        The model that was trained, and how.

    Raises:
        TooLargeError: not even the least batch fits.
    """
    asked, chosen = config.batch_size, {}
    while True:
        try:
            result = train(model, examples, config, checkpoints, processes, validation)
        except TooLargeError as error:
            if processes.count > 1:
                raise
            config = dataclasses.replace(config, batch_size=halved(error.batch_size, config))
            why = f"{error.batch_size} do not fit into the memory of the GPU; the training began anew with it"
            chosen = {"batch_size": f"Batch size ({asked}): {config.batch_size} contents, since {why}."}
        else:
            return model, dataclasses.replace(result, chosen=chosen | result.chosen)
        note(f"Look here: {chosen['batch_size']}")
        model.to("cpu")
        free_memory()
        checkpoints.clear()
        model = begin()[0].model


def _taken_over(checkpoints: CheckpointStore, model_folder: Path, keeping: Keeping) -> bool:
    """Take the model of this very training where one was finished and its output lost; tell whether there was one."""
    finished = checkpoints.finished()
    if finished is None:
        return False
    with whole_folder(model_folder) as folder:
        shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(INVENTORY), dirs_exist_ok=True)
    shutil.rmtree(finished)
    if not keeping.finished:
        checkpoints.clear()
    note("This training was finished before, and its output lost: the model was kept, and nothing is trained again.")
    return True


def _seen(examples: TrainingSet, validation: ValidationSet | None) -> Iterator[str | bytes]:
    """Yield all that the model was made with: who chooses an epoch by the validation knows that, too."""
    yield from examples.contents.all_stored()
    if validation is not None:
        yield from validation.held_out.queries.all_stored()
        yield from validation.held_out.index.all_stored()


def _started(config: FinetuneConfig, modalities: Sequence[Modality]) -> tuple[_Start, FinetuneConfig, dict[str, str]]:
    """Load and tailor the backbone; return also the configuration with a tower, and a sentence where one was chosen."""
    set_seed(config.seed)
    with open_backbone(config.backbone, config.backbone_version) as backbone:
        model = load_backbone(backbone, config.max_length)
        inherited = load_trained(backbone)
    digest = weights_digest(model)
    config, chosen = with_tower(config, modalities, has_towers(model))
    return _Start(tailor(model, config.tailoring, config.seed), digest, inherited), config, chosen


def check_batch_norms(model: nn.Module, config: FinetuneConfig, processes: Processes) -> None:
    """Say what becomes of normalisation over a batch where parts of one are embedded on their own.

    Raises:
        UnfitConfigError: it would become that of the parts that are recomputed.
    """
    model.train()  # in which frozen modules stay as they are
    found = [name for name, module in model.named_modules() if isinstance(module, _BATCH_NORMS) and module.training]
    model.eval()
    if found and config.training.recompute:
        raise UnfitConfigError(
            f"train_options: recompute is true, but the backbone normalises over a batch in {len(found)} layers (such "
            f"as {found[0]}): each part of one would be normalised over itself, which is another training. Set it to "
            "false and lower batch_size, or freeze these layers."
        )
    if found and processes.count > 1:
        note(
            f"The backbone normalises over a batch: each of {processes.count} processes does so over its share of one."
        )


def _untrained_card(
    documents: Path, manifest: Manifest, config: FinetuneConfig, chosen: dict[str, str], start: _Start, contents: int
) -> ModelCard:
    """Return what is known before the training, with nothing of its results."""
    return ModelCard(
        backbone=lasting_address(config.backbone, config.backbone_version),
        backbone_digest=start.backbone_digest,
        backbone_version=config.backbone_version,
        dimension=embedding_dimension(start.model),
        max_length=int(start.model.max_seq_length or 0),
        layout=manifest.layout,
        train_documents=contents,
        data_digest=manifest.digest,
        options=config.recorded(),
        chosen=chosen,
        history=(),
        seconds=0.0,
        texts_per_second=0.0,
        versions={name: importlib.metadata.version(name) for name in _RECORDED_LIBRARIES},
        image=os.environ.get(IMAGE_VARIABLE, ""),
        parity_max_difference=0.0,
        reading=load_reading(documents),
    )


def _with_result(card: ModelCard, result: TrainingResult, model: SentenceTransformer, folder: Path) -> ModelCard:
    """Return the card of a trained model that is saved in a folder."""
    return dataclasses.replace(
        card,
        chosen=card.chosen | result.chosen,
        options={**card.options, "batch_size": result.batch_size},
        remarks=result.remarks,
        validation=result.validation,
        epoch=result.epoch,
        learned=result.learned,
        history=result.history,
        seconds=result.seconds,
        texts_per_second=result.texts_per_second,
        parity_max_difference=check_parity(model, folder),
        servers=servers_of(folder),
    )
