"""The row layouts a CSV can have, and the columns of the validated rows each becomes."""

from enum import StrEnum


class Layout(StrEnum):
    """What one row of the source means."""

    LABELLED = "labelled"
    """`text,label`: texts with the same label are relevant to each other."""

    PAIRS = "pairs"
    """`query,document`: the document is relevant to the query; a query may have several rows."""


LINE_COLUMN = "line"
"""First column of every validated rows file: the 1-based line of the source on which the row starts (int64)."""

CONTENT_COLUMNS: dict[Layout, tuple[str, str]] = {
    Layout.LABELLED: ("text", "label"),
    Layout.PAIRS: ("query", "document"),
}
"""The string columns that follow `line`, in order."""
