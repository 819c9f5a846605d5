"""What the reading of a source found and did; it travels with the rows to every page that tells of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from embedtune.text import shown_names

_MOST_TOLD = 20
"""Files of which a merged report tells what is their own; thousands would hide everything else."""


@dataclass(frozen=True)
class CSVFacts:
    """How CSV files were read; of several files with different answers, those of the first."""

    dialect: str
    """Key of `csv.options.NAMED_DIALECTS`; where the file is no CSV its format."""
    delimiter: str
    """'' where the file is no CSV."""
    quoting: bool
    """False: quotes were taken literally."""
    skip_blanks: bool
    """True: quoted values may follow blanks after the delimiter."""
    typographic: bool
    """True: “ and ” around a value are quotes too."""
    encoding: str
    """Python's name of the encoding; 'utf-8-sig' is UTF-8 with a byte order mark."""
    header: bool
    """Whether the first row holds names."""
    columns: tuple[str, ...]
    """Names of all columns; 'column 1' and so on where there is no header."""
    columns_used: tuple[str, ...]
    """The columns that were read, in the order of the layout's."""
    detected: tuple[str, ...]
    """Which of layout, modalities, dialect, encoding and header were detected; the others were set."""

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return name and value of each fact."""
        used = ("columns used:", f"{shown_names(self.columns_used, ' and ')} of {len(self.columns)}")
        if not self.delimiter:
            return ("format", self.dialect), used
        notes = "" if self.quoting else ", quotes taken literally"
        notes += ", blanks before quotes skipped" if self.skip_blanks else ""
        notes += ", typographic quotes" if self.typographic else ""
        return (
            ("dialect", f"{self.dialect} (delimiter {self.delimiter!r}{notes}), {self.origin('dialect')}"),
            ("encoding", f"{self.encoding}, {self.origin('encoding')}"),
            ("header", f"{'yes' if self.header else 'no'}, {self.origin('header')}"),
            used,
        )

    def origin(self, name: str) -> str:
        """Say where a fact comes from."""
        return "detected" if name in self.detected else "as set"


@dataclass(frozen=True)
class IngestReport:
    """The outcome of reading a source into validated rows, with everything that was detected."""

    rows: int
    """Validated rows written."""
    bad_rows: int
    """Rows of the source that were set aside."""
    layout: str
    """A Layout."""
    modalities: tuple[str, ...]
    """Modality of each content column, in the order of the layout's."""
    sources: int = 1
    """Files that were read."""
    read_as: str = ""
    """What the source is and how it was read, in a few words, where it is no CSV: 'BEIR folder with a test split'."""
    csv: CSVFacts | None = None
    """How it was read where it is a CSV."""
    notes: tuple[str, ...] = ()
    """What was done that a reader of the rows must know, one sentence each: a repeated header that was set aside."""
    warnings: tuple[str, ...] = ()
    """What a person should look at before training, one sentence each, with what to do about it."""
    files: tuple[tuple[str, int, int], ...] = ()
    """Of each of several CSV files: its name, the records that became rows, and those that were set aside."""
    source: str = ""
    """What the data are called: the last part of their address, which holds no secret."""
    version: str = ""
    """Version of the data as the resolve_data step found it, '' where nobody asked."""

    @classmethod
    def of_json(cls, data: Mapping[str, Any]) -> "IngestReport":
        """Return what `dataclasses.asdict` made JSON of, in this version or another: unknown fields are passed over.

        Raises:
            TypeError: it is no such report.
        """
        known = {entry.name: _frozen(data[entry.name]) for entry in fields(cls) if entry.name in data}
        if known.get("csv") is not None:
            known["csv"] = CSVFacts(**{entry.name: _frozen(known["csv"].get(entry.name)) for entry in fields(CSVFacts)})
        return cls(**known)

    def describe(self) -> str:
        """Return the report in one line."""
        files = "" if self.sources == 1 else f" of {self.sources} files"
        return f"{self.rows} rows{files}, {self.bad_rows} set aside; {self.how()}"

    def how(self) -> str:
        """Return what was detected or set, in one line: everything but the counts."""
        return "; ".join(f"{name} {value}" for name, value in self.facts())

    def facts(self) -> tuple[tuple[str, str], ...]:
        """Return name and value of everything that was detected or set."""
        layout, contents = self.layout, " and ".join(dict.fromkeys(self.modalities))
        if self.csv is None:
            told = (("read as", self.read_as),) if self.read_as else ()
            return (("layout", layout), ("contents", contents), *told)
        layout += f", {self.csv.origin('layout')}"
        contents += f", {self.csv.origin('modalities')}"
        return (("layout", layout), ("contents", contents), *self.csv.facts())


def merge_reports(reports: Sequence[IngestReport]) -> IngestReport | None:
    """Return one report on files that were read each by itself, None where there is none.

    What differs between the files becomes a note.
    """
    if len(reports) < 2:
        return reports[0] if reports else None
    first = reports[0]
    told = first.how()
    others = [report for report in reports[1:] if report.how() != told]
    notes = [f"{report.source} was read otherwise: {report.how()}." for report in others[:_MOST_TOLD]]
    if len(others) > _MOST_TOLD:
        notes.append(f"{len(others) - _MOST_TOLD} more files were read otherwise than {first.source}.")
    named = [report.source for report in reports]
    return replace(
        first,
        rows=sum(report.rows for report in reports),
        bad_rows=sum(report.bad_rows for report in reports),
        sources=sum(report.sources for report in reports),
        notes=(*_of_files(named, [report.notes for report in reports]), *notes),
        warnings=_of_files(named, [report.warnings for report in reports]),
        files=tuple((report.source, report.rows, report.bad_rows) for report in reports),
        source=f"{first.source} and {len(reports) - 1} more",
        version=first.version if len({report.version for report in reports}) == 1 else "",
    )


def _of_files(names: Sequence[str], sentences: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the sentences of all files with the file's name before each, and how many were left out."""
    found = [f"{name}: {sentence}" for name, told in zip(names, sentences, strict=True) for sentence in told]
    more = (f"{len(found) - _MOST_TOLD} more of other files.",) if len(found) > _MOST_TOLD else ()
    return (*found[:_MOST_TOLD], *more)


def _frozen(value: object) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value
