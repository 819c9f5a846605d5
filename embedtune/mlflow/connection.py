"""Reaching MLflow: where it is, how long to wait for it, and what its errors mean to a user.

MLflow takes over a second to import, so it is imported inside functions.
"""

import os
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from embedtune.errors import RegistryError
from embedtune.importing import importing
from embedtune.mlflow.beside_database import SQLITE, database_path
from embedtune.mlflow.failures import GoneError, RefusedError, UnreachableError
from embedtune.mlflow.local_database import check_writable_database, move_along, sole_user
from embedtune.redaction import without_logins
from embedtune.text import shortened

if TYPE_CHECKING:
    from mlflow import MlflowClient

TRACKING_VARIABLE = "MLFLOW_TRACKING_URI"

_DEFAULTS = {
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "5",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""MLflow's settings where the environment has none. Five retries wait about a minute, MLflow's seven four minutes."""

_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""Settings for the first request: a server that is not there is reported within half a minute."""

_REFUSED = ("UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED", "PERMISSION_DENIED")
_NO_SUCH_ENDPOINT = "ENDPOINT_NOT_FOUND"
"""MLflow's codes; it derives them from the status 401, 403 and 404 of an answer that is none of an MLflow server."""
_SERVER_FAILS = 500

_MESSAGE_LIMIT = 600
_UNFIT = re.compile(r"[#?%]")


def local_tracking_uri(folder: Path) -> str:
    """Return the tracking URI of the MLflow database in a folder, which is created where needed.

    Raises:
        RegistryError: the path has a character that the address of a database cannot hold.
    """
    unfit = _UNFIT.search(str(folder.resolve()))
    if unfit is not None:
        raise RegistryError(
            f"The path {folder.resolve()} has {unfit[0]!r} in it, which the address of MLflow's database cannot hold. "
            "Use a folder without '#', '?' and '%' in its path."
        )
    folder.mkdir(parents=True, exist_ok=True)
    return f"{SQLITE}{folder.resolve() / 'mlflow.db'}"


def resolve_tracking_uri() -> str:
    """Return the tracking URI that the environment names.

    Raises:
        RegistryError: there is none, or it is a folder.
    """
    uri = os.environ.get(TRACKING_VARIABLE, "")
    if not uri:
        raise RegistryError(
            f"There is no MLflow to work with: {TRACKING_VARIABLE} is not set. "
            "Set it to the address of an MLflow server, such as http://mlflow.mlflow:5000."
        )
    if urlsplit(uri).scheme in ("", "file"):
        raise RegistryError(
            f"The tracking URI {uri!r} is a folder, which MLflow 3 keeps no models in. Use a server (http:// or "
            f"https://) or a database, such as {SQLITE}/absolute/path/mlflow.db."
        )
    return uri


def connect(tracking_uri: str) -> "MlflowClient":
    """Return a client after one successful request.

    The client takes the URI as an argument, so MLflow's process-wide tracking URI and active run stay as they are.

    Args:
        tracking_uri: What `resolve_tracking_uri` returned.

    Raises:
        UnreachableError: the server does not answer.
        RefusedError: it wants other credentials.
        RegistryError: the request fails for another reason.
    """
    for variable, value in _DEFAULTS.items():
        os.environ.setdefault(variable, value)
    database = database_path(tracking_uri)
    with translated_errors(tracking_uri), _settings(_FIRST_CONTACT):
        with importing("mlflow"):
            from mlflow import MlflowClient

        # Two processes that make the tables of one new database at a time break each other (MLflow 3.17).
        with nullcontext() if database is None else sole_user(database):
            client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
            client.search_experiments(max_results=1)
            if database is not None:
                move_along(database)
    return client


def connect_to_read() -> "MlflowClient":
    """Return a client of the MLflow that the environment names; a local database must be there already.

    Raises:
        UnavailableError: the database is not there, or the server does not answer or refuses the request.
        RegistryError: the environment names none, or the request fails for another reason.
    """
    tracking_uri = resolve_tracking_uri()
    database = database_path(tracking_uri)
    if database is not None and not database.is_file():
        raise GoneError(f"There is no MLflow database {database}. Set {TRACKING_VARIABLE} to the one that is meant.")
    return connect(tracking_uri)


def check_registry(tracking_uri: str) -> None:
    """Find out before hours of training whether a model could be registered after it.

    Raises:
        RegistryError: a local database cannot be written, or a server cannot be reached or refuses the request.
    """
    database = database_path(tracking_uri)
    if database is None:
        connect(tracking_uri)
        return
    try:
        check_writable_database(database)
    except (OSError, sqlite3.Error) as error:
        raise RegistryError(
            f"MLflow's database {database} cannot be written: {error}. Make the file and its folder writable, or set "
            f"{TRACKING_VARIABLE} to another place."
        ) from error


@contextmanager
def _settings(settings: dict[str, str]) -> Iterator[None]:
    before = {variable: os.environ.get(variable) for variable in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value


@contextmanager
def translated_errors(tracking_uri: str, otherwise: type[RegistryError] = RegistryError) -> Iterator[None]:
    """Turn what MLflow raises into a RegistryError without credentials.

    Args:
        tracking_uri: Where MLflow is.
        otherwise: What is raised of failures that are neither of the first two kinds below.

    Raises:
        UnreachableError: the server does not answer.
        RefusedError: it wants other credentials.
        RegistryError: MLflow raised another error, or could not read, write or import something.
    """
    try:
        yield
    except _failures() as error:
        # A chained traceback would show the address again, so it is kept only where there is nothing to hide.
        cause = error if without_logins(tracking_uri) == tracking_uri else None
        raise _translated(error, without_logins(tracking_uri), otherwise) from cause


def _failures() -> tuple[type[Exception], ...]:
    failures: tuple[type[Exception], ...] = (OSError, ImportError, sqlite3.Error)
    if "mlflow" in sys.modules:
        from mlflow.exceptions import MlflowException

        failures += (MlflowException,)
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import SQLAlchemyError

        failures += (SQLAlchemyError,)
    return failures


def _translated(error: Exception, server: str, otherwise: type[RegistryError]) -> RegistryError:
    message = shortened(without_logins(" ".join(str(error).split())), _MESSAGE_LIMIT)
    kind, advice = _kind_and_advice(error, message, otherwise)
    return kind(f"MLflow at {server} failed: {message} {advice}")


def _kind_and_advice(error: Exception, message: str, otherwise: type[RegistryError]) -> tuple[type[RegistryError], str]:
    code, status = getattr(error, "error_code", ""), _status(error)
    # mlflow-skinny knows no databases and no object stores.
    if isinstance(error, ModuleNotFoundError) or "unsupported URI" in message:
        return otherwise, "Install 'mlflow' for a local database, or use an MLflow server that serves artifacts."
    if "Invalid Host header" in message:
        return RefusedError, "Start the server with --allowed-hosts and the host name and port used here."
    if "Max retries exceeded" in message or _broke_off(error) or status >= _SERVER_FAILS:
        return UnreachableError, "Check that the server runs and can be reached from here."
    if code in _REFUSED or status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return RefusedError, "Check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN."
    if code == _NO_SUCH_ENDPOINT:
        return otherwise, "Check that the address is that of an MLflow server, with its path if it has one."
    return otherwise, "Repeat the step once that is solved: it goes on where it stopped."


def _status(error: Exception) -> int:
    """Return the status of an answer that MLflow hands on as the requests package has it, 0 of anything else."""
    response = getattr(error, "response", None)
    return 0 if response is None else int(response.status_code)


def _broke_off(error: Exception) -> bool:
    if isinstance(error, ConnectionError):
        return True
    if "requests" not in sys.modules:
        return False
    from requests import exceptions

    return isinstance(error, exceptions.ConnectionError | exceptions.Timeout | exceptions.ChunkedEncodingError)
