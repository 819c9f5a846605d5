"""Which version of a registered model an address such as `models:/shop@champion` means."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedtune.errors import ConfigError
from embedtune.mlflow.connection import translated_errors
from embedtune.mlflow.failures import GoneError, UnavailableError
from embedtune.redaction import without_logins

if TYPE_CHECKING:
    from mlflow import MlflowClient

SCHEME = "models:/"
_ADDRESS = re.compile(rf"{SCHEME}(?P<name>[^/@:]+)(?:@(?P<alias>[\w-]+)|/(?P<version>[1-9][0-9]*))", re.ASCII)
_MISSING = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class ModelAddress:
    """A registered model and what is wanted of it: an alias or a version."""

    name: str
    alias: str = ""
    version: int = 0
    """0 where an alias is given."""


@dataclass(frozen=True)
class RegisteredVersion:
    """A version as MLflow has it."""

    name: str
    version: int
    created: int
    """When it was registered, in milliseconds since 1970. A model that is deleted and made anew numbers its versions
    from 1 again; this tells them apart."""
    address: str
    """Where its files are."""

    @property
    def uri(self) -> str:
        """What names this version in MLflow."""
        return f"{SCHEME}{self.name}/{self.version}"


def parse_model_address(uri: str) -> ModelAddress:
    """Read the address of a registered model.

    Raises:
        ConfigError: it is none.
    """
    match = _ADDRESS.fullmatch(uri)
    if match is None:
        raise ConfigError(
            f"{uri!r} is no address of a registered model. Accepted: models:/NAME@ALIAS, such as "
            "models:/shop@champion, and models:/NAME/VERSION, such as models:/shop/3."
        )
    alias, version = match["alias"], match["version"]
    return ModelAddress(match["name"], version=int(version)) if alias is None else ModelAddress(match["name"], alias)


def find_version(client: "MlflowClient", uri: str) -> RegisteredVersion:
    """Return the version that an address means now.

    Args:
        client: MLflow, see `connection.connect_to_read`.
        uri: See `parse_model_address`.

    Raises:
        ConfigError: it is no such address.
        UnavailableError: there is no such model, alias or version, or MLflow does not answer or refuses.
    """
    from mlflow.exceptions import MlflowException

    wanted = parse_model_address(uri)
    with translated_errors(client.tracking_uri, UnavailableError):
        try:
            version = wanted.version if wanted.version else _aliased(client, wanted)
            found = client.get_model_version(wanted.name, str(version))
            address = client.get_model_version_download_uri(wanted.name, str(version))
        except MlflowException as error:
            if error.error_code != _MISSING:
                raise
            raise GoneError(
                f"{uri} is not in MLflow at {without_logins(client.tracking_uri)}: there is no such model or version, "
                "or it was deleted. Its page 'Models' shows what there is."
            ) from None  # its traceback would show the tracking URI
    return RegisteredVersion(wanted.name, version, int(found.creation_timestamp), address)


def _aliased(client: "MlflowClient", wanted: ModelAddress) -> int:
    aliases = client.get_registered_model(wanted.name).aliases
    if wanted.alias not in aliases:
        known = ", ".join(f"{alias} (version {aliases[alias]})" for alias in sorted(aliases))
        raise GoneError(
            f"{SCHEME}{wanted.name}@{wanted.alias}: the model has no alias {wanted.alias!r}; it has "
            f"{known if known else 'none'}. Give one that it has, or a version as in {SCHEME}{wanted.name}/3."
        )
    return int(aliases[wanted.alias])
