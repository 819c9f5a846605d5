"""Print what an image installs, one requirement a line: `python3 requirements.py EXTRA`, beside `pyproject.toml`.

The packages are installed before the library, so that a change of the library leaves their layer as it is. Runs on the
base image's Python, which has nothing but the standard library.
"""

import re
import sys
import tomllib
from pathlib import Path

SERVER = "server"
"""The extra of the MLflow server, which needs nothing of the library's own."""


def requirements_of(project: dict, extra: str) -> list[str]:
    """Return the requirements of an extra, with those of the extras that it names.

    Args:
        project: Table `project` of a `pyproject.toml`.
        extra: Name of the extra.

    Raises:
        KeyError: there is no such extra.
    """
    own = re.compile(rf"{re.escape(project['name'])}\[([\w,-]+)\]")
    found = [] if extra == SERVER else list(project["dependencies"])
    for requirement in project["optional-dependencies"][extra]:
        named = own.fullmatch(requirement)
        inner = (
            [requirement] if named is None else [r for e in named[1].split(",") for r in requirements_of(project, e)]
        )
        found += [requirement for requirement in inner if requirement not in found]
    return found


if __name__ == "__main__":
    table = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(requirements_of(table["project"], sys.argv[1])) + "\n")
