"""The output folder of local runs: what lies where in it, and the folder that each run has of its own."""

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from embedtune.errors import StorageError, reason
from embedtune.storage.atomic import is_part
from embedtune.storage.outputs import Output
from pipelines.local_lock import Holder, folder_lock

RUNS, CACHE = "runs", "runs/.cache"
MODEL, SCORES, REPORT, DATA_PAGE, SUMMARY = "model", "scores", "report.html", "data.html", "summary.json"
SWEEP, SWEEP_PAGE, SWEEP_SUMMARY = "sweep", "sweep.html", "sweep.md"
"""Results: those of the latest run in the output folder, those of each run in its own folder; three of a sweep."""
CHECKPOINTS = "checkpoints"

_DATABASE, _ARTIFACTS = "mlflow.db", "artifacts"
_RESULT_FOLDERS, _RESULT_FILES = (MODEL, SCORES, SWEEP), (REPORT, DATA_PAGE, SUMMARY, SWEEP_PAGE, SWEEP_SUMMARY)
_FOLDERS = (RUNS, CACHE, *_RESULT_FOLDERS, CHECKPOINTS, _ARTIFACTS, f"{_ARTIFACTS}/models")
_FILES = (*_RESULT_FILES, _DATABASE)


@dataclass(frozen=True)
class RunFolder:
    """Where one run writes, which holds the output folder."""

    output: Path
    """The output folder, which later runs share."""
    path: Path
    """The folder of this run alone."""
    lock: int
    """The open file that holds the output folder."""

    @property
    def request(self) -> Path:
        """What the run was asked for."""
        return self.path / "request.json"

    @property
    def events(self) -> Path:
        """What its steps told."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """What its steps printed."""
        return self.path / "log.txt"

    @property
    def outputs(self) -> Path:
        """What the pipeline returned, once it is through."""
        return self.path / "outputs.json"

    @property
    def scratch(self) -> Path:
        """Where everything temporary goes; removed at the run's end, or by the next run."""
        return _scratch(self.path)


def results_in(output: Path) -> list[Output]:
    """Return what a run puts in the place of an earlier one's in an output folder."""
    return [
        *(Output("--output", output / name, is_folder=True) for name in _RESULT_FOLDERS),
        *(Output("--output", output / name, is_folder=False) for name in _RESULT_FILES),
    ]


@contextmanager
def run_folder(output: Path, model: str, data_uri: str) -> Iterator[RunFolder]:
    """Hold the output folder and make a folder for one run in it.

    Args:
        output: The output folder; made if it is missing.
        model: Name under which the run registers its model.
        data_uri: Where its data are.

    Raises:
        StorageError: another run holds the output folder, or something that this one will write cannot be written.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"The output folder {output} cannot be made: {reason(error)}. Give another --output."
        ) from error
    with folder_lock(output, Holder.here(model, data_uri)) as lock:
        _check_places(output)
        path = output / RUNS / f"{datetime.now():%Y-%m-%d-%H-%M-%S}-{secrets.token_hex(3)}"
        path.mkdir(parents=True)
        _remove_leftovers(output)
        folder = RunFolder(output, path, lock)
        folder.scratch.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder.scratch, ignore_errors=True)


def _scratch(run: Path) -> Path:
    return Path(tempfile.gettempdir()) / f"embedtune-{run.name}"


def _check_places(output: Path) -> None:
    """Check that all of a run can be written, before the work and not after it.

    Raises:
        StorageError: something cannot.
    """
    for name in _FOLDERS:
        if (output / name).exists() and not (output / name).is_dir():
            raise StorageError(
                f"{output / name} is a file where the run keeps a folder. Move it away, or give another --output."
            )
    for name in _FILES:
        if (output / name).is_dir():
            raise StorageError(
                f"{output / name} is a folder where the run keeps a file. Move it away, or give another --output."
            )
    try:
        for name in ("", *_FOLDERS):
            if (output / name).exists():
                tempfile.TemporaryFile(dir=output / name).close()
    except OSError as error:
        raise StorageError(
            f"{output / name} cannot be written: {reason(error)}. Give another --output, or ask for permission."
        ) from error


def _remove_leftovers(output: Path) -> None:
    """Remove what killed runs had begun to write; none of it is in use while the output folder is held."""
    deep = [path for name in (RUNS, CHECKPOINTS, _ARTIFACTS) for path in (output / name).rglob(".*")]
    for path in (*output.iterdir(), *deep):
        if is_part(path.name):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    for run in (output / RUNS).iterdir():
        shutil.rmtree(_scratch(run), ignore_errors=True)
