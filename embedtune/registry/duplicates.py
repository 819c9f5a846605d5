"""A registration that was made twice at once leaves one version: the lowest stays, for MLflow numbers them in order."""

from typing import TYPE_CHECKING

from embedtune.progress import note
from embedtune.registry.logged_models import remove_models
from embedtune.registry.missing import unless_missing
from embedtune.registry.runs import is_own_run
from embedtune.registry.state import REGISTRATION_TAG

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion


def find_version(client: "MlflowClient", name: str, digest: str) -> int | None:
    """Return the version of a registration, None where there is none, and remove others of the same.

    Each attempt creates its version, reads them all again and keeps the lowest: whoever comes second yields, and what
    an attempt that was killed in between left behind is removed by the next one.
    """
    found = client.search_model_versions(f"name = '{name}' and tags.`{REGISTRATION_TAG}` = '{digest}'")
    versions = sorted(found, key=lambda version: int(version.version))
    if len(versions) > 1:
        held = {int(version) for version in client.get_registered_model(name).aliases.values()}
        for other in versions[1:]:
            if int(other.version) in held:
                note(
                    f"{name!r} version {other.version} is the same as {versions[0].version}; it has aliases and stays."
                )
            else:
                _remove(client, versions[0], other, digest)
    return int(versions[0].version) if versions else None


def _remove(client: "MlflowClient", kept: "ModelVersion", other: "ModelVersion", digest: str) -> None:
    """Delete a version with its files and its run; the version last, so that an interruption can be made good."""
    run_id = str(other.run_id)
    run = unless_missing(lambda: client.get_run(run_id))
    if run is not None and other.source != kept.source:
        remove_models(client, run.info.experiment_id, digest, lambda address: address == other.source)
    if run is not None and other.run_id != kept.run_id and is_own_run(run):
        unless_missing(lambda: client.delete_run(run_id))
    unless_missing(lambda: client.delete_model_version(other.name, str(other.version)))
