"""What PyTorch computes on. Imports torch."""

import torch

from embedtune.errors import TrainingError


def check_gpus(asked: int) -> None:
    """Refuse to work on the CPU, or on fewer GPUs, where a number of them was asked for.

    Raises:
        TrainingError: fewer are visible.
    """
    visible = torch.accelerator.device_count() if asked else 0
    if visible >= asked:
        return
    cause = (
        "Check its driver, and on a cluster the type of GPU and the node's device plugin"
        if torch.version.cuda or torch.version.hip
        else "It is a build for CPUs only: install one for your GPUs, or use an image that has it"
    )
    raise TrainingError(
        f"gpu_count is {asked}, and PyTorch {torch.__version__} sees {visible} GPUs here. {cause}; or give gpu_count 0 "
        "to train on the CPU."
    )


def device_name(device: torch.device) -> str:
    """Return what the maker calls a GPU, or 'CPU' with the number of threads that PyTorch uses."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}" if device.type == "cpu" else device.type
