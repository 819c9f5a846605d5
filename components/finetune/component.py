"""Thin component of `embedtune.steps.finetune`."""

from kfp.dsl import HTML, Dataset, Input, Metrics, Model, Output

from components.images import train_component


@train_component
def finetune(
    documents: Input[Dataset],
    model: Output[Model],
    training: Output[Metrics],
    loss_page: Output[HTML],
    backbone: str = "sentence-transformers/all-MiniLM-L6-v2",
    max_length: int = 128,
    model_options: str = "{}",
    loss: str = "auto",
    epochs: int = 0,
    batch_size: int = 64,
    learning_rate: float = 0.0,
    seed: int = 42,
    train_options: str = "{}",
    backbone_version: str = "",
    gpu_count: str = "0",
):
    """Fine-tune an embedding model on the training documents.

    A run that is stopped goes on from its last checkpoint when it is retried.

    Args:
        documents: Training documents.
        model: sentence-transformers folder, safetensors.
        training: Last loss, duration and speed.
        loss_page: Loss curve for the Visualization tab.
        backbone: Model to start from: one of `embedtune models`, a Hugging Face id, a folder or its address.
        max_length: Tokens after which a text is cut; 0 keeps the backbone's own limit.
        model_options: JSON object with any of the fields of ModelOptions, such as pooling, output_dim or freeze.
        loss: Loss by name; 'auto' chooses by layout and labels. docs/defaults.md has the rules.
        epochs: Passes over the training documents; 0 chooses by layout and number of rows.
        batch_size: Contents per optimizer step, 4 or more; 0: what fits into a GPU, 64 on a CPU.
        learning_rate: Peak learning rate; 0 chooses by the size of the backbone and the optimizer.
        seed: Seed of batches, initialisation and dropout.
        train_options: JSON object with any of the fields of TrainOptions, such as optimizer, warmup or augment.
        backbone_version: Content that the backbone must have, from resolve_data; '' takes what is there now.
        gpu_count: GPUs to train on, in a process for each; with '0' the CPU will do.
    """
    from pathlib import Path

    from embedtune.steps.finetune import finetune as step
    from embedtune.steps.last_words import leave_last_words
    from embedtune.training.config import FinetuneConfig

    leave_last_words("finetune")
    config = FinetuneConfig(
        backbone=backbone,
        max_length=max_length,
        model_options=model_options,
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        train_options=train_options,
        backbone_version=backbone_version,
        gpu_count=gpu_count,
    )
    card = step(config, Path(documents.path), Path(model.path), Path(loss_page.path), model.uri)
    training.log_metric("loss", card.history[-1].loss)
    training.log_metric("seconds", card.seconds)
    training.log_metric("texts_per_second", card.texts_per_second)
    model.metadata.update({"framework": "sentence-transformers", "backbone": backbone, "dimension": card.dimension})
