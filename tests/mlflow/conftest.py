"""What was registered is what is fetched: the fixtures of the registry."""

import pytest

from tests.registry.conftest import _no_platform_run, make_request, model_folder, registry

__all__ = ["_no_platform_run", "make_request", "model_folder", "registry"]

PAUSES = "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow asks a server that does not answer again without waiting."""
    monkeypatch.setenv(PAUSES, "0")
