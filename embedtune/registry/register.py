"""A tuned model becomes a version in the MLflow registry, and the champion if it earned that."""

from typing import TYPE_CHECKING

from embedtune.mlflow.connection import connect, resolve_tracking_uri, translated_errors
from embedtune.models.card import ModelCard
from embedtune.progress import note
from embedtune.registry.contents import check_request, registration_digest
from embedtune.registry.packaging import is_whole, send_model, upload_model
from embedtune.registry.request import Registration, RegistrationRequest
from embedtune.registry.runs import log_facts, log_metrics, name_run, open_run
from embedtune.registry.versions import create_version, find_version, read_registration, set_aliases

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
            with open_run(client, request, card, tracking_uri, digest) as run:
                log_facts(client, run, request, card, digest)
                model = upload_model(client, run, request.model_folder, card, digest)
                log_metrics(client, run, request, card, model.model_id)
                version = create_version(client, model, request, card, digest)
                name_run(client, run, request, card, version)
        else:
            _complete(client, request, card, digest, version)
        set_aliases(client, request, version)
        return read_registration(client, request.model_name, version)


def _complete(client: "MlflowClient", request: RegistrationRequest, card: ModelCard, digest: str, version: int) -> None:
    """Give back to a version what was deleted or damaged on MLflow's disk since it was registered."""
    from mlflow.exceptions import MlflowException

    try:
        run = client.get_run(str(client.get_model_version(request.model_name, str(version)).run_id))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        note(f"MLflow has deleted the run of {request.model_name!r}, version {version}, so its files are not checked.")
        return
    outputs = run.outputs.model_outputs if run.outputs is not None else []
    models = [client.get_logged_model(output.model_id) for output in outputs]
    lost = [model for model in models if not is_whole(client, model, request.model_folder)]
    for model in lost:
        note(f"MLflow has lost files of {request.model_name!r}, version {version}, or holds damaged ones: stored anew.")
        log_facts(client, run, request, card, digest)
        send_model(client, model, request.model_folder, card)
