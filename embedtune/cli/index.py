"""What is encoded or searched in: a column of a table, files of images or meshes, or documents like the training's."""

import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pyarrow as pa

from embedtune.cli.index_contents import QUARANTINE_FILE, Index, index_of_rows, index_of_texts, load_addresses
from embedtune.errors import ConfigError, InputError, StorageError
from embedtune.models.contents import Contents
from embedtune.records.csv.column_contents import modality_of_cells
from embedtune.records.csv.options import AUTO, CSVOptions
from embedtune.records.csv.texts import first_row, read_texts
from embedtune.records.layouts import Modality, media_suffix
from embedtune.records.loader import ContentKey, ContentLoader, Failed
from embedtune.records.output import without_options, without_place
from embedtune.records.rows import IngestReport, RowsFormat, read_format
from embedtune.records.source_kind import SourceKind, file_kind, names_kind
from embedtune.steps.ingest_csv import IngestCSVConfig, read_opened
from embedtune.steps.sources import open_source
from embedtune.storage.archives import is_archive
from embedtune.storage.locations import Scheme, parse_location
from embedtune.storage.opening import LocalSource

_ALL = 1.0
"""Share of rows that may be set aside: they are counted, and what is left can be searched."""
_PEEKED = 1_000
"""Cells of a column by which it is told what they are."""

Kinds = Callable[[], frozenset[Modality]]
"""Returns what is to be encoded; it may load the model, and is asked only where the data leave it open."""


@contextmanager
def open_index(
    source: str, column: str, csv_options: str, reading: IngestReport | None, kinds: Kinds
) -> Iterator[Index]:
    """Read what is to be encoded or searched in.

    A CSV with the columns that the model was trained on or with the option `task`, and whatever is neither a CSV nor
    files of images or meshes, is read as a run reads it: the documents of the rows, each once; where a row holds
    several kinds, the last one that is to be encoded. Of another CSV one column is read, each row of it or none:
    texts, or the images or meshes that it names. Of folders all images or meshes are read, whatever folders they are
    in.

    Args:
        source: File, folder, pattern or address; a dataset.
        column: A name in the first row, or a number from 1, of a CSV; '' leaves it to what was said above.
        csv_options: JSON object with fields of CSVOptions.
        reading: How the model's training data were read, None where that is not known.
        kinds: What is to be encoded.

    Yields:
        What was read, until the block ends.

    Raises:
        ConfigError: an option is not accepted.
        StorageError: there is no such source, or it cannot be read.
        InputError: it holds nothing of what is to be encoded, or it cannot be told what.
    """
    with tempfile.TemporaryDirectory(prefix="embedtune-") as scratch:
        yield _Reading(source, csv_options, kinds, Path(scratch)).read(column, reading)


def read_query(query: str, kind: Modality, csv_options: str) -> Contents:
    """Read what to look for.

    Args:
        query: A text; of an image or mesh the path or address of its file.
        kind: What it is.
        csv_options: JSON object with fields of CSVOptions, of which those for meshes count.

    Raises:
        StorageError: there is no such file.
        InputError: it cannot be used, or is no single file.
    """
    if kind is Modality.TEXT:
        return Contents.of_texts([query])
    try:
        with open_source(query, "") as local:
            if len(local.files) != 1 or Path(query).is_dir():
                raise InputError(f"The query {query} is a folder. Give the file of one {kind}.")
            name = local.files[0].relative_to(local.root).as_posix()
            loader = ContentLoader(CSVOptions.from_json(csv_options))
            found = loader.load(ContentKey(kind, f"{local.root}/", name))
    except StorageError as error:
        raise type(error)(f"The query is to be the file of one {kind}, not a text. {error}") from error
    if isinstance(found, Failed):
        raise InputError(f"The query {query} cannot be used: {found.reason}. Give the file of one {kind}.")
    return Contents([(kind, pa.chunked_array([pa.array([found.data], pa.large_binary())]))])


@dataclasses.dataclass(frozen=True)
class _Reading:
    """One source that is read."""

    source: str
    csv_options: str
    kinds: Kinds
    scratch: Path

    def read(self, column: str, reading: IngestReport | None) -> Index:
        try:
            return self._read(column, reading)
        except InputError as error:
            raise without_options(without_place(error, self.scratch / QUARANTINE_FILE)) from error

    def _read(self, column: str, reading: IngestReport | None) -> Index:
        options = CSVOptions.from_json(self.csv_options)
        path = _single_csv(self.source)
        if path is None:
            if column:
                raise ConfigError(
                    f"column is {column!r}, which means a column of one CSV, and {self.source} is none. Leave it out."
                )
            with open_source(self.source, "") as local:
                return self._files(local, options) if _are_media(local) else self._documents(local, AUTO, {})
        trained = None if column else reading
        chosen = None if trained is None else _columns_of(path, options, trained)
        is_said = not column and options.task != AUTO
        if not is_said and (trained is None or chosen is None):
            return self._column(path, column, options)
        with open_source(self.source, "") as local:
            if trained is None or chosen is None:
                return self._documents(local, AUTO, {})
            return self._documents(local, trained.layout, {"columns": chosen})

    def _column(self, path: Path, column: str, options: CSVOptions) -> Index:
        found = read_texts(path, column, options)
        modality = modality_of_cells(found.values[:_PEEKED])
        if modality is Modality.TEXT:
            return index_of_texts(found.values, found.description)
        wanted = self.kinds()
        if modality is None and Modality.TEXT not in wanted:
            (modality,) = wanted  # they may have no endings
        if modality not in wanted:
            told = f"Values such as {found.values[0]!r} are taken as texts, not as what they name."
            return index_of_texts(found.values, f"{found.description}. {told}")
        loaded = load_addresses(found.values, modality, str(path), options, self.scratch)
        if loaded.bad_rows:
            first = "; ".join(each.replace("line", "row", 1) for each in loaded.first[:3])
            raise InputError(
                f"{path}: {loaded.bad_rows} of {len(found.values)} {modality.plural} cannot be used. First ones: "
                f"{first}. Mend or remove these rows: every row of a column is read, or none."
            )
        told = found.description.replace(" texts of ", f" {modality.plural} of ", 1)
        return index_of_rows(loaded.rows_file, modality, told, self.scratch)

    def _files(self, local: LocalSource, options: CSVOptions) -> Index:
        """Read files of images or meshes."""
        names = [path.relative_to(local.root).as_posix() for path in local.files]
        media = {name: kind for name in names if (kind := media_suffix(name)) is not None}
        if len(set(media.values())) > 1:
            raise InputError(f"{self.source} holds images and meshes. Give a folder or pattern with one of them.")
        modality = next(iter(media.values()))
        self._check_wanted({modality})
        loaded = load_addresses(list(media), modality, f"{local.root}/", options, self.scratch)
        told = f"{self.source}: {loaded.rows} {modality.plural}, {loaded.bad_rows} set aside"
        told += f" (first: {loaded.first[0].partition(': ')[2]})" if loaded.bad_rows else ""
        told += f"; {len(names) - len(media)} other files not read" if len(names) > len(media) else ""
        return index_of_rows(loaded.rows_file, modality, told, self.scratch)

    def _documents(self, local: LocalSource, layout: str, more: dict[str, object]) -> Index:
        """Read data as a run does, and return the documents of their rows."""
        rows, report = self._rows(local, layout, {**more, **_KEPT})
        column, modality = self._chosen(read_format(rows))
        if modality is not Modality.TEXT and not read_format(rows).loaded:
            rows, report = self._rows(local, layout, {**more, **dict.fromkeys(_KEPT, True)})
        index = index_of_rows(rows, modality, "", self.scratch, column)
        counted = dataclasses.replace(report, rows=len(index.names)).describe().replace(" rows", " documents", 1)
        told = " ".join((f"{self.source}: {counted}", *report.notes, *report.warnings))
        return dataclasses.replace(index, description=told)

    def _rows(self, local: LocalSource, layout: str, options: dict[str, object]) -> tuple[Path, IngestReport]:
        given = json.loads(self.csv_options) if self.csv_options.strip() else {}
        config = IngestCSVConfig(self.source, "", layout, json.dumps({**given, **options}), _ALL, whole=False)
        rows = self.scratch / "rows.parquet"
        return rows, read_opened(local, config, rows, self.scratch / QUARANTINE_FILE, _tell_nobody)

    def _chosen(self, rows_format: RowsFormat) -> tuple[str, Modality]:
        """Return the last column that holds what is to be encoded, and what it holds."""
        columns = list(zip(rows_format.layout.contents, rows_format.modalities, strict=True))
        if set(rows_format.modalities) == {Modality.TEXT}:
            return columns[-1]  # a model that does not read texts says so
        self._check_wanted(set(rows_format.modalities))
        wanted = self.kinds()
        return next(each for each in reversed(columns) if each[1] in wanted)

    def _check_wanted(self, found: set[Modality]) -> None:
        wanted = self.kinds()
        if found.isdisjoint(wanted):
            held, read = (" and ".join(sorted(kind.plural for kind in kinds)) for kinds in (found, wanted))
            raise InputError(
                f"{self.source} holds {held}, but {read} are to be encoded. Give such data, or a model that reads "
                f"{held}: `embedtune models` lists some for each kind."
            )


_KEPT: dict[str, object] = {"convert_to_blob": False, "create_point_clouds": False}
"""CSV options that leave images and meshes where they are."""


def _single_csv(source: str) -> Path | None:
    """Return the path of a source that is one CSV on this machine, None where it is something else."""
    location = parse_location(source)
    path = location.path
    elsewhere = location.scheme is not Scheme.FILE or location.pattern_start is not None
    if elsewhere or path.is_dir() or is_archive(path.name) or media_suffix(path.name) is not None:
        return None
    return path if file_kind(path) is SourceKind.CSV else None


def _are_media(local: LocalSource) -> bool:
    names = [path.relative_to(local.root).as_posix() for path in local.files]
    if len(names) == 1:
        return media_suffix(PurePosixPath(names[0]).name) is not None
    return names_kind(names) is SourceKind.CLASS_FOLDERS


def _columns_of(path: Path, options: CSVOptions, trained: IngestReport) -> list[str | int] | None:
    """Return which columns of a CSV are those that the model was trained on, None where it has others."""
    facts = trained.csv
    if facts is None or options.columns is not None:
        return None
    first = first_row(path, options)
    if facts.header:
        return list(facts.columns_used) if set(facts.columns_used) <= set(first) else None
    as_wide = len(first) == len(facts.columns)
    return [facts.columns.index(name) + 1 for name in facts.columns_used] if as_wide else None


def _tell_nobody(_: str) -> None:
    """Take a sentence that stands in the description as well."""
