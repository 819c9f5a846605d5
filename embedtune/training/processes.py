"""The processes of one training on one machine, each with a device of its own: what they share, and when.

transformers' loop sees one process. So its DistributedDataParallel, which fails where a model is called twice for a
batch with other parts of it (texts and images of CLIP), is not used: each process embeds its share of a batch,
all vectors are gathered, each process calculates the whole loss, and the gradients are added up. That is what one
process does with the whole batch, but for normalisation over a batch, whose statistics are those of the share.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

_PATIENCE = timedelta(hours=2)
"""How long one waits for another, such as for the first while it uploads a checkpoint; who dies ends all at once."""


@dataclass(frozen=True)
class Processes:
    """The place of this process among those of its training."""

    rank: int = 0
    """Number of this process; the first, 0, also writes and tells."""
    count: int = 1
    """Number of processes."""

    @property
    def first(self) -> bool:
        """Whether this process writes what is kept, once for all."""
        return self.rank == 0

    def gather(self, vectors: Tensor, rows: int) -> Tensor:
        """Return the vectors (rows, d) of a batch, of which each process embedded its share (see `batches.share_of`).

        A gradient flows back to this process's own vectors alone.
        """
        if self.count == 1:
            return vectors
        gathered: Tensor = _Gather.apply(vectors, self)  # type: ignore[no-untyped-call]
        return gathered[:rows]

    def add_gradients(self, model: Iterable[nn.Parameter], loss: Iterable[nn.Parameter]) -> None:
        """Give each weight the gradient of the whole batch, the same in all processes; none where none has one.

        Args:
            model: Weights that have the gradient of this process's share.
            loss: Weights that have the whole one already, equal up to the order in which a GPU adds.
        """
        if self.count == 1:
            return
        trained = [weight for weight in model if weight.requires_grad]
        for weight in loss:
            trained.append(weight)
            if weight.grad is not None:
                weight.grad /= self.count
        there = torch.tensor([weight.grad is not None for weight in trained], dtype=torch.uint8)
        dist.all_reduce(there, dist.ReduceOp.MAX)
        running = []
        for weight, has_one in zip(trained, there.tolist(), strict=True):
            if has_one:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
                running.append(dist.all_reduce(weight.grad, async_op=True))
        for work in running:
            work.wait()

    def any(self, here: bool) -> bool:
        """Return whether something is so in any of the processes; all ask at the same time."""
        if self.count == 1:
            return here
        flag = torch.tensor(int(here))
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def of_first(self, value: str) -> str:
        """Return the value that the first process has."""
        if self.count == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def draw_own(self, seed: int, step: int) -> None:
        """Let each process drop out other components in a step, the same ones where the step is repeated."""
        if self.count > 1:
            torch.manual_seed(int(np.random.default_rng([seed, step, self.rank]).integers(2**63)))


ALONE = Processes()
"""The one process of a training."""


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, vectors: Tensor, processes: Processes) -> Tensor:
        context.rank, context.rows = processes.rank, len(vectors)
        parts = [torch.empty_like(vectors) for _ in range(processes.count)]
        dist.all_gather(parts, vectors.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient[context.rank * context.rows :][: context.rows], None


@contextmanager
def joined(rank: int, count: int, meeting: Path) -> Iterator[Processes]:
    """Meet the other processes of a training.

    Args:
        rank: Number of this process, from 0.
        count: Number of processes.
        meeting: A file through which they find each other; it does not exist before.
    """
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    store = dist.FileStore(str(meeting), count)  # type: ignore[attr-defined]
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=_PATIENCE)
    yield Processes(rank, count)
    dist.destroy_process_group()
