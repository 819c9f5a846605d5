"""A model folder is stored as one of MLflow's logged models: once for a registration, however often it is tried."""

import filecmp
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from embedtune.errors import RegistryError
from embedtune.mlflow.artifacts import folder_on_disk, open_artifacts, remove_artifacts
from embedtune.mlflow.connection import translated_errors
from embedtune.mlflow.layout import MODEL_FOLDER
from embedtune.models.card import ModelCard
from embedtune.progress import progress
from embedtune.registry.contents import model_files
from embedtune.registry.missing import unless_missing
from embedtune.registry.packaging import PACKAGE_FILES, write_package
from embedtune.registry.state import REGISTRATION_TAG
from embedtune.storage.atomic import atomic_path, link_or_copy

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run

_NAME = "embedder"
_READY = "READY"


def store_model(client: "MlflowClient", run: "Run", folder: Path, card: ModelCard, digest: str) -> "LoggedModel":
    """Upload a model folder with what MLflow needs to load it, unless an earlier attempt has done so.

    Args:
        client: Where to.
        run: The run the model belongs to.
        folder: A sentence-transformers folder.
        card: What is known about the model.
        digest: The registration's digest.

    Returns:
        The logged model, ready to be registered. One whose upload failed stays pending; the next attempt goes on with
        it.

    Raises:
        RegistryError: the version of a library that serving needs is not known.
    """
    model = _claim(client, run, digest)
    if not (_is_ready(model) and is_whole(client, model, folder)):
        send_model(client, model, folder, card)
    _link(client, run.info.run_id, model.model_id)
    return client.finalize_logged_model(model.model_id, "READY")


def _link(client: "MlflowClient", run_id: str, model_id: str) -> None:
    """Name a model among what came out of a run, once; MLflow refuses it a second time."""
    from mlflow.entities import LoggedModelOutput

    if _is_linked(client, run_id, model_id):
        return
    try:
        with translated_errors(client.tracking_uri):
            client.log_outputs(run_id, models=[LoggedModelOutput(model_id, step=0)])
    except RegistryError:
        if not _is_linked(client, run_id, model_id):  # by another attempt, in this moment
            raise


def _is_linked(client: "MlflowClient", run_id: str, model_id: str) -> bool:
    outputs = client.get_run(run_id).outputs
    return outputs is not None and model_id in [output.model_id for output in outputs.model_outputs]


def _claim(client: "MlflowClient", run: "Run", digest: str) -> "LoggedModel":
    """Return the registration's logged model; of two that were made at once, the same to both attempts."""
    experiment = run.info.experiment_id
    found = find_models(client, experiment, digest)
    if found:
        return found[0]
    made = client.create_logged_model(experiment, _NAME, source_run_id=run.info.run_id, tags={REGISTRATION_TAG: digest})
    first = find_models(client, experiment, digest)[0]
    if first.model_id != made.model_id:
        client.delete_logged_model(made.model_id)  # nothing was uploaded to it
    return first


def find_models(client: "MlflowClient", experiment: str, digest: str) -> "list[LoggedModel]":
    """Return the logged models of a registration that are not deleted, the one to go on with first."""
    found = client.search_logged_models([experiment], f"tags.`{REGISTRATION_TAG}` = '{digest}'")
    return sorted(found, key=lambda model: (not _is_ready(model), model.creation_timestamp, model.model_id))


def _is_ready(model: "LoggedModel") -> bool:
    return str(model.status) == _READY


def remove_models(client: "MlflowClient", experiment: str, digest: str, is_doomed: Callable[[str], bool]) -> None:
    """Delete the logged models of a registration whose address is doomed, with their files."""
    for model in find_models(client, experiment, digest):
        if is_doomed(model.artifact_location):
            remove_artifacts(client, model.artifact_location)
            model_id = model.model_id
            unless_missing(lambda: client.delete_logged_model(model_id))  # noqa: B023 - called at once


def send_model(client: "MlflowClient", model: "LoggedModel", folder: Path, card: ModelCard) -> None:
    """Put a model's files where MLflow keeps them; on a disk, as second names of the files in the folder.

    Raises:
        StorageError: they lie on an object store that cannot be written.
        RegistryError: the version of a library that serving needs is not known.
    """
    paths, place = model_files(folder), folder_on_disk(client, model.artifact_location)
    files = open_artifacts(client, model.artifact_location)
    with tempfile.TemporaryDirectory() as temporary, progress("Uploading the model", len(paths), "files") as advance:
        write_package(Path(temporary), folder, card, model.model_id, str(model.source_run_id))
        for path in sorted(Path(temporary).iterdir()):
            files.put_file(path.name, path)
        for path in paths:
            name = Path(MODEL_FOLDER, path.relative_to(folder))
            if place is None:
                files.put_file(name.as_posix(), path)
            else:
                with atomic_path(place / name) as part:
                    link_or_copy(path, part)
            advance(1)


def is_whole(client: "MlflowClient", model: "LoggedModel", folder: Path) -> bool:
    """Tell whether MLflow still has every file of a model, as far as they are on a disk."""
    place = folder_on_disk(client, model.artifact_location)
    if place is None:
        return True
    pairs = ((path, place / MODEL_FOLDER / path.relative_to(folder)) for path in model_files(folder))
    return all((place / name).is_file() for name in PACKAGE_FILES) and all(_same(*pair) for pair in pairs)


def _same(path: Path, other: Path) -> bool:
    return other.is_file() and (other.samefile(path) or filecmp.cmp(path, other, shallow=False))
