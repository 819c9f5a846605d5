"""Files of a local MLflow that stay with its database: addresses relative to wherever the database is now.

MLflow stores absolute addresses, so a folder that was moved or copied would be read and written at its old place.
An address of the scheme `embedtune:` is a path below the folder of the sqlite database that MLflow is working with.
MLflow finds `open_beside_database` by an entry point of this package (`mlflow.artifact_repository`), wherever both are
installed. It is imported while MLflow itself is, so nothing of MLflow can be imported above.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

SCHEME = "embedtune"
ARTIFACTS = f"{SCHEME}:/artifacts"
"""Where experiments of a local database keep their files."""

SQLITE = "sqlite:///"
_SERVER_STORE = "_MLFLOW_SERVER_FILE_STORE"
"""Environment variable with the database of `mlflow ui` and `mlflow server` (MLflow 3.17)."""


def database_path(tracking_uri: str) -> Path | None:
    """Return the file of a sqlite database, None for any other tracking URI."""
    if not tracking_uri.startswith(SQLITE):
        return None
    return Path(tracking_uri.removeprefix(SQLITE)).absolute()


def open_beside_database(
    artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None
) -> "LocalArtifactRepository":
    """Open the folder that an address of our scheme means.

    Args:
        artifact_uri: `embedtune:/` and a path below the folder of the database.
        tracking_uri: Where MLflow is, None for MLflow's own setting.
        registry_uri: The same for its models.

    Raises:
        MlflowException: MLflow is no sqlite database here, or the path leads out of the folder.
    """
    import mlflow
    from mlflow.exceptions import MlflowException
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    uris = [
        uri for uri in (tracking_uri, registry_uri, os.environ.get(_SERVER_STORE), mlflow.get_tracking_uri()) if uri
    ]
    database = next((path for path in map(database_path, uris) if path is not None), None)
    if database is None:
        raise MlflowException.invalid_parameter_value(
            f"{artifact_uri} is a file beside a local database of MLflow, but the tracking URI is {uris[0]!r}. "
            f"Set it to {SQLITE}/absolute/path/mlflow.db."
        )
    relative = artifact_uri.removeprefix(f"{SCHEME}:").lstrip("/")
    if ".." in Path(relative).parts:
        raise MlflowException.invalid_parameter_value(f"{artifact_uri} leads out of the folder of the database.")
    return LocalArtifactRepository((database.parent / relative).as_uri(), tracking_uri, registry_uri)
