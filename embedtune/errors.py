"""The exceptions this library raises on purpose.

Each message states the problem, the value that caused it, what is accepted, and what to do next.
"""

import errno

_SURROUNDINGS = frozenset(
    (
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE),
        *(errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR),
    )
)
"""What the system answers for reasons that lie in a person's files, not in this library."""


class EmbedtuneError(Exception):
    """Root of all errors that a user can act on; anything else that escapes is a bug."""


class InputError(EmbedtuneError):
    """The data a user brought cannot be used: empty, malformed, too few labels, too many bad rows."""


class ConfigError(EmbedtuneError):
    """An option has a value outside what is accepted."""


class StorageError(EmbedtuneError):
    """A file or object cannot be read or written: missing, refused, changed under way, server gone."""


class TrainingError(EmbedtuneError):
    """Training cannot start or go on: batches without a pair, a loss that is no number, no memory."""


class StoppedError(TrainingError):
    """Training was told to stop before its end, as a pod is that has to leave its node."""


class ModelError(EmbedtuneError):
    """A backbone or model folder cannot be found, is not safe to load, or is not an embedding model."""


class SettingsError(EmbedtuneError):
    """Settings from which no model comes with the data, the backbone and the memory there are; from others one may."""


class UnfitDataError(InputError, SettingsError):
    """Settings do not fit the data, such as a loss for labels and data without any."""


class UnfitConfigError(ConfigError, SettingsError):
    """One option goes with the rest of the settings, but not with the backbone."""


class UnfitModelError(ModelError, SettingsError):
    """Settings do not fit the backbone, such as a layer to freeze that it has not."""


class FruitlessError(TrainingError, SettingsError):
    """Training teaches nothing with its settings: a loss that is no number, no batches, a batch too large."""


class RegistryError(EmbedtuneError):
    """The model registry cannot be reached or refuses what was asked."""


class ClusterError(EmbedtuneError):
    """The Kubernetes cluster cannot be reached or does not allow what was asked."""


def reason(error: OSError) -> str:
    """Return why the system refused something, in its own words and without the name of the file."""
    return error.strerror if error.strerror else str(error)


def explain(error: BaseException) -> str:
    """Return what a person is told of an error; '' for a bug, whose traceback is worth more."""
    if isinstance(error, EmbedtuneError):
        return str(error)
    if isinstance(error, OSError) and error.errno in _SURROUNDINGS:
        place = "A file" if error.filename is None else error.filename
        return f"{place} cannot be used: {reason(error)}. Check its permissions, its name, and the space on its disk."
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        around = error.object[max(0, error.start - 40) : error.end + 20]
        return f"{around!r} is not text in UTF-8. If a file or folder has that name, rename it."
    return ""
