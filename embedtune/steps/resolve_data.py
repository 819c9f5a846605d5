"""Step 1: which version of the data is there now? Never cached; every later step is cached on its answer."""

from dataclasses import dataclass

from embedtune.steps.running import step
from embedtune.steps.sources import check_address, data_version


@dataclass(frozen=True)
class ResolveDataConfig:
    """Configuration of the step."""

    uri: str
    """Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version."""

    def __post_init__(self) -> None:
        check_address(self.uri)


@step
def resolve_data(config: ResolveDataConfig) -> str:
    """Find out the data's version.

    Returns:
        `sha256:<hex>` for a local file or for several files, `etag:<etag>-<bytes>` for an object, `dataset:<version>`.

    Raises:
        StorageError: the data are missing or cannot be reached.
    """
    return data_version(config.uri)
