"""Step 2 of a run over many files: one source per file, so that each can be read by a task of its own."""

from dataclasses import dataclass

from embedtune.steps.running import step
from embedtune.steps.sources import Source, check_address, sources_of


@dataclass(frozen=True)
class ListSourcesConfig:
    """Configuration of the step."""

    uri: str
    """Where the data are: a folder, a prefix or a pattern such as s3://bucket/prefix/*.csv."""
    version: str = ""
    """Version of the data as the resolve_data step found it; '' takes what is there."""

    def __post_init__(self) -> None:
        check_address(self.uri)


@step
def list_sources(config: ListSourcesConfig) -> tuple[Source, ...]:
    """Name the files of the data and their versions; what belongs together, such as a BEIR folder, is one source.

    Raises:
        StorageError: there is nothing, it cannot be reached, or it is not the given version any more.
        InputError: the files are of no known kind, or of several.
    """
    return sources_of(config.uri, config.version)
