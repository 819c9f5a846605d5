"""A tuned model becomes a version in the MLflow registry, and the champion if it earned that."""

from typing import TYPE_CHECKING

from embedtune.errors import RegistryError
from embedtune.mlflow.connection import connect, resolve_tracking_uri, translated_errors
from embedtune.models.card import ModelCard
from embedtune.progress import note
from embedtune.registry.aliases import settle_aliases
from embedtune.registry.contents import check_request, registration_digest
from embedtune.registry.duplicates import find_version
from embedtune.registry.logged_models import find_models, is_whole, send_model, store_model
from embedtune.registry.missing import unless_missing
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import finish_run, log_facts, log_metrics, open_run
from embedtune.registry.versions import create_version, read_registration, renew_evidence

if TYPE_CHECKING:
    from mlflow import MlflowClient


def register_model(request: RegistrationRequest) -> Registration:
    """Register a model with its scores, and promote it if it is better than the base and than the champion.

    Can be repeated: the same name, model, data version and comparison give the version that is already there, with
    whatever an interrupted attempt had left to do.

    Raises:
        ModelError: the model folder has no readable `embedtune.json`.
        ConfigError: the model's name is not accepted.
        RegistryError: the request is not acceptable, or MLflow cannot be reached or refuses it.
    """
    check_request(request)
    card = ModelCard.load(request.model_folder)
    digest = registration_digest(request)
    tracking_uri = resolve_tracking_uri()
    client = connect(tracking_uri)
    with translated_errors(tracking_uri):
        version = find_version(client, request.model_name, digest)
        if version is None:
            version = _create(client, request, card, tracking_uri, digest)
        else:
            renew_evidence(client, request, version)
        _complete(client, request, card, digest, version)
        settle_aliases(client, request.model_name, version)
        return read_registration(client, request.model_name, version)


def _create(
    client: "MlflowClient", request: RegistrationRequest, card: ModelCard, tracking_uri: str, digest: str
) -> int:
    """Create a version with everything that belongs to it, and return it, or the one that another attempt created."""
    with open_run(client, request, card, tracking_uri, digest) as run:
        log_facts(client, run, request, card, digest)
        model = store_model(client, run, request.model_folder, card, digest)
        log_metrics(client, run, request, card, model.model_id)
        create_version(client, run, model, request, card, digest)
    version = find_version(client, request.model_name, digest)
    if version is None:
        raise RegistryError(
            f"A version of {request.model_name!r} was deleted while it was being registered. Repeat the step if it is "
            "to be registered after all."
        )
    return version


def _complete(client: "MlflowClient", request: RegistrationRequest, card: ModelCard, digest: str, version: int) -> None:
    """End the version's run, and give back what was deleted or damaged on MLflow's disk since it was registered."""
    found = client.get_model_version(request.model_name, str(version))
    run = unless_missing(lambda: client.get_run(str(found.run_id)))
    if run is None:
        note(f"MLflow has deleted the run of {request.model_name!r}, version {version}, so its files are not checked.")
        return
    models = find_models(client, run.info.experiment_id, digest)
    lost = [
        model
        for model in models
        if model.artifact_location == found.source and not is_whole(client, model, request.model_folder)
    ]
    for model in lost:
        note(f"MLflow has lost files of {request.model_name!r}, version {version}, or holds damaged ones: stored anew.")
        log_facts(client, run, request, card, digest)
        send_model(client, model, request.model_folder, card)
    if run.info.lifecycle_stage == "active":
        finish_run(client, run, request, card, version)
