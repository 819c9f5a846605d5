"""Whole pipelines on this machine, started as a person starts them; each run is shared by the tests that look at it."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.local_events import read_events

ROOT = Path(__file__).parents[2]
PATIENCE = 180.0
"""Seconds after which a run that does not come to its end fails the test."""

TOPICS = ("refund", "invoice", "delivery", "password", "warranty", "repair", "opening", "voucher")


@dataclass(frozen=True)
class Finished:
    """A run that has ended."""

    output: Path
    code: int
    out: str
    err: str
    scratch: Path
    """Where the run's processes put their temporary files."""
    summary: dict[str, Any]
    """Content of `summary.json` right after the run, {} if there was none."""
    folder: Path | None
    """The run's own folder, None if it made none."""
    events: list[dict[str, Any]]
    """What the steps told."""

    @property
    def notes(self) -> list[str]:
        """What the steps told, without the indentation."""
        return [line.strip() for line in self.err.splitlines() if line.startswith("    ")]

    @property
    def steps(self) -> list[str]:
        """The lines about steps, without times."""
        lines = [line.split() for line in self.err.splitlines() if line.startswith(("✓", "✗"))]
        return [" ".join(line[:3]) if "unchanged," in line else " ".join(line[:2]) for line in lines]


class Running:
    """A pipeline run in a process of its own."""

    def __init__(
        self, output: Path, scratch: Path, pipeline: str, options: tuple[object, ...], first_on_path: Path = ROOT
    ) -> None:
        self.output, self._scratch = output, scratch
        self._before = set(output.glob("runs/[0-9]*"))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        environment["PYTHONPATH"] = os.pathsep.join([str(first_on_path), str(ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines", "run", pipeline, "--output", output, *map(str, options)],
            cwd=ROOT,
            env={**environment, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TMPDIR": str(scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def folder(self) -> Path | None:
        """The run's own folder, once it has one."""
        return min(set(self.output.glob("runs/[0-9]*")) - self._before, default=None)

    def events(self) -> list[dict[str, Any]]:
        return [] if self.folder is None else read_events(self.folder / "events.jsonl", 0)[1]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        self.wait_for(lambda: condition() or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def finish(self) -> Finished:
        out, err = self.process.communicate(timeout=PATIENCE)
        path = self.output / "summary.json"
        summary = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        code = self.process.returncode
        return Finished(self.output, code, out, err, self._scratch, summary, self.folder, self.events())

    def end(self) -> None:
        """Leave nothing behind when a test fails in the middle."""
        for pid in find_processes(self.output):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def find_processes(output: Path) -> list[int]:
    """Return the processes that have a run's folder in their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(output) in words:
            found.append(int(path.parent.name))
    return found


Start = Callable[..., Running]


@pytest.fixture(scope="session")
def processes_of() -> Callable[[Path], list[int]]:
    return find_processes


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory):
    runs: list[Running] = []

    def begin(output: Path, *options: object, pipeline: str = "finetune", first_on_path: Path = ROOT) -> Running:
        runs.append(Running(output, tmp_path_factory.mktemp("scratch"), pipeline, options, first_on_path))
        return runs[-1]

    yield begin
    for running in runs:
        running.end()


def write_csv(path: Path, rows: list[tuple[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


def tickets(numbers: range) -> list[tuple[str, str]]:
    return [("text", "label"), *((f"{topic} case {n * 37 % 101}", topic) for topic in TOPICS for n in numbers)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session")
def source(folder: Path) -> Path:
    return write_csv(folder / "tickets.csv", tickets(range(15)))


@pytest.fixture(scope="session")
def options(tiny_model_folder: Path) -> tuple[object, ...]:
    """A training of a second that changes the model."""
    return (
        *("--model-backbone", tiny_model_folder, "--model-max-length", 32),
        *("--train-batch-size", 32, "--train-learning-rate", 0.005),
    )


@pytest.fixture(scope="session")
def pairs_running(start: Start, folder: Path, options: tuple[object, ...]) -> Running:
    """Pairs, from a file whose name is an ordeal, with the log shown and a gain asked for that nothing reaches."""
    rows = [(f"where is {topic} {n}", f"the {topic} desk, counter {n * 7 % 40}") for topic in TOPICS for n in range(15)]
    path = write_csv(folder / "pä irs $HOME python3 'a' \"b\".csv", [("query", "document"), *rows])
    words = ("--eval-metric", "mrr_at_10", "--register-min-gain", 1, "--register-model-name", "Büro 1", "--verbose")
    return start(folder / "pairs", "--data-uri", path, "--train-epochs", 1, *words, *options)


@pytest.fixture(scope="session")
def first(pairs_running: Running, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    """Labelled texts; runs while the pairs do, which saves a quarter of a minute on two cores."""
    return start(folder / "out", "--data-uri", source, "--train-epochs", 2, *options).finish()


@pytest.fixture(scope="session")
def pairs(first: Finished, pairs_running: Running) -> Finished:
    return pairs_running.finish()


@pytest.fixture(scope="session")
def again(first: Finished, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    return start(folder / "out", "--data-uri", source, "--train-epochs", 2, *options).finish()


@pytest.fixture(scope="session")
def sharded(first: Finished, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    """The rows of `first` in two files, each with its header, read and built by file."""
    (folder / "shards").mkdir()
    (names, *rows) = tickets(range(15))
    for number in range(2):
        write_csv(folder / "shards" / f"part {number}.csv", [names, *rows[number * 60 : number * 60 + 60]])
    pattern = folder / "shards" / "part ?.csv"
    words = ("--data-uri", pattern, "--data-layout", "labelled", "--train-epochs", 2, *options)
    return start(folder / "sharded", *words, pipeline="finetune-sharded").finish()


@pytest.fixture(scope="session")
def sharded_again(sharded: Finished, start: Start, folder: Path, options: tuple[object, ...]) -> Finished:
    words = ("--data-uri", folder / "shards" / "part ?.csv", "--data-layout", "labelled", "--train-epochs", 2, *options)
    return start(folder / "sharded", *words, pipeline="finetune-sharded").finish()


@pytest.fixture(scope="session")
def swept(first: Finished, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    """Two combinations of settings, of which the first comes to no model."""
    grid = json.dumps({"model_freeze": ["no-such-layer", ""]})
    words = ("--data-uri", source, "--train-epochs", 1, "--train-grid", grid, *options)
    return start(folder / "swept", *words, pipeline="sweep").finish()


def in_training(start: Start, folder: Path, source: Path, options: tuple[object, ...]) -> Running:
    """A longer training that has made a step and waits for a signal."""
    words = ("--data-uri", source, "--train-epochs", 30, *options)
    running = start(folder / "out", *words, first_on_path=Path(__file__).parent / "waiting")
    running.wait_until(lambda: any(event.get("description") == "Fine-tuning" for event in running.events()))
    return running


@pytest.fixture(scope="session")
def stopped(again: Finished, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    """A longer training on changed data, interrupted as Ctrl-C does it."""
    write_csv(source, tickets(range(16)))
    running = in_training(start, folder, source, options)
    running.process.send_signal(signal.SIGINT)
    return running.finish()


@pytest.fixture(scope="session")
def killed(stopped: Finished, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Running:
    """The run that goes on with it, killed; all that it had started is held, so that it has not ended yet."""
    running = in_training(start, folder, source, options)
    os.killpg(group_of(running), signal.SIGSTOP)
    running.process.kill()
    return running


def group_of(running: Running) -> int:
    """The process group of all that a run has started."""
    return os.getpgid(find_processes(running.output / "runs")[0])


@pytest.fixture(scope="session")
def resumed(killed: Running, start: Start, source: Path, folder: Path, options: tuple[object, ...]) -> Finished:
    """The run that waits for what that one had started, goes on with it and comes to its end."""
    running = start(folder / "out", "--data-uri", source, "--train-epochs", 30, *options)
    said = running.process.stderr.readline()
    os.killpg(group_of(killed), signal.SIGCONT)
    finished = running.finish()
    return replace(finished, err=said + finished.err)
