"""Why a registered model cannot be had, for callers that go on without it and say so."""

from embedtune.errors import RegistryError


class UnavailableError(RegistryError):
    """A registered version cannot be had now; the message says which and why."""


class GoneError(UnavailableError):
    """There is no such model, alias or version, or its files were deleted."""


class UnreachableError(UnavailableError):
    """MLflow, or the store that its files lie on, does not answer: the same call may succeed later."""


class RefusedError(UnavailableError):
    """MLflow, or the store that its files lie on, gives no right to it; or what is there is nothing that is loaded."""


class DamagedError(UnavailableError):
    """What is there is not what was registered."""
