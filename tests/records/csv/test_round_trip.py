import csv
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embedtune.errors import EmbedtuneError
from embedtune.records.csv.ingest import ingest_csv
from embedtune.records.csv.options import CSV_LAYOUTS, CSVOptions, CSVSource, IngestRequest
from embedtune.records.output import open_output
from embedtune.records.rows import read_rows
from embedtune.text import stripped

DELIMITERS = {"excel": ",", "excel-tab": "\t", "unix": ",", "semicolon": ";", "pipe": "|"}
# A byte order mark at the start of a file is not data, NUL characters make a bad row, and a last line of © a footer.
CHARACTERS = st.one_of(
    st.sampled_from(",;\t|\"'\r\n =#\\“”"),
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff©"),
)
VALUES = st.text(CHARACTERS, min_size=1).map(stripped).filter(bool)
PAIRS = st.tuples(VALUES, VALUES)
# Decimal fractions of which float32 holds the nearest number.
SCORES = st.integers(0, 1000).map(lambda number: number / 1000)
IMAGES = VALUES.map(lambda value: value + ".png")
# Rows that make a table learnable whatever else is drawn, what is drawn between them, and the rows they become.
LAYOUTS = {
    "labelled": ([("one", "a"), ("two", "a"), ("three", "b")], PAIRS),
    "pairs": ([("first", "document"), ("second", "other document")], PAIRS),
    "text-image": ([("first", "a.png"), ("second", "b.png")], st.tuples(VALUES, IMAGES)),
    "scored": ([("a", "b", 0.0), ("c", "d", 1.0)], st.tuples(VALUES, VALUES, SCORES)),
    "matches": ([("a", "b", "c")], st.lists(VALUES, min_size=3, max_size=3, unique=True).map(tuple)),
    "plain": ([("first",)], st.tuples(VALUES)),
}
MODEST = settings(deadline=None, max_examples=25)


def tables(layout):
    fixed, drawn = LAYOUTS[layout]
    return st.lists(drawn, max_size=8).map(lambda rows: [fixed[0], *rows, *fixed[1:]])


def test_every_layout_of_csvs_is_tried():
    assert set(LAYOUTS) == set(CSV_LAYOUTS)


def expected_rows(layout, rows, starts):
    if layout == "matches":
        rows = [(row[0], document, gain) for row in rows for document, gain in ((row[1], 1.0), (row[2], 0.0))]
        starts = [start for start in starts for _ in range(2)]
    return [(start, *row) for start, row in zip(starts, rows, strict=True)]


def written_and_read(layout, rows, options, encoding="utf-8", **style):
    """Write rows with Python's csv module, read them, and return what was expected and what was found."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.csv", Path(folder) / "rows.parquet"
        starts = []
        with source.open("w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, **style)
            for row in rows:
                file.flush()
                starts.append(1 + physical_lines(source.read_bytes().decode(encoding)))
                writer.writerow(row)
        with open_output(target, Path(folder) / "quarantine.csv", max_bad_share=0) as output:
            ingest_csv([CSVSource(source, str(source))], output, IngestRequest(layout, options))
        table = read_rows(target)[1]
    found = [tuple(row.values()) for row in table.to_pylist()]
    found = [tuple(round(value, 4) if isinstance(value, float) else value for value in row) for row in found]
    return expected_rows(layout, rows, starts), found


def physical_lines(text: str) -> int:
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n")


def options_for(layout, **given_options):
    more = {"columns": (1, 2), "task": "text-to-image"} if layout == "text-image" else {"task": "text-to-text"}
    return CSVOptions(header="no", **more, **given_options)


@pytest.mark.parametrize("dialect", DELIMITERS)
@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data())
@MODEST
def test_any_table_survives_in_a_named_dialect(layout, dialect, data):
    rows = data.draw(tables(layout))
    style = {"quoting": csv.QUOTE_ALL, "lineterminator": "\n"} if dialect == "unix" else {}
    options = options_for(layout, dialect=dialect, encoding="utf-8")
    expected, found = written_and_read(layout, rows, options, delimiter=DELIMITERS[dialect], **style)
    assert found == expected


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("layout", LAYOUTS)
@given(data=st.data(), encoding=st.sampled_from(["utf-8", "utf-8-sig"]), end=st.sampled_from(["\r\n", "\n"]))
@MODEST
def test_any_table_in_quotes_is_detected(layout, delimiter, encoding, end, data):
    rows = data.draw(tables(layout))
    style = {"delimiter": delimiter, "quoting": csv.QUOTE_ALL, "lineterminator": end}
    expected, found = written_and_read(layout, rows, options_for(layout), encoding, **style)
    assert found == expected


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@given(data=st.data())
@MODEST
def test_a_table_without_the_other_delimiters_is_detected(delimiter, data):
    """Quotes only where they must be; then `a;b,c;d` could be read in two ways."""
    others = set(",;\t|“”") - {delimiter}
    rows = [row for row in data.draw(tables("pairs")) if not others & set("".join(row))]
    expected, found = written_and_read("pairs", rows, options_for("pairs"), delimiter=delimiter)
    assert found == expected


# Mostly what makes a CSV, so that detection and parsing are reached.
BYTES = st.lists(
    st.sampled_from(
        [
            b"a",
            b"b c",
            b"0.5",
            b"7",
            b",",
            b";",
            b"\t",
            b"|",
            b'"',
            b'""',
            b"\n",
            b"\r\n",
            b" ",
            b"\0",
            b"\xff",
            b"sep=;",
        ]
        + [
            text.encode()
            for text in ("“", "”", "ü", "x.png", "http://x.org/a", "text", "label", "query", "score", "image")
        ]
    )
    | st.binary(max_size=3),
    max_size=60,
).map(b"".join)


@given(
    content=BYTES,
    layout=st.sampled_from(["auto", *LAYOUTS]),
    columns=st.sampled_from([None, (1, 2), (2, 1, 3), ("text", "label"), (1,)]),
    labelled=st.sampled_from([None, True, False]),
)
@settings(deadline=None, max_examples=300)
def test_no_bytes_raise_anything_but_our_errors(content, layout, columns, labelled):
    with tempfile.TemporaryDirectory() as folder, suppress(EmbedtuneError):
        source = Path(folder) / "source.csv"
        source.write_bytes(content)
        request = IngestRequest(layout, CSVOptions(columns=columns, is_labeled=labelled))
        with open_output(Path(folder) / "rows", Path(folder) / "bad", max_bad_share=1) as output:
            ingest_csv([CSVSource(source, "source.csv")], output, request)
        read_rows(Path(folder) / "rows")
