"""Where the keys of the object store come from. Imports minio, so import this module where it is used.

minio's own providers of keys are not used: without a complete pair they fall silent or fail later, and a malformed file
is quoted, secrets included, in their error. Its provider of identities is.
"""

import configparser
import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import ParseError

from minio.credentials.credentials import Credentials
from minio.credentials.providers import IamAwsProvider, Provider, StaticProvider

from embedtune.errors import StorageError
from embedtune.storage.locations import ObjectStore
from embedtune.storage.web.http import TransferError, http_pool, proxy_for

SECRET_FOLDER_VARIABLE = "EMBEDTUNE_STORE_SECRET_DIR"  # noqa: S105
"""Environment variable with the folder of a mounted secret: files `accesskey`, `secretkey` and perhaps `sessiontoken`,
as the secret `mlpipeline-minio-artifact` of Kubeflow has them."""

PLACES = {
    ObjectStore.MINIO: (
        f"MINIO_ACCESS_KEY and MINIO_SECRET_KEY, or the mounted secret that {SECRET_FOLDER_VARIABLE} names"
    ),
    ObjectStore.S3: (
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), the web identity that "
        "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN name, the pod identity that AWS_CONTAINER_CREDENTIALS_FULL_URI "
        "or AWS_CONTAINER_CREDENTIALS_RELATIVE_URI names, or the profile AWS_PROFILE of AWS_SHARED_CREDENTIALS_FILE "
        "(~/.aws/credentials)"
    ),
}
"""Where the credentials of a store are read from, in this order, for messages. No place serves both: the keys of the
platform's store are not sent to the user's, nor the other way round."""

_KEY_VARIABLES = {
    ObjectStore.MINIO: ("MINIO_ACCESS_KEY", "MINIO_SECRET_KEY", ""),
    ObjectStore.S3: ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
_SECRET_FILES = ("accesskey", "secretkey", "sessiontoken")
_PROFILE_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_SECRET_BYTES = 16 << 10
_IDENTITY_VARIABLES = (
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
_TOKEN_SERVICE = "https://sts.amazonaws.com"  # noqa: S105
_IDENTITY_SETTINGS = (
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_REGION",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)

_Keys = tuple[str, str, str] | None


def find_credentials(store: ObjectStore) -> Provider | None:
    """Return the first credentials in the order of `PLACES`, or None for anonymous access.

    An empty variable counts as unset. A place that is named and cannot be read, or holds half a pair or what no key can
    be, is a StorageError, which names the place, never what is written there.
    """
    given = _pair(_KEY_VARIABLES[store], _variable, "the environment")
    if store is ObjectStore.MINIO:
        return _static(given or _mounted_secret())
    # ~/.aws/credentials is what a person has, and its default profile must not replace what the platform hands a pod.
    return _static(given) or _identity() or _static(_shared_file())


@functools.lru_cache(maxsize=8)
def _static(keys: _Keys) -> StaticProvider | None:
    """Return the one provider of these keys, by which a client is known again."""
    return StaticProvider(keys[0], keys[1], keys[2] or None) if keys is not None else None


def _identity() -> Provider | None:
    """Return the provider of an identity that the platform gives a pod, where its variables are set."""
    if not any(map(_variable, _IDENTITY_VARIABLES)):
        # Without them minio's provider would ask the metadata service of a machine, which may be nobody's.
        return None
    return _identity_provider(os.getpid(), tuple(map(_variable, (*_IDENTITY_VARIABLES, *_IDENTITY_SETTINGS))))


@functools.lru_cache(maxsize=8)
def _identity_provider(_process: int, _values: tuple[str, ...]) -> Provider:
    """Return the one provider of this process for these values of the variables, so that keys are asked for once."""
    # Amazon hands out keys for a web identity; an agent beside the pod does for the others, which no proxy reaches.
    proxy = proxy_for(_TOKEN_SERVICE) if _variable(_IDENTITY_VARIABLES[0]) else ""
    return _Identity(IamAwsProvider(http_client=http_pool(proxy=proxy)))


class _Identity(Provider):
    """minio's provider, whose errors quote addresses with the token in them."""

    def __init__(self, provider: IamAwsProvider) -> None:
        self._provider = provider
        self._lock = threading.Lock()

    def retrieve(self) -> Credentials:
        """Return the keys, new ones where they have expired."""
        try:
            with self._lock:
                return self._provider.retrieve()
        except (ValueError, KeyError, TypeError, AttributeError, OSError, TransferError, ParseError) as error:
            names = ", ".join(filter(_variable, _IDENTITY_VARIABLES))
            # Not chained: these errors quote the request, the token included.
            raise StorageError(
                f"No keys for s3:// come from the identity that {names} names ({type(error).__name__}). Check the "
                "role, that the pod's service account may take it, and that its address can be reached; or set "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ) from None


def _mounted_secret() -> _Keys:
    folder = _variable(SECRET_FOLDER_VARIABLE)
    if not folder:
        return None
    keys = _pair(_SECRET_FILES, lambda name: _secret_file(Path(folder) / name), folder)
    if keys is None:
        raise StorageError(
            f"{SECRET_FOLDER_VARIABLE} names {folder}, which holds no files 'accesskey' and 'secretkey'. Mount the "
            "secret there, or unset the variable."
        )
    return keys


def _shared_file() -> _Keys:
    given, profile = _variable("AWS_SHARED_CREDENTIALS_FILE"), _variable("AWS_PROFILE")
    path = Path(given) if given else Path("~/.aws/credentials").expanduser()
    if not given and not profile and not path.is_file():
        return None
    # Without interpolation, for a '%' in a secret is one.
    parser, name = configparser.ConfigParser(interpolation=None), profile or "default"
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise StorageError(
            f"The file of credentials {path} cannot be read ({error.strerror}). Check AWS_SHARED_CREDENTIALS_FILE, "
            "AWS_PROFILE and the permissions of the file."
        ) from error
    except (configparser.Error, UnicodeDecodeError):
        # Not chained: these errors quote the lines of the file.
        raise StorageError(
            f"The file of credentials {path} is not of the form '[{name}]' with lines 'name = value' below. Correct it."
        ) from None
    keys = _pair(_PROFILE_KEYS, lambda key: parser.get(name, key, fallback=""), f"[{name}] of {path}")
    if keys is None and profile:
        raise StorageError(f"The profile AWS_PROFILE={profile} has no keys in {path}. Name another, or add them.")
    return keys


def _pair(names: tuple[str, str, str], read: Callable[[str], str], place: str) -> _Keys:
    key, secret = (_checked(read(name), name, place) for name in names[:2])
    if bool(key) != bool(secret):
        raise StorageError(
            f"Only one of {names[0]} and {names[1]} is set in {place}. Set both, or neither for anonymous access."
        )
    if not key:
        return None
    return key, secret, _checked(read(names[2]), names[2], place) if names[2] else ""


def _checked(value: str, name: str, place: str) -> str:
    """Return a key without the white space around it, such as the end of the line that `echo` adds to a secret."""
    value = value.strip()
    if not (value.isascii() and value.isprintable()):
        # The client would quote the value when it refuses to send it.
        raise StorageError(
            f"{name} in {place} holds characters that no key has, such as the end of a line in its middle. Only "
            "printable ASCII characters are accepted. Set it again."
        )
    return value


def _variable(name: str) -> str:
    return os.environ.get(name, "")


def _secret_file(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(_SECRET_BYTES)
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        raise StorageError(f"The secret {path} cannot be read. Check its permissions and that it is a text.") from None
