"""How datasets are called, and where they are kept: `<root>/<user>/<name>/<version>/`."""

import getpass
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from embedtune.errors import ConfigError
from embedtune.storage.locations import Location, ObjectStore, Scheme, parse_location

ROOT_VARIABLE = "EMBEDTUNE_DATASETS"
"""Environment variable with the folder or the prefix of the object store that holds all datasets."""

USER_VARIABLE = "EMBEDTUNE_USER"
"""Environment variable with the name under which one's own datasets are kept."""

VERSION_LENGTH = 12
"""Characters of a version: the first ones of the SHA-256 of its content."""

PUBLIC_FOLDER = "_public"
"""Folder below the root with the copies of versions that everyone may read; no user can be called so."""

_PREFIX = "dataset://"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?")
_VERSION = re.compile(rf"[0-9a-f]{{{VERSION_LENGTH}}}")
_PATTERN = re.compile(r"[*?\[$]")
_ALLOWED = "1 to 64 ASCII letters, digits, '.', '_' and '-', beginning with a letter or digit, without '..'"


@dataclass(frozen=True)
class Reference:
    """Which dataset is meant."""

    user: str
    """Whose it is."""
    name: str
    version: str = ""
    """'' where any or the latest version is meant."""

    @property
    def folder(self) -> str:
        """Where it is below the root."""
        return "/".join(filter(None, (self.user, self.name, self.version)))

    def at(self, version: str) -> "Reference":
        """Return the reference to one version."""
        return replace(self, version=version)

    def __str__(self) -> str:
        """Return it as a person writes it."""
        return f"{self.user}/{self.name}" + (f"@{self.version}" if self.version else "")


def parse_reference(text: str) -> Reference:
    """Read `name`, `user/name`, either with `@version`, with `dataset://` before it or not.

    Args:
        text: What a person wrote; without a user it is one's own dataset, see `own_user`.

    Raises:
        ConfigError: it is none of these, or one's own name cannot be told.
    """
    path, at, version = text.removeprefix(_PREFIX).partition("@")
    user, slash, name = path.rpartition("/")
    if at and not is_version(version):
        raise ConfigError(
            f"{text!r}: {version!r} is not a version, which has {VERSION_LENGTH} of 0-9 and a-f. `embedtune datasets` "
            "lists them; without '@' the latest is taken."
        )
    if slash and not user:
        raise ConfigError(f"{text!r} has no user before '/'. Write name, user/name or user/name@version.")
    check_name(name, "the name of a dataset")
    return Reference(check_name(user, "the name of a user") if slash else own_user(), name, version)


def check_name(name: str, what: str) -> str:
    """Return a name that can be part of an address, or raise a ConfigError that says what it should name."""
    if not is_name(name):
        raise ConfigError(f"{name!r} cannot be {what}: accepted are {_ALLOWED}.")
    return name


def is_name(name: str) -> bool:
    """Tell whether this can be the name of a user or a dataset."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def is_version(version: str) -> bool:
    """Tell whether this can be a version."""
    return _VERSION.fullmatch(version) is not None


def own_user(user: str = "") -> str:
    """Return under whose name one's own datasets are kept: the given one, EMBEDTUNE_USER, else the login name.

    A ConfigError says that there is none, or none that can be part of an address.
    """
    if user:
        return check_name(user, "the name of a user")
    given = os.environ.get(USER_VARIABLE, "")
    if given:
        return check_name(given, f"the name of a user ({USER_VARIABLE})")
    try:
        login = getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        # A container may run under a number that has no name.
        raise ConfigError(
            f"Whose datasets are meant cannot be told: there is no login name. Set {USER_VARIABLE}."
        ) from error
    if not is_name(login):
        raise ConfigError(f"The login name {login!r} is none of {_ALLOWED}. Set {USER_VARIABLE} to a name that is.")
    return login


def datasets_root() -> Location:
    """Return where all datasets are: EMBEDTUNE_DATASETS, else a folder of the user's data.

    That folder is `embedtune/datasets` in XDG_DATA_HOME, else in `~/.local/share`. What is no folder or prefix, or is a
    pattern, is a ConfigError; what is no address, or carries credentials, a StorageError.
    """
    given = os.environ.get(ROOT_VARIABLE, "")
    if not given:
        data = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        return parse_location(str((data / "embedtune" / "datasets").absolute()))
    location = parse_location(given)
    if location.scheme is Scheme.FILE:
        return parse_location(str(location.path.expanduser().absolute()))
    if location.scheme is not Scheme.S3:
        raise ConfigError(
            f"{ROOT_VARIABLE}={given!r} is no place for datasets. Give s3://bucket/datasets, or the path of a folder."
        )
    if _PATTERN.search(location.key):
        # As a pattern, it would open more to everyone than one version, and list more than one folder.
        raise ConfigError(f"{ROOT_VARIABLE}={given!r} holds one of '*?[$'. Give a prefix without these.")
    return location


def root_uri(*parts: str) -> str:
    """Return the path or address of the folder of all datasets, or of what lies there; errors as of `datasets_root`."""
    root = datasets_root()
    base = str(root.path) if root.scheme is Scheme.FILE else f"{root.bucket_uri}/{root.key}"
    return "/".join(filter(None, (base.rstrip("/"), *parts)))


def dataset_uri(reference: Reference) -> str:
    """Return the path or address of a dataset's folder."""
    return root_uri(reference.folder)


def copy_uri(reference: Reference) -> str:
    """Return the address of the copies of a dataset's versions that everyone may read."""
    return root_uri(PUBLIC_FOLDER, reference.folder)


def object_prefix(folder: str) -> tuple[ObjectStore, str, str] | None:
    """Return the store, the bucket and the prefix of a folder below the root; None where datasets are in a folder."""
    root = datasets_root()
    if root.scheme is Scheme.FILE:
        return None
    return root.store, root.bucket, "/".join(filter(None, (root.key, folder)))
