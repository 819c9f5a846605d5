"""Step 5 of a run over many files: the rows of one file become Documents, as planned."""

from dataclasses import dataclass
from pathlib import Path

from embedtune.documents.build import build_shard as build
from embedtune.errors import ConfigError
from embedtune.steps.running import OutputFolder, step
from embedtune.storage.atomic import check_writable
from embedtune.storage.locations import parse_location
from embedtune.storage.opening import local_copy


@dataclass(frozen=True)
class BuildShardConfig:
    """Configuration of the step."""

    rows_uri: str
    """Where the validated rows of this file are (parquet)."""
    number: str
    """Place of the file among all files, from '0'."""

    def __post_init__(self) -> None:
        parse_location(self.rows_uri)
        if not self.number.isdecimal():
            raise ConfigError(f"number={self.number!r} is not a whole number from 0. Give the place of the rows file.")


@step
def build_shard(config: BuildShardConfig, plan: Path, train: OutputFolder, evaluation: OutputFolder) -> None:
    """Write the Documents that one file of rows becomes.

    Args:
        config: The configuration.
        plan: Folder that the plan_documents step wrote.
        train: Folder to write this file's training documents to.
        evaluation: Folder to write this file's queries and index documents to.

    Raises:
        StorageError: an input is missing or damaged, or an output cannot be written.
    """
    check_writable(train, evaluation)
    with local_copy(config.rows_uri, "") as source:
        build(source.files[0], plan, int(config.number), train, evaluation)
