"""The failures of a store that callers tell apart."""

from embedtune.errors import StorageError


class MissingObjectError(StorageError):
    """The bucket or object does not exist."""


class DeniedError(StorageError):
    """The store refuses because the credentials, or their absence, give no right to this."""


class UnreachableError(StorageError):
    """The store does not answer, or breaks off: the same call may succeed later."""


class DamagedError(StorageError):
    """What came is not what was stored, by its SHA-256."""


def too_large(what: str, max_bytes: int) -> StorageError:
    """Return the error of a content that is larger than accepted."""
    return StorageError(f"{what} is larger than the {max_bytes} bytes that are accepted for one content.")
