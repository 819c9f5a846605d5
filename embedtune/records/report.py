"""What the reading of a source found and did."""

from dataclasses import dataclass

from embedtune.records.table import shown_names


@dataclass(frozen=True)
class CSVFacts:
    """How CSV files were read; of several files with different answers, those of the first."""

    dialect: str
    """Key of `dialects.NAMED_DIALECTS`, or the name of a `csv.Dialect`."""
    delimiter: str
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

    def describe(self) -> str:
        """Return the facts in one line."""
        notes = "" if self.quoting else ", quotes taken literally"
        notes += ", blanks before quotes skipped" if self.skip_blanks else ""
        notes += ", typographic quotes" if self.typographic else ""
        facts = (
            ("dialect", f"{self.dialect} (delimiter {self.delimiter!r}{notes})"),
            ("encoding", self.encoding),
            ("header", "yes" if self.header else "no"),
        )
        told = "; ".join(f"{name} {value}, {self.origin(name)}" for name, value in facts)
        return f"{told}; columns used: {shown_names(self.columns_used, ' and ')} of {len(self.columns)}"

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
    """Modality of each content column, in the order of CONTENT_COLUMNS."""
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

    def describe(self) -> str:
        """Return the report in one line."""
        files = "" if self.sources == 1 else f" of {self.sources} files"
        layout = f"layout {self.layout}"
        contents = f"contents {' and '.join(dict.fromkeys(self.modalities))}"
        if self.csv is not None:
            layout += f", {self.csv.origin('layout')}"
            contents += f", {self.csv.origin('modalities')}"
        told = (layout, contents, self.read_as, "" if self.csv is None else self.csv.describe())
        return f"{self.rows} rows{files}, {self.bad_rows} set aside; {'; '.join(filter(None, told))}"
