"""The files at an address of MLflow, wherever they lie: on a disk, on the object store, or behind its server.

mlflow-skinny reaches no object store by itself, for which it wants boto3; here ours is asked, with its own credentials.
"""

from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from embedtune.mlflow.beside_database import SCHEME
from embedtune.progress import Advance, silent
from embedtune.storage.digests import file_sha256
from embedtune.storage.errors import DamagedError
from embedtune.storage.opening import open_store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.store.artifact.artifact_repo import ArtifactRepository

_ON_STORE = ("s3", "minio")


class Artifacts(Protocol):
    """Named files: the part of `store.Store` that MLflow can do as well."""

    def put_file(self, name: str, source: Path) -> str:
        """Store a file, whose name is the last part of `name`; its SHA-256 comes back."""

    def get_file(self, name: str, target: Path, sha256: str = "", advance: Advance = silent) -> bool:
        """Fetch a file, and raise DamagedError where it has not that SHA-256; False if there is none of that name."""

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all whole files that begin so, sorted."""


def open_artifacts(client: "MlflowClient", address: str) -> Artifacts:
    """Return the files at an address as MLflow has them.

    Args:
        client: Where the address comes from.
        address: Artifact location of a run, a logged model or a version.

    Raises:
        StorageError: the environment does not describe an object store, for an address on one.
        MlflowException: MLflow knows no such address.
        ImportError: MLflow needs a package for it that is not installed.
    """
    if urlsplit(address).scheme in _ON_STORE:
        return open_store(address)
    folder = folder_on_disk(client, address)
    return _Served(_repository(client, address)) if folder is None else open_store(str(folder))


def remove_artifacts(client: "MlflowClient", address: str) -> None:
    """Delete all files at an address; there may be none.

    Raises:
        StorageError: the environment does not describe an object store, for an address on one, or it refuses.
        MlflowException: MLflow knows no such address, or refuses.
    """
    if urlsplit(address).scheme in _ON_STORE:
        store = open_store(address)
        store.remove(store.names())
    else:
        _repository(client, address).delete_artifacts()  # type: ignore[no-untyped-call]


def folder_on_disk(client: "MlflowClient", address: str) -> Path | None:
    """Return the folder that MLflow takes an address of files for, None for one that is not on a disk."""
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    if urlsplit(address).scheme not in ("", "file", SCHEME):
        return None
    files = _repository(client, address)
    return Path(files.artifact_dir) if isinstance(files, LocalArtifactRepository) else None


def _repository(client: "MlflowClient", address: str) -> "ArtifactRepository":
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(address, client.tracking_uri, client.tracking_uri)


class _Served:
    """Files that MLflow itself fetches and stores."""

    def __init__(self, repository: "ArtifactRepository") -> None:
        self._repository = repository

    def put_file(self, name: str, source: Path) -> str:
        """Store a file; its SHA-256 comes back."""
        folder = name.rpartition("/")[0]
        self._repository.log_artifact(str(source), folder)  # type: ignore[no-untyped-call]
        return file_sha256(source, silent)

    def get_file(self, name: str, target: Path, sha256: str = "", advance: Advance = silent) -> bool:
        """Fetch a file; False if there is none of that name."""
        from mlflow.exceptions import MlflowException
        from requests import HTTPError

        try:
            # Public `download_artifacts` hides in a text what failed.
            self._repository._download_file(name, str(target))  # type: ignore[no-untyped-call]
        except HTTPError as error:
            if error.response is None or error.response.status_code != HTTPStatus.NOT_FOUND:
                raise
            return False
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        advance(target.stat().st_size)
        if sha256 not in ("", file_sha256(target, silent)):
            target.unlink()
            raise DamagedError(f"{name} in MLflow is damaged: its content has not the SHA-256 {sha256}.")
        return True

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all files that begin so, sorted."""
        found: list[str] = []
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            for entry in self._repository.list_artifacts(folder if folder else None):
                (folders if entry.is_dir else found).append(entry.path)
        return sorted(name for name in found if name.startswith(prefix))
