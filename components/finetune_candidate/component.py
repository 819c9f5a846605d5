"""Thin component of `embedtune.steps.finetune_candidate`."""

from kfp.dsl import Artifact, Dataset, Input, Metrics, Output

from components.images import train_component


@train_component
def finetune_candidate(
    documents: Input[Dataset],
    candidate: Output[Artifact],
    training: Output[Metrics],
    settings: str,
    gpu_count: str = "0",
    gpu_type: str = "nvidia.com/gpu",
    cpu: str = "1",
    memory: str = "8Gi",
):
    """Fine-tune an embedding model with one combination of a sweep's settings.

    Settings that come to no model are an outcome as well. A run that is stopped goes on from its last checkpoint when
    it is retried.

    Args:
        documents: Training documents.
        candidate: How it was trained and what came of it, and the model where there is one.
        training: Validation metric and duration.
        settings: One of the combinations of settings that resolve_data returns for a sweep.
        gpu_count: GPUs to train on, in a process for each; with '0' the CPU will do.
        gpu_type: Resource name of the GPU, which kfp 2.17 hands to a task in a loop only as an argument.
        cpu: Cores of its pod; the same.
        memory: Memory of its pod; the same.
    """
    from pathlib import Path

    from embedtune.steps.finetune_candidate import FinetuneCandidateConfig
    from embedtune.steps.finetune_candidate import finetune_candidate as step
    from embedtune.steps.last_words import leave_last_words

    leave_last_words("finetune_candidate")
    config = FinetuneCandidateConfig(settings=settings, gpu_count=gpu_count, gpu_type=gpu_type, cpu=cpu, memory=memory)
    found = step(config, Path(documents.path), Path(candidate.path), candidate.uri)
    for name, value in found.figures.items():
        training.log_metric(name, value)
