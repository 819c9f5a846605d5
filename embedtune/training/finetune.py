"""Training documents and a backbone become a fine-tuned model folder."""

import dataclasses
import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path

from torch import nn
from transformers import set_seed

from embedtune.documents.shards import documents_digest, read_manifest
from embedtune.documents.summary import load_reading
from embedtune.errors import TrainingError
from embedtune.models.backbones import open_backbone
from embedtune.models.card import IMAGE_VARIABLE, ModelCard
from embedtune.models.cut_texts import cut_texts, save_training_tokens
from embedtune.models.devices import check_gpus, gpu_environments
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
from embedtune.training.checkpoints import CheckpointStore, training_digest
from embedtune.training.config import FinetuneConfig
from embedtune.training.defaults import with_defaults, with_tower
from embedtune.training.examples import TrainingSet
from embedtune.training.fits import check_documents
from embedtune.training.launching import run_together
from embedtune.training.processes import ALONE, Processes
from embedtune.training.trainer import train

_RECORDED_LIBRARIES = (
    "embedtune",
    "torch",
    "transformers",
    "sentence-transformers",
    "pytorch-metric-learning",
    "numpy",
)


_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MEMBER = (sys.executable, "-P", "-m", "embedtune.training.member")


def finetune_model(documents: Path, model_folder: Path, config: FinetuneConfig, checkpoint_root: str) -> ModelCard:
    """Fine-tune a backbone and save it with its card, in a process for each GPU where there are to be several.

    Args:
        documents: Training documents folder.
        model_folder: Where the model goes; it appears whole or not at all.
        config: How to fine-tune.
        checkpoint_root: URI below which checkpoints are kept, '' for none.

    Raises:
        InputError: nothing can be learned from such documents, or not with this loss or these options.
        ModelError: the backbone cannot be loaded or changed, or the saved model gives other vectors.
        StorageError: the documents cannot be read, or the model cannot be written.
        TrainingError: a GPU that was asked for is not there, or this is one of several processes already; see
            `trainer.train`.
    """
    started_as_one_of = os.environ.get("WORLD_SIZE", "1")
    if started_as_one_of != "1":
        raise TrainingError(
            f"WORLD_SIZE is {started_as_one_of}, as torchrun sets it, but the fine-tuning step starts a process for "
            "each GPU itself: run it once, without torchrun, and give gpu_count the number of GPUs."
        )
    count = int(config.gpu_count)
    if count < 2:
        check_gpus(count)
        take_part(documents, model_folder, config, checkpoint_root, ALONE)
    else:
        job = {
            "documents": str(documents.absolute()),
            "model_folder": str(model_folder.absolute()),
            "config": dataclasses.asdict(config),
            "checkpoint_root": checkpoint_root,
        }
        run_together(_MEMBER, gpu_environments(count), job)
    return ModelCard.load(model_folder)


def take_part(
    documents: Path, model_folder: Path, config: FinetuneConfig, checkpoint_root: str, processes: Processes
) -> None:
    """Do what one of the processes does: train with the others, and save the model if it is the first."""
    check_documents(documents, config)
    data_digest = documents_digest(documents)
    set_seed(config.seed)
    with open_backbone(config.backbone, config.backbone_version) as backbone:
        model = load_backbone(backbone, config.max_length)
        inherited = load_trained(backbone)
    backbone_digest = weights_digest(model)
    versions = {name: importlib.metadata.version(name) for name in _RECORDED_LIBRARIES}
    manifest = read_manifest(documents)
    config, chosen = with_tower(config, manifest.modalities, has_towers(model))
    model = tailor(model, config.tailoring, config.seed)
    if processes.count > 1 and any(isinstance(module, _BATCH_NORMS) for module in model.modules()):
        note(
            f"The backbone normalises over a batch: each of {processes.count} processes does so over its share of one."
        )
    parameters = sum(parameter.numel() for parameter in model.parameters())
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        examples = TrainingSet.read(documents, Path(scratch))
        check_reads(model, examples.contents)
        layout = manifest.layout
        config, more = with_defaults(config, layout, manifest.modalities, examples, parameters)
        chosen |= more
        for sentence in chosen.values():
            note(sentence)
        options = config.recorded()
        digest = training_digest({"options": options, "data": data_digest, "backbone": backbone_digest, **versions})
        checkpoints = CheckpointStore(checkpoint_root if processes.first else "", digest, Path(scratch))
        prompt = prompt_of(model, index_role(layout))
        texts = examples.contents.texts()
        train_texts, tokens = cut_texts(model, texts, prompt) if texts and processes.first else (None, None)
        result = train(model, examples, config, checkpoints, processes)
        if not processes.first:
            return
        with whole_folder(model_folder) as folder:
            save_model(model, folder)
            if tokens is not None:
                save_training_tokens(folder, tokens)
            save_trained(folder, trained_digests(examples.contents.all_stored()), inherited)
            card = ModelCard(
                backbone=lasting_address(config.backbone, config.backbone_version),
                backbone_digest=backbone_digest,
                backbone_version=config.backbone_version,
                dimension=embedding_dimension(model),
                max_length=int(model.max_seq_length or 0),
                layout=layout,
                train_documents=len(examples.contents),
                data_digest=data_digest,
                options=options,
                chosen=chosen,
                epoch=result.epoch,
                learned=result.learned,
                history=result.history,
                seconds=result.seconds,
                texts_per_second=result.texts_per_second,
                versions=versions,
                image=os.environ.get(IMAGE_VARIABLE, ""),
                parity_max_difference=check_parity(model, folder),
                train_texts=train_texts,
                servers=servers_of(folder),
                reading=load_reading(documents),
            )
            card.save(folder)
        checkpoints.clear()
