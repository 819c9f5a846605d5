"""What PyTorch computes on. Imports torch."""

import os

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


def gpu_environments(count: int) -> list[dict[str, str]]:
    """Return, for each of several processes, the variables that let it see one GPU, those of this one's in their order.

    Raises:
        TrainingError: fewer are visible, or they are of a kind that cannot be told apart so.
    """
    check_gpus(count)
    kind = torch.accelerator.current_accelerator()
    if kind is None or kind.type != "cuda":
        raise TrainingError(
            f"gpu_count is {count}, and several GPUs train together if they are of NVIDIA or AMD, which these "
            f"({'none' if kind is None else kind.type}) are not. Give gpu_count 1."
        )
    variable = "HIP_VISIBLE_DEVICES" if torch.version.hip else "CUDA_VISIBLE_DEVICES"
    visible = os.environ.get(variable, "")
    names = visible.split(",") if visible else [str(number) for number in range(count)]
    return [{variable: name.strip()} for name in names[:count]]


def device_name(device: torch.device) -> str:
    """Return what the maker calls a GPU, or 'CPU' with the number of threads that PyTorch uses."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    threads = torch.get_num_threads()
    return f"CPU, {threads} {'thread' if threads == 1 else 'threads'}" if device.type == "cpu" else device.type
