"""A registered version becomes a local folder: whole, checked, and with nothing that runs code when it is loaded."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from embedtune.errors import StorageError
from embedtune.mlflow.artifacts import Artifacts, open_artifacts
from embedtune.mlflow.connection import translated_errors
from embedtune.mlflow.failures import DamagedError, GoneError, RefusedError, UnavailableError, UnreachableError
from embedtune.mlflow.layout import DESCRIPTION, DIGESTS, MODEL_FOLDER, is_executable
from embedtune.mlflow.versions import RegisteredVersion
from embedtune.progress import Advance, progress
from embedtune.storage import errors as storage_failures
from embedtune.storage.atomic import atomic_folder
from embedtune.storage.digests import SMALL_BYTES
from embedtune.storage.ownership import is_nobodys
from embedtune.storage.parallel import transfer_all

if TYPE_CHECKING:
    from mlflow import MlflowClient

_AGAIN = "Register the model again, or use another version."


@dataclass(frozen=True)
class RegisteredFiles:
    """The files of a version's model, as MLflow describes them."""

    digests: Mapping[str, str]
    """SHA-256 of each file in hexadecimal by its name in the model's folder; '' for all of a version that was
    registered by embedtune 0.1, which recorded none."""
    size: int
    """Bytes of all files together."""


def describe_files(client: "MlflowClient", version: RegisteredVersion) -> RegisteredFiles:
    """Find out which files a version's model has, and that it is one that is loaded here.

    Raises:
        UnavailableError: the files are gone, out of reach, refused or damaged, or are no model of embedtune.
        StorageError: the environment does not describe the object store that they are on.
    """
    with _explained(client, version):
        return _describe(open_artifacts(client, version.address), version)


def fetch_model(client: "MlflowClient", version: RegisteredVersion, target: Path) -> None:
    """Fetch the model of a version.

    Args:
        client: MLflow, see `connection.connect_to_read`.
        version: See `versions.find_version`.
        target: Folder to make: the model as it was registered, whole or not at all. It must not exist or be empty.

    Raises:
        UnavailableError: the files are gone, out of reach, refused or damaged, or are no model of embedtune.
        StorageError: `target` cannot be written or is not empty, or the environment does not describe the object store.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StorageError(f"{target} exists and is not an empty folder. Give the path of a new one.")
    with _explained(client, version), atomic_folder(target, signed=False) as folder:
        artifacts = open_artifacts(client, version.address)
        files = _describe(artifacts, version)
        _fetch_all(artifacts, files, version, folder)
        size = sum((folder / name).stat().st_size for name in files.digests)
        if size != files.size:
            raise DamagedError(
                f"{version.uri} is damaged: its files have {size} bytes, and had {files.size} when it was registered. "
                f"{_AGAIN}"
            )


def _fetch_all(artifacts: Artifacts, files: RegisteredFiles, version: RegisteredVersion, folder: Path) -> None:
    def fetch(name: str, advance: Advance) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not artifacts.get_file(f"{MODEL_FOLDER}/{name}", path, files.digests[name], advance):
            raise DamagedError(f"{version.uri} is damaged: its file {name} is gone. {_AGAIN}")

    with progress(f"Fetching {version.name} version {version.version}", files.size, "bytes") as advance:
        transfer_all(fetch, list(files.digests), advance)


def _describe(artifacts: Artifacts, version: RegisteredVersion) -> RegisteredFiles:
    description = _read_description(artifacts, version)
    metadata, size = description.get("metadata"), description.get("model_size_bytes")
    digests = metadata.get(DIGESTS) if isinstance(metadata, dict) else None
    if digests is None:
        start = f"{MODEL_FOLDER}/"
        names = [name.removeprefix(start) for name in artifacts.names(start)]
        digests = {name: "" for name in names if not is_nobodys(PurePosixPath(name).name)}
    if not digests:
        raise RefusedError(
            f"{version.uri} holds no folder {MODEL_FOLDER}, so embedtune did not register it. Fetch it with `mlflow "
            "artifacts download`, and give the folder of the sentence-transformers model in it."
        )
    if not isinstance(digests, dict) or not isinstance(size, int):
        raise DamagedError(f"{version.uri} is damaged: its {DESCRIPTION} does not say which files there are. {_AGAIN}")
    for name in digests:
        _check_name(str(name), version)
    return RegisteredFiles({str(name): str(digest) for name, digest in digests.items()}, size)


def _read_description(artifacts: Artifacts, version: RegisteredVersion) -> dict[str, Any]:
    import yaml

    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        path = Path(scratch, DESCRIPTION)
        if not artifacts.get_file(DESCRIPTION, path):
            raise GoneError(f"The files of {version.uri} are gone from {version.address}. {_AGAIN}")
        try:
            # One file of a model that is not ours could be of any size.
            found = yaml.safe_load(path.read_bytes()) if path.stat().st_size <= SMALL_BYTES else None
        except (yaml.YAMLError, ValueError) as error:
            raise DamagedError(f"{version.uri} is damaged: its {DESCRIPTION} cannot be read. {_AGAIN}") from error
    if not isinstance(found, dict):
        raise DamagedError(f"{version.uri} is damaged: its {DESCRIPTION} is no description of a model. {_AGAIN}")
    return found


def _check_name(name: str, version: RegisteredVersion) -> None:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name:
        raise RefusedError(f"{version.uri} names the file {name!r}, which would lie outside its folder. {_AGAIN}")
    if is_executable(name):
        raise RefusedError(
            f"{version.uri} holds {name!r}, which could run code when it is loaded. Save the model as safetensors and "
            "register that."
        )


@contextmanager
def _explained(client: "MlflowClient", version: RegisteredVersion) -> Iterator[None]:
    """Turn failures of the store that a version's files lie on into those of the version."""
    kinds: dict[type[StorageError], type[UnavailableError]] = {
        storage_failures.MissingObjectError: GoneError,
        storage_failures.DeniedError: RefusedError,
        storage_failures.UnreachableError: UnreachableError,
        storage_failures.DamagedError: DamagedError,
    }
    try:
        with translated_errors(client.tracking_uri, UnavailableError):
            yield
    except tuple(kinds) as error:
        raise kinds[type(error)](f"{version.uri} cannot be fetched: {error}") from error
