"""Whether outputs may be written where someone wants them: nothing of the user's is replaced, and no input."""

import glob
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from embedtune.errors import ConfigError, StorageError, reason
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.ownership import (
    foreign_files,
    is_nobodys,
    is_our_file,
    is_our_folder,
    is_run_folder,
)

_MOST_NAMES = 3


@dataclass(frozen=True)
class Output:
    """A file or folder that is to be written as a whole."""

    flag: str
    """What names it on the command line."""
    path: Path
    is_folder: bool


def check_outputs(outputs: Sequence[Output], inputs: Sequence[tuple[str, str]], overwrite: bool) -> None:
    """Refuse outputs that would replace an input, one another, or, unless that is meant, what embedtune did not write.

    Args:
        outputs: What is to be written.
        inputs: Flag, and path or address, of what is read.
        overwrite: Whether files that embedtune did not write may be replaced.

    Raises:
        ConfigError: an output names an input, another output, or a folder that cannot be one.
        StorageError: it would replace what embedtune did not write.
    """
    for output in outputs:
        _check_place(output)
    for one, other in combinations(outputs, 2):
        if _is_same(one.path, other.path) or _is_within(one.path, other.path) or _is_within(other.path, one.path):
            raise ConfigError(
                f"{one.flag} is {one.path} and {other.flag} is {other.path}: one would replace the other. Give each a "
                "path of its own."
            )
    for output in outputs:
        for flag, address in inputs:
            for path in _local_paths(address):
                _check_input(output, flag, path)
    for output in () if overwrite else outputs:
        found = _foreign(output)
        if found:
            raise StorageError(
                f"{output.flag} is {output.path}, where there is something that embedtune did not write: {found}. Give "
                "another path, or --overwrite to replace it."
            )


def check_run_folder(output: Path, results: Sequence[Output], data: str, overwrite: bool) -> None:
    """Refuse an output folder of a run in which the run would replace data or what embedtune did not write.

    Args:
        output: The folder.
        results: What the run replaces in it; what else is in the folder of an earlier run stays.
        data: Path or address of the run's data.
        overwrite: Whether files that embedtune did not write may be replaced.

    Raises:
        ConfigError: it is the data, or the data are where the run would write.
        StorageError: it is no folder, or holds what embedtune did not write.
    """
    for path in _local_paths(data):
        if any(_replaces(part, path) for part in (Output("--output", output, is_folder=False), *results)):
            raise ConfigError(
                f"--output is {output} and --data-uri is {data}: the run would write where the data are. Give a folder "
                "of its own."
            )
    if overwrite or not os.path.lexists(output):
        return
    if not output.is_dir():
        raise StorageError(f"--output is {output}, which is a file. Give a folder.")
    with _explained(output):
        found = [_foreign(each) for each in results] if is_run_folder(output) else [_listed(output, _present(output))]
    if any(found):
        raise StorageError(
            f"--output is {output}, where there is something that embedtune did not write: "
            f"{next(filter(None, found))}. Give another folder, or --overwrite to write there all the same."
        )


def _check_place(output: Output) -> None:
    path = output.path
    here = os.path.join(os.getcwd(), "")
    if output.is_folder and here.startswith(os.path.join(os.path.realpath(path), "")):
        raise ConfigError(f"{output.flag} is {path}, which is or holds the present folder. Give a folder of its own.")
    if path.exists() and not path.is_file() and (not path.is_dir() or not output.is_folder):
        raise ConfigError(f"{output.flag} is {path}, which is a folder or a device. Give the path of a file.")


def _check_input(output: Output, flag: str, path: Path) -> None:
    reads_folder = _is_within(output.path, path) and os.path.lexists(output.path)
    if _replaces(output, path) or (reads_folder and (is_our_folder(path) or _foreign(output))):
        raise ConfigError(
            f"{output.flag} is {output.path}, which would replace what {flag} reads: {path}. Give another path."
        )


def _replaces(output: Output, path: Path) -> bool:
    return _is_same(output.path, path) or (output.is_folder and _is_within(path, output.path))


def _is_same(one: Path, other: Path) -> bool:
    if os.path.realpath(one) == os.path.realpath(other):
        return True
    return one.exists() and other.exists() and one.samefile(other)


def _is_within(path: Path, folder: Path) -> bool:
    return os.path.realpath(path).startswith(os.path.join(os.path.realpath(folder), ""))


def _local_paths(address: str) -> list[Path]:
    """Return the files and folders of this machine that an address names."""
    try:
        location = parse_location(address)
    except StorageError:
        return []  # whoever reads it says what is wrong
    if location.scheme is not Scheme.FILE:
        return []
    if location.path.exists() or location.pattern_start is None:
        return [location.path]
    return list(map(Path, glob.glob(str(location.path))))


def _foreign(output: Output) -> str:
    """Return what is at the place of an output that embedtune did not write, '' if there is nothing."""
    path = output.path
    with _explained(path):
        if path.is_dir() and output.is_folder:
            return _listed(path, foreign_files(path))
        if not os.path.lexists(path) or (path.is_file() and not output.is_folder and is_our_file(path)):
            return ""
    return str(path)


def _present(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not is_nobodys(path.name))


def _listed(folder: Path, names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(str(folder / name) for name in names[:_MOST_NAMES]) + more


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be looked into: {reason(error)}. Check its permissions.") from error
