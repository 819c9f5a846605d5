"""Step 4: a backbone becomes a fine-tuned model. Imports torch only when it runs."""

import os
from pathlib import Path

from embedtune.cpus import available_cpus
from embedtune.importing import importing
from embedtune.models.card import ModelCard
from embedtune.progress import note
from embedtune.reports.cut_texts import cut_warnings
from embedtune.reports.training import TrainingReport, training_html
from embedtune.steps.facts import provenance_of, training_facts_of
from embedtune.steps.running import OutputFile, OutputFolder, step
from embedtune.storage.atomic import check_writable, write_text_whole
from embedtune.training.config import FinetuneConfig
from embedtune.training.fits import check_documents

CHECKPOINTS_VARIABLE = "EMBEDTUNE_CHECKPOINTS"
"""Environment variable: where to keep checkpoints instead of beside the run's outputs; 'off' keeps none."""


@step
def finetune(
    config: FinetuneConfig, documents: Path, model: OutputFolder, html: OutputFile, model_uri: str = ""
) -> ModelCard:
    """Fine-tune a backbone on the training documents.

    Args:
        config: The configuration.
        documents: Training documents folder.
        model: Folder to write the model to.
        html: Page with the loss curve to write.
        model_uri: Address at which the pipeline keeps the model, '' for where it is written; checkpoints go near it.

    Raises:
        InputError: nothing can be learned from such documents, or not with this loss or these options.
        ModelError: the backbone cannot be loaded safely.
        TrainingError: the documents make no batches, the loss is no number, or the run was told to stop.
        StorageError: the documents cannot be read, or an output cannot be written.
    """
    check_writable(model, html)
    card = train_model(config, documents, model, *checkpoints_of(model, model_uri))
    report = TrainingReport(
        title="Fine-tuning" if card.reading is None else card.reading.source,
        base_model=card.backbone,
        training=training_facts_of(card),
        history=card.history,
        provenance=provenance_of(card),
        texts=card.train_texts,
        reading=card.reading,
        validation=card.validation,
        remarks=card.remarks,
    )
    write_text_whole(html, training_html(report))
    return card


def train_model(config: FinetuneConfig, documents: Path, model: Path, root: str, keep_finished: bool) -> ModelCard:
    """Fine-tune a backbone, and say what a person should know; errors as of the step.

    Args:
        config: The configuration.
        documents: Training documents folder.
        model: Folder to write the model to.
        root: Address below which checkpoints are kept.
        keep_finished: Whether the finished model is kept there, see `checkpoints.forget_finished`.
    """
    check_documents(documents, config)
    gpus, cpus = int(config.gpu_count), available_cpus()
    if gpus > cpus:
        note(
            f"The processes of {gpus} GPUs share {cpus} {'CPU' if cpus == 1 else 'CPUs'}. On a cluster raise train_cpu."
        )
    with importing("torch"):  # seconds, which wrong documents need not cost
        from embedtune.training.finetune import finetune_model

    card = finetune_model(documents, model, config, root, keep_finished=keep_finished)
    if card.train_texts is not None:
        for warning in cut_warnings((card.train_texts, "training texts")):
            note(warning)
    return card


def checkpoints_of(output: Path, uri: str) -> tuple[str, bool]:
    """Return where the checkpoints of a training go, and whether its finished model is kept there.

    Args:
        output: Where the step writes.
        uri: Address at which the pipeline keeps that, '' for where it is written.
    """
    # Whoever names no address has the model where it belongs as soon as it is written.
    lasting = not uri and CHECKPOINTS_VARIABLE not in os.environ
    return checkpoint_root(uri if uri else str(output.resolve())), not lasting


def checkpoint_root(model_uri: str) -> str:
    """Return where the checkpoints of a run's fine-tuning task are kept.

    On a cluster a model's address is `<root>/<pipeline>/<run id>/<task>/<attempt>/model`, and a retried run draws a new
    attempt; the run and the task stay. On one machine there is no attempt in the path.

    Args:
        model_uri: Address of the model output.
    """
    configured = os.environ.get(CHECKPOINTS_VARIABLE)
    if configured is not None:
        return "" if configured == "off" else configured
    levels = 2 if "://" in model_uri else 1
    return f"{model_uri.rstrip('/').rsplit('/', levels)[0]}/checkpoints"
