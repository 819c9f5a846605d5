"""What to read, and how a CSV is to be read; everything is detected unless it is set."""

import codecs
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path

from embedtune.errors import ConfigError
from embedtune.names import similar_names
from embedtune.records.layouts import Layout, Modality
from embedtune.text import shortened

AUTO = "auto"
"""The value that asks for detection."""

NAMED_DIALECTS: dict[str, str] = {
    "excel": ",",
    "excel-tab": "\t",
    "unix": ",",
    "semicolon": ";",
    "pipe": "|",
    "lines": "\x1f",
}
"""Dialects that can be asked for, and their delimiters. Quotes are `"`, doubled inside a quoted value.

`lines` is for files of one text per row: its delimiter is ASCII's unit separator, which no text holds.
"""


CSV_LAYOUTS = tuple(layout for layout in Layout if layout is not Layout.BEIR)
"""The layouts that a CSV can have."""


class Task(StrEnum):
    """Which modalities the contents have."""

    AUTO = "auto"
    TEXT_TO_TEXT = "text-to-text"
    TEXT_TO_IMAGE = "text-to-image"
    IMAGE_TO_IMAGE = "image-to-image"
    MESH_TO_MESH = "mesh-to-mesh"

    @property
    def modality(self) -> Modality | None:
        """The modality of all contents, None where they differ or are to be detected."""
        return _TASK_MODALITIES.get(self)


_TASK_MODALITIES = {
    Task.TEXT_TO_TEXT: Modality.TEXT,
    Task.IMAGE_TO_IMAGE: Modality.IMAGE,
    Task.MESH_TO_MESH: Modality.MESH,
}
_HEADERS = (AUTO, "yes", "no")
# They decode to half surrogate pairs, which no file we write can hold, or are made for host names.
_NOT_FOR_FILES = ("utf-7", "unicode-escape", "raw-unicode-escape", "idna", "punycode")


@dataclass(frozen=True)
class CSVOptions:
    """Options for reading a CSV; the first eight are those of Finetuner's `CSVOptions`."""

    size: int | None = None
    """Largest number of rows of the source that are kept, the first ones after sampling; None keeps all."""
    sampling_rate: float | None = None
    """Probability with which a row is kept, above 0 and at most 1; None keeps all. See `ingest`."""
    dialect: str = AUTO
    """'auto', or a key of NAMED_DIALECTS (excel, excel-tab, unix, semicolon, pipe, lines)."""
    encoding: str = AUTO
    """'auto' (the byte order mark if there is one, else UTF-8), or any text codec of Python, such as cp1252."""
    is_labeled: bool | None = None
    """True: the second column is a label; False: it is a content; None: see `columns.find_columns`."""
    convert_to_blob: bool = True
    """Whether images are loaded; False keeps their addresses only."""
    create_point_clouds: bool = True
    """Whether meshes become point clouds; False keeps their addresses only."""
    point_cloud_size: int = 2048
    """Points drawn from the surface of a mesh, 1 to 1,000,000."""
    header: str = AUTO
    """'yes': the first row holds column names; 'no': it holds data; 'auto': see `header.find_head`."""
    columns: tuple[str | int, ...] | None = None
    """Names or numbers (from 1) of the columns to use, in the order of the layout's: (content, label),
    (query, document), (text, image) in either order, (first, second, score) or (query, answer, wrong answer, ...); one
    for plain texts."""
    seed: int = 42
    """Draws the rows that are kept, and the points of meshes."""
    task: str = Task.AUTO.value
    """A Task: what the contents are; 'auto' tells from the cells, see `column_contents.modality_of_cells`."""
    pos_value: str = ""
    """Of a DocumentArray with matches: the label of those that are relevant; '' for '1', see
    `records.docarrays.ingest`."""
    neg_value: str = ""
    """Of a DocumentArray with matches: the label of those that are not; '' for '-1'."""

    def __post_init__(self) -> None:
        """Raise ConfigError where an option has a value that is not accepted."""
        for name in ("dialect", "encoding", "header", "task", "pos_value", "neg_value"):
            if not isinstance(getattr(self, name), str):
                raise ConfigError(f"CSV option {name}={getattr(self, name)!r} is not a string. Write it in quotes.")
        _check_choice("dialect", self.dialect, (AUTO, *NAMED_DIALECTS))
        _check_choice("header", self.header, _HEADERS)
        _check_choice("task", self.task, tuple(Task))
        if self.encoding != AUTO and not _is_text_codec(self.encoding):
            raise ConfigError(
                f"CSV option encoding={self.encoding!r} is not a text encoding that Python knows. Accepted: 'auto', "
                "'utf-8', 'utf-16', 'cp1252', 'latin-1' and the others of Python's codecs module."
            )
        if (relevant := self.pos_value.strip()) and relevant == self.neg_value.strip():
            raise ConfigError(f"pos_value and neg_value are both {relevant!r}. Give two different values.")
        self._check_numbers()
        if self.columns is not None:
            object.__setattr__(self, "columns", _checked_columns(self.columns, self.header))

    @classmethod
    def from_json(cls, text: str) -> "CSVOptions":
        """Read options from the JSON object in which they travel as a pipeline parameter; '' means all defaults.

        Raises:
            ConfigError: not a JSON object, an unknown key, or a value that is not accepted.
        """
        names = [each.name for each in fields(cls)]
        accepted = ", ".join(names)
        try:
            values = json.loads(text) if text.strip() else {}
        except (ValueError, RecursionError) as error:
            # A number of thousands of digits is a ValueError, deep nesting a RecursionError.
            raise ConfigError(
                f"The CSV options {shortened(text, 200)!r} are not JSON. "
                'Write an object such as {"dialect": "excel-tab"}, its keys in double quotes.'
            ) from error
        if not isinstance(values, dict):
            raise ConfigError(
                f"The CSV options {shortened(text, 200)!r} are not a JSON object. Write one with keys of {accepted}."
            )
        for key in sorted(set(values) - set(names)):
            near = similar_names(key, names)
            choices = f", one of {', '.join((AUTO, *NAMED_DIALECTS))}" if near == ["dialect"] else ""
            hint = f" Perhaps {near[0]!r} is meant{choices}." if near else ""
            raise ConfigError(f"Unknown CSV option {key!r}.{hint} Accepted: {accepted}.")
        return cls(**values)

    def _check_numbers(self) -> None:
        if self.size is not None:
            _check_whole("size", self.size, 1, None)
        _check_whole("point_cloud_size", self.point_cloud_size, 1, 1_000_000)
        _check_whole("seed", self.seed, 0, None)
        rate = self.sampling_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 < rate <= 1):
            raise ConfigError(
                f"CSV option sampling_rate={rate!r} is not accepted. Give a number above 0 and at most 1, the share "
                "of the rows to keep."
            )
        for name in ("convert_to_blob", "create_point_clouds", "is_labeled"):
            value = getattr(self, name)
            if not isinstance(value, bool) and (name != "is_labeled" or value is not None):
                raise ConfigError(f"CSV option {name}={value!r} is not accepted. Give true or false, without quotes.")


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
        """Raise ConfigError where a value is not accepted, or two contradict each other."""
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
        least = len(self.wanted.columns)  # matches may take more
        if len(columns) < least or (len(columns) > least and self.wanted is not Layout.MATCHES):
            raise ConfigError(
                f"The CSV option columns={list(columns)!r} names {len(columns)} columns, but the layout "
                f"{self.wanted} needs {least}{' or more' if self.wanted is Layout.MATCHES else ''}."
            )


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


def _check_choice(name: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ConfigError(f"CSV option {name}={value!r} is not accepted. Choose one of {', '.join(accepted)}.")


def _check_whole(name: str, value: int, least: int, most: int | None) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        limit = f"of {least} or more" if most is None else f"from {least} to {most}"
        raise ConfigError(f"CSV option {name}={value!r} is not accepted. Give a whole number {limit}, without quotes.")


def _checked_columns(columns: Sequence[str | int], header: str) -> tuple[str | int, ...]:
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not columns:
        raise ConfigError(
            f'CSV option columns={columns!r} is no list of columns. Write one such as ["query", "answer"] or [2, 3].'
        )
    for column in columns:
        if isinstance(column, bool) or not isinstance(column, str | int) or column == "":
            raise ConfigError(f"CSV option columns names {column!r}. Give names in the first row, or numbers from 1.")
        if isinstance(column, int) and column < 1:
            raise ConfigError(f"CSV option columns names column {column}. The first column is number 1.")
    if len(set(columns)) < len(columns):
        raise ConfigError(f"CSV option columns={list(columns)!r} names a column twice. Name each once.")
    if header == "no" and any(isinstance(column, str) for column in columns):
        raise ConfigError(
            f"CSV option columns={list(columns)!r} holds names, but header is 'no'. Give numbers from 1, or set header "
            "to 'yes'."
        )
    return tuple(columns)


def _is_text_codec(name: str) -> bool:
    try:
        "".encode(name)
        return codecs.lookup(name).name not in _NOT_FOR_FILES
    except (LookupError, ValueError):
        return False
