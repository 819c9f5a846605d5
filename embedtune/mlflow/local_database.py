"""MLflow's sqlite database in a folder: made by one process at a time, and at home wherever the folder is."""

import fcntl
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.metadata import entry_points
from pathlib import Path

from embedtune.mlflow.beside_database import ARTIFACTS, SCHEME
from embedtune.progress import note

_FOLDER = "artifacts"
_PLUGINS = "mlflow.artifact_repository"
_ADDRESSES = (
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("experiments", "artifact_location"),
)
"""Tables and columns of MLflow 3 with addresses of files."""
_IN_ROOT = re.compile(r"(?P<root>(?:file:|/).*/artifacts)/(?P<folder>(?:models/m-)?[0-9a-f]{32}/artifacts).*")
"""An absolute address of a run's or a model's files below an experiment's folder 'artifacts'."""
_WAIT_SECONDS = 30.0


@contextmanager
def sole_user(database: Path) -> Iterator[None]:
    """Wait until no other process is in here for the same database, and keep others out; death lets them in.

    Raises:
        OSError: the folder cannot be written.
    """
    with database.with_name(f".{database.name}.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def check_writable_database(database: Path) -> None:
    """Find out whether a database and the files beside it can be written, leaving nothing behind.

    Raises:
        OSError: a folder cannot be written.
        sqlite3.Error: the database cannot be written, or the file is none.
    """
    files = database.parent / _FOLDER
    for folder in (database.parent, *([files] if files.exists() else [])):
        tempfile.TemporaryFile(dir=folder).close()
    if database.exists():
        with closing(sqlite3.connect(database, timeout=_WAIT_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()


def artifact_location(database: Path) -> str:
    """Return where experiments of a database keep their files: beside it, and relative to it.

    Left to itself, MLflow puts a database's files into the folder that the process happens to run in.
    """
    if entry_points(group=_PLUGINS, name=SCHEME):
        return ARTIFACTS
    note(
        "This installation of embedtune does not announce itself to MLflow, so its database names this folder: once "
        "moved, it works with MLflow again after the next run there. Install embedtune again to mend that."
    )
    return (database.parent / _FOLDER).as_uri()


def move_along(database: Path) -> None:
    """Make addresses in a database that was moved or copied, or that an earlier version made, point beside it.

    What belongs to it is told by MLflow's own ids: a run's or model's folder is here. Addresses of anything else stay.

    Raises:
        sqlite3.Error: the database cannot be read or written.
    """
    here = database.parent / _FOLDER
    with closing(sqlite3.connect(database, timeout=_WAIT_SECONDS)) as connection:
        known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = [(table, column) for table, column in _ADDRESSES if table in known]
        found = [
            _IN_ROOT.fullmatch(address)
            for table, column in columns
            for (address,) in connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
        ]
        roots = {match["root"] for match in found if match is not None and (here / match["folder"]).exists()}
        if not roots:
            return
        new = artifact_location(database)
        with connection:
            for root in roots - {new}:
                for table, column in columns:
                    connection.execute(
                        f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608
                        f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
                        (new, len(root) + 1, root, len(root) + 1, f"{root}/"),
                    )
