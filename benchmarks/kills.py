"""Trainings that are killed again and again, at random moments: does each come to the model of an undisturbed one?

For each kind of training a process is started, and killed (SIGKILL) after a time that is drawn between nothing and the
life of a process that nobody kills; the next one goes on with what it finds. A training that comes to its end is
compared with the undisturbed one, byte by byte, and another one is begun, until there were so many kills; the last
training is let come to its end. Checkpoints are written as often as training allows, and sent to moto's server, so that
many kills hit the writing, the sending and the fetching, too. Processes are forked from one that has imported the
libraries, so that none is killed while it does that.
"""

import argparse
import csv
import hashlib
import json
import mmap
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import prepare
from benchmarks.scratch_models import write_bert
from benchmarks.storage import moto_server
from embedtune.documents.build import BuildOptions
from tests.tiny_data import named_colours, solids
from tests.tiny_models import save_tiny

_BUCKET = "kills"
_PHASES = ("fetching", "writing", "sending", "finishing")
_OPTIONS = {"items_per_label": 2, "checkpoint_minutes": 1e-9}


def _bert(folder: Path) -> Path:
    write_bert(folder)
    return folder / "model"


def _tiny(kind: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_tiny(kind, folder / "model")
        return folder / "model"

    return write


def _labelled(folder: Path) -> Path:
    return _rows(
        folder,
        ("text", "label"),
        [(f"{_word(number)} {_word(number * 7)}", f"l{number % 12}") for number in range(240)],
    )


def _paired(folder: Path) -> Path:
    return _rows(
        folder,
        ("query", "document"),
        [(_word(number), f"{_word(number)} {_word(number * 7)}") for number in range(240)],
    )


def _word(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()[:9]


def _rows(folder: Path, header: tuple[str, str], rows: list[tuple[str, str]]) -> Path:
    with (folder / "rows.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return folder / "rows.csv"


@dataclass(frozen=True)
class Kind:
    """What is trained."""

    data: Callable[[Path], Path]
    """Writes the data into a folder, and returns where they are."""
    backbone: Callable[[Path], Path]
    loss: str
    epochs: int
    options: dict[str, object]


KINDS = {
    "P x K": Kind(_labelled, _bert, "SupConLoss", 4, _OPTIONS),
    "pairs": Kind(_paired, _bert, "MultipleNegativesRankingLoss", 3, _OPTIONS),
    "CLIP": Kind(lambda folder: named_colours(folder / "colours"), _tiny("clip"), "CLIPLoss", 8, _OPTIONS),
    "mesh": Kind(
        lambda folder: solids(folder / "solids"),
        _tiny("pointnet"),
        "TripletMarginLoss",
        8,
        {**_OPTIONS, "augment": ["rotate", "jitter"]},
    ),
    "loss with weights": Kind(_labelled, _bert, "ArcFaceLoss", 4, _OPTIONS),
}


def main() -> None:
    """Print a row of a table for each kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    _import_all()
    print(f"seed {options.seed}, {options.threads} threads, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(
        "| training | kills | of them in | trainings | equal to the undisturbed one |\n|---|---|---|---|---|",
        flush=True,
    )
    unequal = 0
    with moto_server(), tempfile.TemporaryDirectory() as folder:
        _forked(_make_bucket, Path(folder) / "log")
        for name in options.kinds:
            bench = Bench(Path(folder) / name.replace(" ", ""), KINDS[name], options.threads)
            unequal += _report(name, bench, options.kills, random.Random(f"{options.seed} {name}"))
    sys.exit(unequal)


def _report(name: str, bench: "Bench", kills: int, draw: random.Random) -> int:
    """Kill, print what came of it, and return how many models were others."""
    phases: Counter[str] = Counter()
    equal: list[bool] = []
    life = bench.life
    while sum(phases.values()) < kills:
        training = f"{len(equal)}"
        killed = bench.attempt(training, draw.uniform(0, life))
        if killed is None:
            equal.append(bench.digest(training) == bench.undisturbed)
        else:
            phases[killed] += 1
    if bench.attempt(f"{len(equal)}", None) is None:
        equal.append(bench.digest(f"{len(equal)}") == bench.undisturbed)
    told = ", ".join(f"{phase} {count}" for phase, count in phases.most_common())
    print(f"| {name} | {sum(phases.values())} | {told} | {len(equal)} | {sum(equal)} |", flush=True)
    return len(equal) - sum(equal)


class Bench:
    """One kind of training, and its processes."""

    def __init__(self, folder: Path, kind: Kind, threads: int) -> None:
        """Make data and backbone, and train undisturbed: once without checkpoints, and once for the time with them."""
        self._folder, self._kind, self._threads = folder, kind, threads
        folder.mkdir()
        self._log = folder / "log"
        self._phases = folder / "phases"
        self._phases.write_bytes(bytes(len(_PHASES)))
        _forked(self._prepare, self._log)
        _forked(lambda: self._train("undisturbed", ""), self._log)
        self.undisturbed = self.digest("undisturbed")
        started = time.monotonic()
        if self.attempt("timed", None) is not None or self.digest("timed") != self.undisturbed:
            sys.exit(f"The training with checkpoints is not that without; see {self._log}.")
        self.life = time.monotonic() - started

    def attempt(self, training: str, seconds: float | None) -> str | None:
        """Go on with a training, and kill it after some seconds; return what it was doing, or None if it has ended."""
        self._phases.write_bytes(bytes(len(_PHASES)))
        process = _fork(lambda: self._train(training, f"s3://{_BUCKET}/{self._folder.name}/{training}"), self._log)
        deadline = time.monotonic() + (seconds if seconds is not None else 3600)
        while time.monotonic() < deadline:
            done, status = os.waitpid(process, os.WNOHANG)
            if done:
                _check(status, self._log)
                return None
            time.sleep(min(0.005, max(0.0, deadline - time.monotonic())))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        flags = self._phases.read_bytes()
        return next((name for name, flag in zip(_PHASES, flags, strict=True) if flag), "training, loading or saving")

    def digest(self, training: str) -> dict[str, object]:
        """Return the bytes of a model, by their SHA-256, and its history; not how long it took."""
        model = self._folder / training
        facts: dict[str, object] = {
            path.relative_to(model).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(model.rglob("*"))
            if path.is_file() and path.name not in ("training.json", ".embedtune-files")
        }
        facts["history"] = json.loads((model / "training.json").read_text(encoding="utf-8"))["history"]
        return facts

    def _prepare(self) -> None:
        self._kind.backbone(self._folder)
        prepare(str(self._kind.data(self._folder)), self._folder, BuildOptions(eval_share=0.2))

    def _train(self, training: str, root: str) -> None:
        import torch

        from embedtune.training.config import FinetuneConfig
        from embedtune.training.finetune import finetune_model

        torch.set_num_threads(self._threads)
        _record_phases(self._phases)
        config = FinetuneConfig(
            backbone=str(self._folder / "model"),
            loss=self._kind.loss,
            epochs=self._kind.epochs,
            batch_size=8,
            max_length=0,
            learning_rate=1e-3,
            train_options=json.dumps(self._kind.options),
        )
        finetune_model(self._folder / "train", self._folder / training, config, root, keep_finished=bool(root))


def _record_phases(path: Path) -> None:
    """Note in a file what the process is doing, where a kill leaves it; write checkpoints every other moment."""
    from embedtune.training import saving
    from embedtune.training.checkpoints import CheckpointStore

    saving._TRAINING_PER_CHECKPOINT = 1.0
    with path.open("r+b") as file:
        flags = mmap.mmap(file.fileno(), len(_PHASES))

    def noted(phase: str, act: Callable[..., Any]) -> Callable[..., Any]:
        at = _PHASES.index(phase)

        def noting(*arguments: Any, **options: Any) -> Any:
            flags[at] = 1
            try:
                return act(*arguments, **options)
            finally:
                flags[at] = 0

        return noting

    store: Any = CheckpointStore
    store._fetch, store._send = noted("fetching", store._fetch), noted("sending", store._send)
    store.finish = noted("finishing", store.finish)
    saving.CheckpointCallback.save = noted("writing", saving.CheckpointCallback.save)  # type: ignore[method-assign]


def _import_all() -> None:
    """Import what the processes need, and let no thread begin, which would not live on in them."""
    import embedtune.training.taking_part  # noqa: F401


def _make_bucket() -> None:
    from embedtune.storage.locations import ObjectStore
    from embedtune.storage.objects.client import store_client

    store_client(ObjectStore.S3).make_bucket(_BUCKET)


def _forked(act: Callable[[], None], log: Path) -> None:
    """Do something in a process of its own, to its end."""
    _check(os.waitpid(_fork(act, log), 0)[1], log)


def _fork(act: Callable[[], None], log: Path) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        act()
        status = 0
    finally:
        if status:
            import traceback

            traceback.print_exc()
        sys.stderr.flush()
        os._exit(status)


def _check(status: int, log: Path) -> None:
    if status:
        sys.exit(
            f"A process ended with {os.waitstatus_to_exitcode(status)}:\n{log.read_text(errors='replace')[-3000:]}"
        )


if __name__ == "__main__":
    main()
