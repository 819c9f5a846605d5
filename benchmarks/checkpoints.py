"""What a checkpoint costs the training that it is written beside: the same steps with and without one, in one training.

The default backbone is trained on texts of one length, so that all steps cost the same. In every other block of steps
a checkpoint is written after the first one, and sent during the others, to a folder or to moto's server, perhaps later.
What is printed is how much longer such a block takes than its neighbours, by the clock and by the CPU, the part of it
that goes into writing, and the share of the time at the default of one in ten minutes, and at the most that `saving`
allows after short epochs.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.storage import moto_server
from embedtune.models.backbones import DEFAULT_BACKBONE
from embedtune.training.config import FinetuneConfig

if TYPE_CHECKING:
    from embedtune.training.checkpoints import CheckpointStore

_WORDS = ("the", "parcel", "has", "not", "come", "and", "nobody", "answers", "when", "will", "somebody", "call", "me")
_BUCKET = "checkpoints"


@dataclass(frozen=True)
class Block:
    """Some steps in a row."""

    saved: bool
    """Whether a checkpoint was written in it."""
    seconds: float
    cpu_seconds: float
    writing_s: float
    """Of `seconds`, those in which no step was done."""
    sending_s: float
    """What sending it costs, as `saving` reckons."""


def main() -> None:
    """Print the blocks, and what a checkpoint costs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=12, help="half of them with a checkpoint")
    parser.add_argument("--steps", type=int, default=10, help="of a block")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--store", choices=("folder", "moto"), default="moto")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each file that is sent")
    options = parser.parse_args()
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {options}", flush=True)
    with tempfile.TemporaryDirectory() as scratch, moto_server() if options.store == "moto" else nullcontext():
        blocks = _measure(options, Path(scratch))
    for block in blocks:
        told = f", {block.writing_s:.2f} s of it written" if block.saved else ""
        print(f"  {'with' if block.saved else 'without'}: {block.seconds:.2f} s, CPU {block.cpu_seconds:.2f} s{told}")
    _report(blocks, options.steps)


def _report(blocks: list[Block], steps: int) -> None:
    from embedtune.training.saving import _TRAINING_PER_CHECKPOINT

    # Each block with a checkpoint is compared with the mean of the ones around it.
    around = [(one, blocks[at - 1], blocks[at + 1]) for at, one in enumerate(blocks[:-1]) if one.saved]
    extra = statistics.median(one.seconds - (two.seconds + three.seconds) / 2 for one, two, three in around)
    cpu = statistics.median(one.cpu_seconds - (two.cpu_seconds + three.cpu_seconds) / 2 for one, two, three in around)
    writing = statistics.median(block.writing_s for block in blocks if block.saved)
    without = statistics.median(block.seconds for block in blocks if not block.saved) / steps
    print(f"a step without: {without:.3f} s")
    print(
        f"a checkpoint costs {extra:.2f} s by the clock, {cpu:.2f} s of the CPU, of which {writing:.2f} s to write it"
    )
    print(f"share of the time, one in ten minutes: {extra / 600:.2%} (at most 3 % is the aim)")
    cost = writing + statistics.median(block.sending_s for block in blocks if block.saved)
    print(
        f"share of the time, after the shortest epochs: {extra / (_TRAINING_PER_CHECKPOINT * cost):.2%} (at most 3 %)"
    )


def _measure(options: argparse.Namespace, scratch: Path) -> list[Block]:
    from embedtune.models.contents import Contents
    from embedtune.models.loading import load_model
    from embedtune.training.checkpoints import CheckpointStore
    from embedtune.training.examples import TrainingSet
    from embedtune.training.trainer import train

    rows = options.batch_size // 2
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.permutation(_WORDS)) for _ in range(2 * rows * options.steps)]
    examples = TrainingSet(Contents.of_texts(texts), np.arange(len(texts)) // 2)
    config = FinetuneConfig(
        loss="MultipleNegativesRankingLoss", epochs=options.blocks, batch_size=options.batch_size, learning_rate=1e-5
    )
    root = f"s3://{_bucket()}" if options.store == "moto" else str(scratch / "kept")
    store = CheckpointStore(root, "0" * 16, scratch)
    with _blocks(options, store) as blocks:
        train(load_model(DEFAULT_BACKBONE, 0), examples, config, store)
    return blocks


def _bucket() -> str:
    from embedtune.storage.locations import ObjectStore
    from embedtune.storage.objects.client import store_client

    store_client(ObjectStore.S3).make_bucket(_BUCKET)
    return _BUCKET


@contextmanager
def _blocks(options: argparse.Namespace, store: "CheckpointStore") -> Iterator[list[Block]]:
    """Have a checkpoint written in the first step of every other block, and measure each."""
    from embedtune.storage import folders
    from embedtune.training.saving import CheckpointCallback
    from embedtune.training.watching import WatchCallback

    blocks: list[Block] = []
    begun = [time.perf_counter(), time.process_time()]
    writing, steps, send = [0.0], [0], folders.send_files
    save = CheckpointCallback.save

    def is_time(_: CheckpointCallback, seconds: float) -> bool:
        return bool(seconds) and steps[0] % (2 * options.steps) == options.steps + 1

    def save_timed(callback: CheckpointCallback, *arguments: Any) -> None:
        started = time.perf_counter()
        save(callback, *arguments)
        writing[0] = time.perf_counter() - started

    def send_later(*arguments: Any) -> None:
        time.sleep(options.delay)
        send(*arguments)

    def count(*_: object, **_more: object) -> None:
        steps[0] += 1
        if steps[0] % options.steps == 0:
            now = [time.perf_counter(), time.process_time()]
            blocks.append(Block(writing[0] > 0, now[0] - begun[0], now[1] - begun[1], writing[0], store.sending_s))
            begun[:], writing[0] = now, 0.0

    CheckpointCallback._is_time, CheckpointCallback.save = is_time, save_timed  # type: ignore[method-assign]
    WatchCallback.on_step_end, folders.send_files = count, send_later  # type: ignore[method-assign, assignment]
    yield blocks


if __name__ == "__main__":
    main()
