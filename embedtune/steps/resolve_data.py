"""Step 1: which version of the source is there now? Never cached; every later step is cached on its answer."""

from dataclasses import dataclass

from embedtune.steps.running import step
from embedtune.storage.locations import parse_location
from embedtune.storage.versions import data_version


@dataclass(frozen=True)
class ResolveDataConfig:
    """Configuration of the step."""

    uri: str
    """Where the CSV is: a path, file://, s3://, minio:// or http(s)://."""

    def __post_init__(self) -> None:
        parse_location(self.uri)  # before an address with a password in it gets into any file of a run


@step
def resolve_data(config: ResolveDataConfig) -> str:
    """Find out the source's version.

    Returns:
        `sha256:<hex>` for a file, `etag:<etag>-<bytes>` for an object.

    Raises:
        StorageError: the source is missing or cannot be reached.
    """
    return data_version(config.uri)
