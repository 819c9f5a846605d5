"""GPUs that were asked for are there, or nothing is trained."""

import pytest
import torch

from embedtune.errors import TrainingError
from embedtune.models.devices import check_gpus, gpu_environments


def test_the_cpu_will_do_where_none_was_asked_for() -> None:
    check_gpus(0)


def test_as_many_as_are_there_will_do() -> None:
    check_gpus(torch.accelerator.device_count())


def test_more_than_are_there() -> None:
    there = torch.accelerator.device_count()
    message = rf"gpu_count is {there + 1}, and PyTorch .* sees {there} GPUs here\. .*give gpu_count 0 to train"
    with pytest.raises(TrainingError, match=message):
        check_gpus(there + 1)


@pytest.mark.parametrize(
    ("visible", "names"), [(None, "01"), ("", "01"), ("3, 5,7", "35"), ("GPU-a,GPU-b", ["GPU-a", "GPU-b"])]
)
def test_each_process_sees_one_gpu_of_those_that_are_visible(monkeypatch, visible, names):
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 3)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    variable = "HIP_VISIBLE_DEVICES" if torch.version.hip else "CUDA_VISIBLE_DEVICES"
    monkeypatch.delenv(variable, raising=False)
    if visible is not None:
        monkeypatch.setenv(variable, visible)
    assert gpu_environments(2) == [{variable: name} for name in names]
    with pytest.raises(TrainingError, match="gpu_count is 4, and PyTorch"):
        gpu_environments(4)


def test_gpus_that_cannot_be_told_apart(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("xpu"))
    with pytest.raises(TrainingError, match=r"of NVIDIA or AMD, which these \(xpu\) are not\. Give gpu_count 1\."):
        gpu_environments(2)
