"""The failures of files and stores: those that callers tell apart, and what is said where the system refuses."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from embedtune.errors import StorageError, reason

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


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


@contextmanager
def reading(what: object, advice: str = "Check its permissions.") -> Iterator[None]:
    """Say StorageError where the system refuses to read something in the block.

    The file that the system names goes before `what` in the message; the advice is a sentence.
    """
    try:
        yield
    except OSError as error:
        raise _refused(error.filename or what, "read", error, advice) from error


@contextmanager
def writing(target: object, advice: str = "Give a path in a writable folder with enough free space.") -> Iterator[None]:
    """Say StorageError where the system refuses to write something in the block.

    The message names the target, not hidden files beside it; the advice is a sentence.
    """
    try:
        yield
    except OSError as error:
        raise _refused(target, "written", error, advice) from error


def lacks_space(error: StorageError) -> bool:
    """Tell whether a disk was full, a quota used up, or a file larger than it may be."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL_DISK


def _refused(what: object, done: str, error: OSError, advice: str) -> StorageError:
    return StorageError(f"{what} cannot be {done}: {reason(error)}. {advice}")
