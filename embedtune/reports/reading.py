"""How the data were read, as the pages show it."""

from dataclasses import dataclass

from embedtune.records.rows import IngestReport

_MOST = 20
"""Greatest number of notes, and of files, that a page lists."""


@dataclass(frozen=True)
class ShownReading:
    """What a page shows of an IngestReport."""

    facts: tuple[tuple[str, str], ...]
    """Name and value of everything that was detected or set."""
    notes: tuple[str, ...]
    """What was done that a reader must know."""
    files: tuple[tuple[str, int, int], ...]
    """Name, rows and rows set aside; files with the most of the latter first."""
    more: str
    """How much is not listed, '' where everything is."""


def shown_reading(report: IngestReport | None) -> ShownReading | None:
    """Return what a page shows, None where nothing is known."""
    if report is None:
        return None
    facts = [("Data", report.source), ("Version", report.version)]
    facts += [(name.removesuffix(" used:").capitalize(), value) for name, value in report.facts()]
    files = sorted(report.files, key=lambda file: -file[2])
    missing = {"notes": len(report.notes) - _MOST, "files": len(files) - _MOST}
    more = " and ".join(f"{number:,} more {name}" for name, number in missing.items() if number > 0)
    return ShownReading(
        facts=tuple((name, value) for name, value in facts if value),
        notes=report.notes[:_MOST],
        files=tuple(files[:_MOST]),
        more=f"{more} are not listed." if more else "",
    )
