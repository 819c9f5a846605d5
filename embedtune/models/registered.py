"""Versions of MLflow's registry as backbones: which one an address means, and its files. Imports no torch.

MLflow takes over a second to import, so it is imported inside functions.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedtune.errors import ConfigError, ModelError
from embedtune.mlflow.connection import connect_to_read
from embedtune.mlflow.fetching import describe_files, fetch_model
from embedtune.mlflow.versions import SCHEME, RegisteredVersion, find_version, parse_model_address
from embedtune.storage.opening import temporary_folder

_VERSION = re.compile(r"registered:(?P<name>[^/@]+)/(?P<version>[0-9]+)@(?P<created>[0-9]+)")


@dataclass(frozen=True)
class RegisteredName:
    """A version as `registered_version` names it."""

    name: str
    version: int

    @classmethod
    def parse(cls, text: str) -> "RegisteredName":
        """Read what `registered_version` returned.

        Raises:
            ConfigError: it is something else.
        """
        found = _VERSION.fullmatch(text)
        if found is None:
            raise ConfigError(
                f"{text!r} names no registered version; accepted: what resolve-data returned, such as "
                "registered:shop/3@1764291600000."
            )
        return cls(found["name"], int(found["version"]))

    @property
    def uri(self) -> str:
        """What names this version in MLflow."""
        return f"{SCHEME}{self.name}/{self.version}"


def registered_version(found: RegisteredVersion) -> str:
    """Return what names a version for good, also where its model is deleted and made anew."""
    return f"registered:{found.name}/{found.version}@{found.created}"


def lasting_address(address: str, version: str) -> str:
    """Return what names a backbone for good: of one in MLflow its version, for an alias means another one tomorrow.

    Args:
        address: What was asked for.
        version: What the first step returned for it, '' where nobody asked.
    """
    return RegisteredName.parse(version).uri if _VERSION.fullmatch(version) else address


def look_up(uri: str) -> tuple[RegisteredVersion, frozenset[str]]:
    """Find the version that an address means now, and the names of its model's files.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.

    Raises:
        UnavailableError: it is not there, or cannot be had.
        RegistryError: the environment names no MLflow.
    """
    client = connect_to_read()
    found = find_version(client, uri)
    return found, frozenset(describe_files(client, found).digests)


@contextmanager
def fetched(uri: str, version: str) -> Iterator[Path]:
    """Give the folder of a registered model, which is gone after the block.

    Args:
        uri: `models:/NAME@ALIAS` or `models:/NAME/VERSION`.
        version: What `registered_version` returned for it, '' for the version that it means now.

    Raises:
        ModelError: that version was deleted, and another one has its number.
        UnavailableError: it is not there, or cannot be had.
        RegistryError: the environment names no MLflow.
        StorageError: there is no space for it.
    """
    pinned = _VERSION.fullmatch(version)
    if version and (pinned is None or pinned["name"] != parse_model_address(uri).name):
        raise ModelError(f"{version!r} is no version of {uri}. Give the version that `resolve-data` returned for it.")
    client = connect_to_read()
    found = find_version(client, uri if pinned is None else f"models:/{pinned['name']}/{pinned['version']}")
    if version not in ("", registered_version(found)):
        raise ModelError(
            f"Backbone {uri!r} changed since this run looked at it: the version {found.version} of then was deleted, "
            "and another one has its number now. Start a new run."
        )
    with temporary_folder() as scratch:
        fetch_model(client, found, scratch / "model")
        yield scratch / "model"
