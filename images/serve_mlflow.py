"""Serve MLflow with authentication on: what the `mlflow` image runs. README.md lists the variables it reads."""

import configparser
import os
import sys
from pathlib import Path

_REQUIRED = {
    "MLFLOW_BACKEND_STORE_URI": "the database: sqlite:////mlflow/mlflow.db or postgresql://USER:PASSWORD@HOST/NAME",
    "MLFLOW_ARTIFACTS_DESTINATION": "where artifacts go, such as s3://mlflow/artifacts or /mlflow/artifacts",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "hosts and ports by which clients call this server, such as mlflow.kubeflow:5000",
    "MLFLOW_FLASK_SERVER_SECRET_KEY": "any long random text; it signs forms, and is the same for all replicas",
    "MLFLOW_AUTH_ADMIN_USERNAME": "name of the first user, who is made when the database is empty",
    "MLFLOW_AUTH_ADMIN_PASSWORD": "that user's password, 12 characters or more",
}
_SETTINGS = Path("/tmp/basic_auth.ini")  # noqa: S108 - the only place that the container writes to


def missing(environment: dict[str, str]) -> list[str]:
    """Return what a server needs and the environment lacks, one sentence each."""
    return [f"{name} is not set; it takes {what}." for name, what in _REQUIRED.items() if not environment.get(name)]


def write_settings(database_uri: str, path: Path) -> None:
    """Write MLflow's settings of authentication: users are kept in the database that holds the runs.

    Args:
        database_uri: Database in SQLAlchemy's form.
        path: File to write, readable by nobody else.
    """
    settings = configparser.ConfigParser(interpolation=None)
    # MLflow reads the file with interpolation; a password in the address may hold %40.
    settings["mlflow"] = {"default_permission": "READ", "database_uri": database_uri.replace("%", "%%")}
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        settings.write(file)


def main() -> None:
    """Become the server, or say what is missing."""
    problems = missing(dict(os.environ))
    if problems:
        sys.exit("\n".join(problems))
    write_settings(os.environ["MLFLOW_BACKEND_STORE_URI"], _SETTINGS)
    os.environ["MLFLOW_AUTH_CONFIG_PATH"] = str(_SETTINGS)
    os.execvp("mlflow", ["mlflow", "server", "--app-name", "basic-auth", *sys.argv[1:]])  # noqa: S606, S607


if __name__ == "__main__":
    main()
