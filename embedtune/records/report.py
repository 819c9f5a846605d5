"""What the reading of a CSV found and did."""

from dataclasses import dataclass


@dataclass(frozen=True)
class IngestReport:
    """The outcome of an ingest, with everything that was detected."""

    rows: int
    """Validated rows written."""
    bad_rows: int
    """Rows set aside in the quarantine file."""
    layout: str
    """A Layout."""
    dialect: str
    """Key of `dialects.NAMED_DIALECTS`."""
    delimiter: str
    quoting: bool
    """False: quotes were taken literally."""
    skip_blanks: bool
    """True: quoted values may follow blanks after the delimiter."""
    encoding: str
    """Python's name of the encoding; 'utf-8-sig' is UTF-8 with a byte order mark."""
    header: bool
    """Whether the first row holds names."""
    columns: tuple[str, ...]
    """Names of all columns; 'column 1' and so on where there is no header."""
    columns_used: tuple[str, str]
    """The columns that became the layout's two, in their order."""
    detected: tuple[str, ...]
    """Which of layout, dialect, encoding and header were detected; the others were set."""

    def describe(self) -> str:
        """Return the report in one line."""
        quotes = "" if self.quoting else ", quotes taken literally"
        blanks = ", blanks before quotes skipped" if self.skip_blanks else ""
        facts = (
            ("layout", self.layout),
            ("dialect", f"{self.dialect} (delimiter {self.delimiter!r}{quotes}{blanks})"),
            ("encoding", self.encoding),
            ("header", "yes" if self.header else "no"),
        )
        told = "; ".join(f"{name} {value}, {self._origin(name)}" for name, value in facts)
        used = " and ".join(self.columns_used)
        return f"{self.rows} rows, {self.bad_rows} set aside; {told}; columns used: {used} of {len(self.columns)}"

    def _origin(self, name: str) -> str:
        return "detected" if name in self.detected else "as set"
