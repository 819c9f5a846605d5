"""How many modules a row of text passes from the ingest step to the training examples.

Counted are the modules of ours of which a function runs while a small CSV of texts and labels is ingested, built into
Documents and read as training examples. What runs only because a module is imported does not count, nor do the methods
that `dataclass` generates. `--names` lists the modules; `--packages` prints instead how many files and lines the
packages have that a row goes through before it is a dataset.
"""

import argparse
import inspect
import io
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from embedtune.documents.build import BuildOptions
from embedtune.steps.build_documents import build_documents
from embedtune.steps.ingest_csv import IngestCSVConfig, ingest_csv
from embedtune.training.examples import TrainingSet

ROOT = Path(__file__).parents[1] / "embedtune"
COUNTED = ("steps", "storage", "media", "records", "documents", "datasets", "training")
"""Packages on the way of a record; what all packages use, such as `progress`, is not among them."""

FRONT = ("storage", "media", "records", "documents", "datasets", "samples")
_LABELS, _TEXTS = 4, 15


@dataclass(frozen=True)
class Stage:
    """A part of the road."""

    name: str
    modules: frozenset[str]
    """Paths of the modules below `embedtune`."""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--names", action="store_true", help="list the modules, too")
    kinds.add_argument("--packages", action="store_true", help="print files and lines of the packages instead")
    options = parser.parse_args()
    if options.packages:
        _print_packages()
        return
    with tempfile.TemporaryDirectory() as folder, redirect_stderr(io.StringIO()):
        stages = walk(Path(folder))
    for stage in (*stages, Stage("together", frozenset().union(*(stage.modules for stage in stages)))):
        _print_stage(stage, options.names)


def walk(folder: Path) -> list[Stage]:
    """Send rows down the road, and return the modules that they pass.

    Args:
        folder: An empty folder.
    """
    source, rows, train = folder / "tickets.csv", folder / "rows.parquet", folder / "train"
    texts = [f"how do I change number {n} of {name},{name}" for name in "abcd"[:_LABELS] for n in range(_TEXTS)]
    source.write_text("\n".join(["text,label", *texts]) + "\n", encoding="utf-8")
    outputs = (folder / name for name in ("evaluation", "aside.csv", "data.html", "data.md"))

    def ingest() -> None:
        ingest_csv(IngestCSVConfig(str(source)), rows, folder / "bad.csv")

    def build() -> None:
        build_documents(BuildOptions(), rows, train, *outputs)

    def read() -> None:
        TrainingSet.read(train, folder)

    parts = (("ingest_csv", ingest), ("build_documents", build), ("training examples", read))
    return [Stage(name, frozenset(_modules_run(part))) for name, part in parts]


def _modules_run(function: Callable[[], None]) -> set[str]:
    """Return the counted modules of which a function runs in any thread meanwhile, as paths below `embedtune`."""
    with _watched() as files:
        function()
    paths = (Path(file).relative_to(ROOT).as_posix() for file in files)
    return {path for path in paths if path.partition("/")[0] in COUNTED}


@contextmanager
def _watched() -> Iterator[set[str]]:
    found: set[str] = set()

    def watch(frame: FrameType, event: str, _argument: object) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(f"{ROOT}/") and file not in found and not _is_of_import(frame):
            found.add(file)

    threading.setprofile(watch)
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def _is_of_import(frame: FrameType | None) -> bool:
    """Whether a module of ours is being imported, which is when its own code and that of its classes runs."""
    while frame is not None:
        is_function = frame.f_code.co_flags & inspect.CO_OPTIMIZED
        if not is_function and frame.f_code.co_filename.startswith(f"{ROOT}/"):
            return True
        frame = frame.f_back
    return False


def _print_stage(stage: Stage, names: bool) -> None:
    lines = {path: _lines(ROOT / path) for path in sorted(stage.modules)}
    packages = Counter(path.partition("/")[0] for path in lines)
    told = ", ".join(f"{package} {packages[package]}" for package in COUNTED if packages[package])
    print(f"{stage.name}: {len(lines)} modules, {sum(lines.values()):,} lines ({told})")
    if names:
        for path, count in lines.items():
            print(f"  {path} {count}")


def _print_packages() -> None:
    """Print files, but for `__init__.py`, and lines of each package of the front half."""
    total = Counter[str]()
    for package in FRONT:
        paths = [path for path in (ROOT / package).rglob("*.py") if path.name != "__init__.py"]
        found = Counter(files=len(paths), lines=sum(map(_lines, paths)))
        print(f"{package}: {found['files']} files, {found['lines']:,} lines")
        total += found
    print(f"together: {total['files']} files, {total['lines']:,} lines")


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


if __name__ == "__main__":
    main()
