"""What of the files and folders at hand embedtune has written, so that nothing else is read by mistake or replaced."""

from collections.abc import Iterable
from pathlib import Path

OUTPUT_MARKER = ".embedtune-output"
"""Empty file in the output folder of a run, made before anything else: what lies in the folder is no data."""

# Version 0.1 left no marker, but this.
_SIGNS = (OUTPUT_MARKER, "runs/request.json")


def is_run_folder(folder: Path) -> bool:
    """Tell whether a folder is the output folder of a run.

    Raises:
        OSError: it cannot be looked into.
    """
    return any((folder / sign).is_file() for sign in _SIGNS)


def run_folders(names: Iterable[str]) -> set[str]:
    """Return which folders of a store are the output folders of runs, by the names of all objects."""
    return {name.removesuffix(f"/{sign}") for name in names for sign in _SIGNS if name.endswith(f"/{sign}")}
