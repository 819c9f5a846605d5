"""GPUs that were asked for are there, or nothing is trained."""

import pytest
import torch

from embedtune.errors import TrainingError
from embedtune.models.devices import check_gpus


def test_the_cpu_will_do_where_none_was_asked_for() -> None:
    check_gpus(0)


def test_as_many_as_are_there_will_do() -> None:
    check_gpus(torch.accelerator.device_count())


def test_more_than_are_there() -> None:
    there = torch.accelerator.device_count()
    message = rf"gpu_count is {there + 1}, and PyTorch .* sees {there} GPUs here\. .*give gpu_count 0 to train"
    with pytest.raises(TrainingError, match=message):
        check_gpus(there + 1)
