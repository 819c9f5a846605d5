"""The exceptions this library raises on purpose.

Each message states the problem, the value that caused it, what is accepted, and what to do next.
"""


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


class ModelError(EmbedtuneError):
    """A backbone or model folder cannot be found, is not safe to load, or is not an embedding model."""


class RegistryError(EmbedtuneError):
    """The model registry cannot be reached or refuses what was asked."""
