"""What was registered is what is fetched: the fixtures of the registry."""

from tests.registry.conftest import _no_platform_run, make_request, model_folder, registry

__all__ = ["_no_platform_run", "make_request", "model_folder", "registry"]
