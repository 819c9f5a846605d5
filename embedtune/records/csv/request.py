"""What to read, and what it is to be read as."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from embedtune.errors import ConfigError
from embedtune.records.csv.options import AUTO, CSVOptions, Task
from embedtune.records.layouts import Layout

CSV_LAYOUTS = tuple(layout for layout in Layout if layout is not Layout.BEIR)
"""The layouts that a CSV can have."""


@dataclass(frozen=True)
class CSVSource:
    """One CSV file."""

    path: Path
    """The file, on a local disk."""
    origin: str
    """Where it came from, for messages: the path itself, or the URI it was downloaded from."""


def source_names(sources: Sequence[CSVSource]) -> list[str]:
    """Return the names that tell several files apart: the last part of their origins, else the whole origins."""
    names = [source.origin.rstrip("/").rpartition("/")[2] for source in sources]
    return names if len(set(names)) == len(names) else [source.origin for source in sources]


@dataclass(frozen=True)
class IngestRequest:
    """What the rows of CSV files are to be read as."""

    layout: str = AUTO
    """'auto' (see `columns.find_columns`), or one of CSV_LAYOUTS."""
    options: CSVOptions = field(default_factory=CSVOptions)
    """How to read the files."""
    whole: bool = True
    """False: the files are a part of the data, so it is not checked whether they alone hold anything to learn from."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ConfigError: a value is not accepted, or two contradict each other.
        """
        if self.layout not in (AUTO, *CSV_LAYOUTS):
            raise ConfigError(f"layout={self.layout!r} is not accepted. Choose one of auto, {', '.join(CSV_LAYOUTS)}.")
        self._check_labelled()
        self._check_task()
        self._check_columns()

    @property
    def wanted(self) -> Layout | None:
        """The layout where the request settles it, else None."""
        if self.layout != AUTO:
            return Layout(self.layout)
        if self.options.is_labeled:
            return Layout.LABELLED
        return Layout.TEXT_IMAGE if self.task is Task.TEXT_TO_IMAGE else None

    @property
    def task(self) -> Task:
        """The task as an enum."""
        return Task(self.options.task)

    def _check_labelled(self) -> None:
        labelled = self.options.is_labeled
        if labelled is None or self.layout == AUTO or labelled == (self.layout == Layout.LABELLED):
            return
        raise ConfigError(
            f"layout={self.layout!r} and the CSV option is_labeled={labelled} contradict each other. Leave one out."
        )

    def _check_task(self) -> None:
        wanted, task = self.wanted, self.task
        if task is Task.AUTO or wanted is None:
            return
        mixed = wanted is Layout.TEXT_IMAGE
        if mixed != (task is Task.TEXT_TO_IMAGE) or (wanted is Layout.PLAIN and task is not Task.TEXT_TO_TEXT):
            raise ConfigError(
                f"The CSV option task={task.value!r} does not fit the layout {wanted.value!r}: text-image is "
                "text-to-image, plain is text-to-text, and the others hold one modality. Leave one of the two out."
            )

    def _check_columns(self) -> None:
        columns = self.options.columns
        if columns is None or self.wanted in (None, Layout.PLAIN):
            return
        least = least_columns(self.wanted)
        if len(columns) < least or (len(columns) > least and self.wanted is not Layout.MATCHES):
            raise ConfigError(
                f"The CSV option columns={list(columns)!r} names {len(columns)} columns, but the layout "
                f"{self.wanted} needs {least}{' or more' if self.wanted is Layout.MATCHES else ''}."
            )


def least_columns(layout: Layout) -> int:
    """Return how many columns of a CSV a layout takes; matches may take more, plain texts any number."""
    return len(layout.columns)
