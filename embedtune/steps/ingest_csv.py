"""Step 2: a CSV, or another source of data, becomes validated rows with the contents that they name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from embedtune.errors import InputError
from embedtune.progress import note
from embedtune.records.beir import ingest_beir
from embedtune.records.class_folders import ingest_class_folders
from embedtune.records.csv.ingest import ingest_csv as ingest_files
from embedtune.records.csv.options import AUTO, CSV_LAYOUTS, CSVOptions, CSVSource, IngestRequest, source_names
from embedtune.records.layouts import Modality
from embedtune.records.loading import load_contents
from embedtune.records.output import RowsOutput, check_share, open_output
from embedtune.records.rows import IngestReport, RowsFormat
from embedtune.records.source_kind import SourceKind, passed_over, source_kind, table_names
from embedtune.steps.running import OutputFile, step
from embedtune.steps.sources import check_address, open_source
from embedtune.storage.atomic import check_writable
from embedtune.storage.locations import parse_location
from embedtune.storage.opening import LocalSource

_OF_TABLES = ("size", "sampling_rate", "dialect", "encoding", "is_labeled", "header", "columns", "task")
"""CSV options that mean nothing for BEIR folders, folders of images and DocumentArrays."""

_OF_ARRAYS = ("pos_value", "neg_value")
"""Those that mean something for DocumentArrays only."""

_MOST_TOLD = 10
"""Names of files in one sentence."""


@dataclass(frozen=True)
class IngestCSVConfig:
    """Configuration of the step."""

    uri: str
    """Where the data are: a CSV, a folder, prefix or pattern, a DocumentArray, or dataset://user/name@version."""
    version: str = ""
    """Version of the source as the resolve_data step found it; '' takes what is there."""
    layout: str = field(default=AUTO, metadata={"choices": (AUTO, *map(str, CSV_LAYOUTS))})
    """What a row of a CSV is: a layout (docs/data.md), or 'auto' to detect it."""
    csv_options: str = "{}"
    """JSON object with any of the fields of CSVOptions, such as dialect, header or task; the rest is detected."""
    max_bad_share: float = 0.01
    """Largest accepted share of rows that cannot be used, 0 to 1."""
    whole: bool = True
    """Whether this source is all of the data, so that it must hold something to learn from."""

    def __post_init__(self) -> None:
        check_address(self.uri)
        check_share(self.max_bad_share)
        _ = self.request

    @cached_property
    def options(self) -> CSVOptions:
        """`csv_options`, read."""
        return CSVOptions.from_json(self.csv_options)

    @cached_property
    def request(self) -> IngestRequest:
        """What the rows of CSV files are to be read as."""
        return IngestRequest(self.layout, self.options, self.whole)


@step
def ingest_csv(config: IngestCSVConfig, rows: OutputFile, quarantine: OutputFile) -> IngestReport:
    """Read, check and store the rows of a source and the images or meshes that they name.

    Args:
        config: The configuration.
        rows: Parquet file to write.
        quarantine: CSV file to write with the rows that cannot be used, their lines and reasons.

    Raises:
        StorageError: the source is missing, cannot be reached, or is not the given version any more.
        InputError: the source cannot be used; the message says where and what to do.
    """
    return read_source(config, rows, quarantine, note)


def read_source(config: IngestCSVConfig, rows: Path, quarantine: Path, tell: Callable[[str], None]) -> IngestReport:
    """Do what the step does, and tell what it finds in sentences.

    Args:
        config: See `ingest_csv`, as of the paths and of what is raised.
        rows: Parquet file to write.
        quarantine: CSV file to write.
        tell: Called with each sentence.
    """
    check_writable(rows, quarantine)
    with open_source(config.uri, config.version) as source:
        return read_opened(source, config, rows, quarantine, tell)


def read_opened(
    source: LocalSource, config: IngestCSVConfig, rows: Path, quarantine: Path, tell: Callable[[str], None]
) -> IngestReport:
    """Do the same with a source that is open already; see `read_source`."""
    options = config.options
    with open_output(rows, quarantine, config.max_bad_share) as output:
        report, origins = _read(source, config, output)
        warnings = (*report.warnings, *_broken(source))
        for sentence in (report.describe(), *report.notes, *warnings):
            tell(sentence)
        if not _keeps_addresses(output.rows_format, options):
            lost = load_contents(output, origins, options)
            bad_rows = output.bad_rows - report.bad_rows
            tell(f"{output.rows} rows with their contents loaded, {bad_rows} set aside because one cannot be")
            for sentence in lost:
                tell(sentence)
            warnings = (*warnings, *lost)
        report = replace(
            report,
            rows=output.rows,
            bad_rows=output.bad_rows,
            warnings=warnings,
            source=parse_location(config.uri).title,
            version=config.version,
        )
        output.tell(report)
    return report


def _read(
    source: LocalSource, config: IngestCSVConfig, output: RowsOutput
) -> tuple[IngestReport, dict[str, str] | str]:
    """Read the rows, and return what relative addresses in them start from, for each source if there are several."""
    names = [path.relative_to(source.root).as_posix() for path in source.files]
    folder = f"{source.root}/"
    match _kind(names, source, config.uri):
        case SourceKind.BEIR:
            report = ingest_beir(source.root, config.uri, output)
            return _told_unused(report, config, _OF_TABLES + _OF_ARRAYS), folder
        case SourceKind.CLASS_FOLDERS:
            report = ingest_class_folders(names, config.uri, output)
            return _told_unused(report, config, _OF_TABLES + _OF_ARRAYS), folder
        case SourceKind.DOCUMENTS:
            report, origins = _read_documents(source, config, output)
            return _told_unused(report, config, _OF_TABLES), origins
    wanted = table_names(names) if len(names) > 1 else names
    titles, origins = (dict(zip(names, each, strict=True)) for each in (source.titles, source.origins))
    found = [CSVSource(source.root / name, titles[name]) for name in wanted]
    report = ingest_files(found, output, config.request)
    report = _told_unused(replace(report, notes=(*report.notes, *passed_over(names, wanted))), config, _OF_ARRAYS)
    if len(found) == 1:
        return report, origins[wanted[0]]
    return report, {title: origins[name] for title, name in zip(source_names(found), wanted, strict=True)}


def _told_unused(report: IngestReport, config: IngestCSVConfig, names: Sequence[str]) -> IngestReport:
    """Add a note on the layout and on these CSV options where they were set for data that are read without them."""
    usual, options = CSVOptions(), config.options
    unused = [f"{name}={value!r}" for name in names if (value := getattr(options, name)) != getattr(usual, name)]
    if config.layout not in (AUTO, report.layout):
        unused.insert(0, f"layout={config.layout!r}")
    if not unused:
        return report
    told = f"Not used, since such data are read without it: {', '.join(unused)}."
    return replace(report, notes=(*report.notes, told))


def _read_documents(
    source: LocalSource, config: IngestCSVConfig, output: RowsOutput
) -> tuple[IngestReport, dict[str, str] | str]:
    # docarray takes a third of a second to import, which other sources need not pay.
    from embedtune.documents.judged_folder import ingest_judged_folder, is_judged_folder
    from embedtune.records.docarrays.ingest import array_files, ingest_documents

    if is_judged_folder(source.files):
        report = ingest_judged_folder(source.files, config.uri, output)
    else:
        report = ingest_documents(source.files, config.uri, output, config.options)
    places = dict(zip(source.files, source.origins, strict=True))
    origins = {name: places[path] for name, path in array_files(source.files).items()}
    if output.rows_format.several_sources:
        return report, origins
    return report, next(iter(origins.values()), source.origins[0])


def _kind(names: Sequence[str], source: LocalSource, uri: str) -> SourceKind:
    try:
        return source_kind(names, source.root)
    except InputError as error:
        # Names of files alone do not say which folder or archive they are in.
        raise InputError(f"{uri}: {error}") from error


def _broken(source: LocalSource) -> Iterator[str]:
    if source.broken:
        left = len(source.broken) - _MOST_TOLD
        more = f" and {left} more" if left > 0 else ""
        yield f"Not read, for they are broken links or no regular files: {', '.join(source.broken[:_MOST_TOLD])}{more}."


def _keeps_addresses(rows_format: RowsFormat, options: CSVOptions) -> bool:
    """Tell whether the rows are as they shall be: contents loaded, or addresses where these were asked for."""
    loads = {Modality.IMAGE: options.convert_to_blob, Modality.MESH: options.create_point_clouds}
    return rows_format.loaded or not all(loads[modality] for modality in rows_format.media.values())
