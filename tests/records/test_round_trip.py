import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.records.csv_options import CSVOptions
from embedtune.records.ingest import ingest_csv
from embedtune.records.rows import read_rows

DIALECTS = {"excel": "excel", "excel-tab": "excel-tab", "unix": "unix", "semicolon": "excel", "pipe": "excel"}
DELIMITERS = {"semicolon": ";", "pipe": "|"}
# A byte order mark at the start of a file is not data, and NUL characters make a bad row.
CHARACTERS = st.one_of(
    st.sampled_from(",;\t|\"'\r\n =#\\"),
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff"),
)
VALUES = st.text(CHARACTERS, min_size=1).map(str.strip).filter(bool)
TABLES = st.lists(st.tuples(VALUES, VALUES), max_size=8)


@pytest.mark.parametrize("dialect", DIALECTS)
@given(table=TABLES)
@settings(deadline=None, max_examples=60)
def test_any_two_columns_survive(dialect, table):
    # Two rows that make the pairs learnable whatever else is drawn.
    rows = [("first", "document"), *table, ("second", "other document")]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.csv", Path(folder) / "rows.parquet"
        starts = []
        with source.open("w", encoding="utf-8", newline="") as file:
            delimiter = DELIMITERS.get(dialect)
            style = {"dialect": DIALECTS[dialect]} | ({"delimiter": delimiter} if delimiter else {})
            writer = csv.writer(file, **style)
            for row in rows:
                file.flush()
                starts.append(1 + physical_lines(source.read_bytes().decode()))
                writer.writerow(row)
        options = CSVOptions(dialect=dialect, header="no", encoding="utf-8")
        report = ingest_csv(source, target, Path(folder) / "quarantine.csv", "pairs", options, 0.0)
        found = read_rows(target)[1].to_pydict()
    assert list(zip(found["query"], found["document"], strict=True)) == rows
    assert found["line"] == starts
    assert report.rows == len(rows)


def physical_lines(text: str) -> int:
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")
