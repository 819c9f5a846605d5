"""What a registration consists of, as one digest, and the rules for what may be in it."""

import hashlib
import json
import re
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from embedtune.errors import ConfigError, RegistryError
from embedtune.mlflow.layout import is_executable
from embedtune.registry.request import RegistrationRequest
from embedtune.retrieval.sides import BASE, TUNED
from embedtune.storage.ownership import is_nobodys

_NAME = re.compile(r"\w[\w .-]{0,199}")
_REQUIRED_FILES = ("modules.json", "config_sentence_transformers.json", "model.safetensors")


def check_model_name(name: str) -> None:
    """Refuse a name that MLflow, its aliases or a search for it would not take.

    Raises:
        ConfigError: the name is not accepted.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"model_name is {name!r}; accepted: up to 200 letters, digits, spaces, and '.', '_' or '-', starting "
            "with a letter or digit."
        )


def check_request(request: RegistrationRequest) -> None:
    """Refuse a request before anything is written.

    Raises:
        ConfigError: the name is not accepted.
        RegistryError: a report or a part of the model is missing.
    """
    check_model_name(request.model_name)
    missing = [path for path in request.reports if not path.is_file()]
    if missing:
        raise RegistryError(f"The report {missing[0]} does not exist. Run the evaluation again.")
    names = {path.relative_to(request.model_folder).as_posix() for path in model_files(request.model_folder)}
    absent = [name for name in _REQUIRED_FILES if name not in names]
    if absent:
        raise RegistryError(
            f"{request.model_folder} holds no {absent[0]}, so it is no sentence-transformers folder with safetensors "
            "weights. Give the 'model' output of the fine-tuning step."
        )


def model_files(folder: Path) -> list[Path]:
    """Return a model folder's files in a fixed order, without what systems and embedtune leave in any folder.

    Raises:
        RegistryError: one is a link or could run code when it is loaded.
    """
    paths = sorted(path for path in folder.rglob("*") if not path.is_dir() and not is_nobodys(path.name))
    for path in paths:
        if path.is_symlink() or is_executable(path.name):
            raise RegistryError(
                f"The model folder holds {path.relative_to(folder).as_posix()!r}, a link or a file that could run "
                "code when it is loaded. Save the model as safetensors and register that folder."
            )
    return paths


def registration_digest(request: RegistrationRequest) -> str:
    """Return the same digest for the same name, model, data and comparison with the base: a retry is recognised by it.

    What the model was compared with besides, the champion of the day, makes no other model of it.
    """
    digest = hashlib.sha256()
    for path in model_files(request.model_folder):
        digest.update(f"{path.relative_to(request.model_folder).as_posix()}\0".encode())
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    comparison = request.comparison
    values = {metric.name: [metric.values[side] for side in (BASE, TUNED)] for metric in comparison.metrics}
    asked = [comparison.decision.metric, comparison.decision.min_gain, comparison.decision.min_lower_bound]
    facts = [request.model_name, request.data_version, comparison.evaluation_digest, asked, values]
    digest.update(json.dumps(facts, sort_keys=True).encode())
    return digest.hexdigest()


def public_uri(uri: str) -> str:
    """Return a URI without what may be secret in it: user, password, query (presigned URLs) and fragment."""
    parts = urlsplit(uri)
    if not parts.scheme:
        return uri
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
